"""Secrets the engine makes for itself on first need: the API token, agents' phone passwords.

They lie in ``<state>/secrets/`` (folder 0700, files 0600), one file each, and never in YAML or git.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from ivr_engine.errors import ConfigError

API_TOKEN: Final = "api_token"  # noqa: S105  (the name of a file, not a secret)

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_BYTES: Final = 24
"""192 bits: 32 characters that are safe in a URL, a SIP password and a shell."""


def secret(state: Path, name: str) -> str:
    """The secret called ``name``; made now if there is none. Two processes get the same one.

    Raises ``ConfigError`` when the folder cannot be used or the file holds nothing.
    """
    path = _path(state, name)
    try:
        return _read(path) if path.exists() else _make(path)
    except OSError as error:
        raise ConfigError(
            path, None, f"cannot be used: {error.strerror}", "give this user the state folder"
        ) from error


def kept(state: Path, name: str) -> str | None:
    """The secret called ``name`` if it is there and may be read; makes none."""
    try:
        return _read(_path(state, name))
    except (OSError, ConfigError):
        return None


def _path(state: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a secret")
    return state / "secrets" / name


def _read(path: Path) -> str:
    value = path.read_text(encoding="utf-8").strip()
    if not value:
        raise ConfigError(path, None, "is empty", "remove it: a new one is made at the next start")
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return value


def _make(path: Path) -> str:
    """Written aside and linked into place: never half there, and the first of two writers wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
    return _read(path)
