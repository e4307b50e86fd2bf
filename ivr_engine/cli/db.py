"""The database as an admin looks after it: upgrade, backup, restore. Works on it directly, by
``IVR_DATABASE_URL`` and ``IVR_STATE``; needs no engine."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ivr_engine.errors import IvrError
from ivr_engine.settings import Settings, from_environ

if TYPE_CHECKING:
    from ivr_engine.store.backup import Kept

app = typer.Typer(help="The database: upgrade, backup, restore.", no_args_is_help=True)


@app.command()
def upgrade() -> None:
    """Bring the database to the schema of this version. Stop the engines first; callers keep their places."""
    from ivr_engine.store import upgrade

    done = upgrade(_with_state().store_url)
    if done.before is None:
        _say(f"{done.place}: made, with schema {done.after}")
    elif done.before == done.after:
        _say(f"{done.place}: has schema {done.after} already, nothing to do")
    else:
        _say(f"{done.place}: upgraded from schema {done.before} to {done.after}")


@app.command()
def backup(
    target: Annotated[
        Path | None, typer.Argument(help="The file to make, or a folder for it; else the current folder")
    ] = None,
) -> None:
    """Copy the database and the files of messages into one file, also while the engine runs.

    It holds numbers and texts: only this user may read it. Not in it: the site's YAML, prompts, and secrets.
    """
    from ivr_engine.store.backup import backup

    here, now = _settings(), datetime.now(UTC)
    file = target or Path()
    if file.is_dir():
        file /= f"ivr-engine-{now:%Y%m%dT%H%M%SZ}.tar"
    made = backup(here.store_url, here.media, file, now)
    _say(f"{file}: {_contents(made)}, {file.stat().st_size / 1_000_000:.1f} MB")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="What 'db backup' made")],
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace what is there, also while an engine runs"),
    ] = False,
) -> None:
    """Put a backup in place, verified; older ones are upgraded. Wants an empty database and no engine."""
    from ivr_engine.errors import Refused
    from ivr_engine.store.backup import restore

    here = _with_state()
    try:
        put_back = restore(here.store_url, here.media, source, force=force)
    except Refused as refusal:
        raise Refused(f"{refusal}. Nothing was restored") from None
    manifest = put_back.manifest
    _say(
        f"{put_back.place}: restored {_contents(put_back)}; "
        f"backed up at {manifest.made_at} by version {manifest.engine}"
    )


def _settings() -> Settings:
    return from_environ(os.environ)


def _with_state() -> Settings:
    """The state folder is there, and nobody else's: what is put in holds numbers and texts."""
    here = _settings()
    try:
        here.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise IvrError(f"{here.state} cannot be made: {error.strerror}; see IVR_STATE") from error
    return here


def _contents(kept: Kept) -> str:
    calls = kept.manifest.rows.get("calls", 0)
    return f"{calls} calls, {kept.rows} rows in all, {kept.media} pictures and videos"


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
