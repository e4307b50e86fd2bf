"""Upgrading with calls in progress: the engine is stopped, the database upgraded, the next engine started,
and whoever waits keeps the place."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ivr_engine.cli import app
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.sim.people import answers
from ivr_engine.store import connect, schema
from tests.flow.centre import contact_centre, virtual
from tests.flow.databases import new_database
from tests.postgresql import Server

NEXT_VERSION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9999", "{before}"
branch_labels = depends_on = None


def upgrade():
    with op.batch_alter_table("calls") as calls:
        calls.add_column(sa.Column("mood", sa.String(), server_default="fine", nullable=False))
    op.create_table("moods", sa.Column("name", sa.String(), primary_key=True))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database that a command can reach too."""
    if request.param == "sqlite":
        yield from _used(f"sqlite:///{tmp_path}/ivr.db", monkeypatch)
    else:
        server: Server = request.getfixturevalue("postgresql")
        with server.database() as url:
            yield from _used(url, monkeypatch)


def _used(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("IVR_DATABASE_URL", url)
    before = new_database.set(lambda: url)
    yield url
    new_database.reset(before)


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """The migrations of a program that has one more."""
    migrations = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / "v9999_moods.py").write_text(NEXT_VERSION.format(before=schema.newest()))
    return migrations


def test_with_callers_waiting_and_talking(
    url: str, next_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _story(url, next_version, monkeypatch)


@virtual
async def _story(url: str, next_version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with contact_centre() as centre:
        engine, phone = centre.engine(), centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        talking = await centre.call(caller="+4915112345600")
        await talking.hears_prompt("agent")
        callers = [await centre.call(caller=f"+491511234560{n}") for n in range(1, 4)]
        await callers[0].hears_prompt("consent")
        callers[0].press("2")
        await asyncio.sleep(1)
        before = [(await centre.row(c)).id for c in callers]

        await engine.stop()
        await centre.store.close()
        was = schema.newest()
        monkeypatch.setattr(schema, "MIGRATIONS", next_version)
        done = CliRunner().invoke(app, ["db", "upgrade"])
        assert done.exit_code == 0, done
        assert f"upgraded from schema {was} to 9999" in done.output
        assert all(c.hears_now in ("music", "consent", "position.2", "position.3") for c in callers)

        centre.store = connect(url, inline=True)
        centre.engine()
        await asyncio.sleep(1)
        assert [(await centre.row(c)).id for c in callers] == before
        assert [await centre.position(c) for c in callers] == [1, 2, 3]
        assert (await centre.row(callers[0])).consent.status is WaitTimeSmsStatus.DENIED
        assert talking.hears_now == "agent"
        assert len(talking.ears.times("agent")) == 1, "not for a moment interrupted"
        talking.hang_up()
        await phone.is_free()
        await callers[0].hears_prompt("agent")
        await centre.stop()
        await centre.store.close()
