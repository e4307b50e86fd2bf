"""Tables of a backup for PostgreSQL that name what they must not."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivr_engine.errors import ExternalError, IvrError, Refused
from ivr_engine.store.archive import MANIFEST
from ivr_engine.store.backup import restore
from tests.postgresql import Server


@pytest.fixture
def url(postgresql: Server) -> Iterator[str]:
    with postgresql.tables() as url:
        yield url


@pytest.mark.parametrize(
    ("table", "content", "error", "said"),
    [
        ("agents", "name,state,since,password\n", Refused, "columns that the program has not"),
        ("agents", "name\") FROM PROGRAM 'id'--\n", Refused, "columns that the program has not"),
        ("agents", "x" * 100_000, Refused, "columns that the program has not"),
        ("pg_authid", "rolname\n", Refused, "a table 'pg_authid'"),
        ("agents", "name,state,since\nanna,available,+4915112345678\n", ExternalError, "failed"),
        ("agents", "name,state,since\nanna,available\n", ExternalError, "failed"),
    ],
)
def test_is_refused(
    table: str, content: str, error: type[IvrError], said: str, url: str, tmp_path: Path
) -> None:
    path, file = tmp_path / "b.tar", content.encode()
    name = f"tables/{table}.csv"
    manifest = {
        "format": 1,
        "made_at": "",
        "engine": "",
        "database": "postgresql",
        "schema": "0001",
        "rows": {table: 1},
        "files": {name: {"size": len(file), "sha256": hashlib.sha256(file).hexdigest()}},
    }
    with tarfile.open(path, "w") as tar:
        for member, data in ((name, file), (MANIFEST, json.dumps(manifest).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(error, match=said) as raised:
        restore(url, tmp_path / "media", path)
    assert "4915112345678" not in str(raised.value)
