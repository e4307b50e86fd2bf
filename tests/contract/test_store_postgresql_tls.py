"""PostgreSQL over TCP, with a password and a certificate, and what is said when one of them is wrong."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from typing import Final

import pytest

from ivr_engine.errors import ExternalError, IvrError, Unreachable
from ivr_engine.store import connect
from tests.contract.store_examples import kept
from tests.integration.engine import free_tcp_port
from tests.postgresql import TEMPLATE, Server

PASSWORD: Final = "p@ss:w/rd?100%"
IN_URL: Final = "p%40ss%3Aw%2Frd%3F100%25"


class TlsServer(Server):
    """On 127.0.0.1 with a certificate for ``localhost`` that it has signed itself."""

    def __init__(self) -> None:
        self.port = free_tcp_port()
        super().__init__(listen_addresses="127.0.0.1", port=str(self.port), ssl="on")
        self.certificate = self.folder / "server.crt"
        self._settings |= {
            "ssl_cert_file": str(self.certificate),
            "ssl_key_file": f"{self.folder}/server.key",
        }

    def start(self) -> None:
        if not self.certificate.exists():
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
            command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-out", "server.crt"]
            command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", "server.key"]
            subprocess.run([*self.as_user(), *command], cwd=self.folder, check=True, capture_output=True)
        super().start()

    def url(self, database: str) -> str:
        return f"{super().url(database)}&port={self.port}"

    def tcp(self, options: str, *, host: str = "localhost", password: str = IN_URL) -> str:
        return f"postgresql://ivr:{password}@{host}:{self.port}/calls?{options}"


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    with TlsServer() as server:
        server.execute(f"CREATE ROLE ivr LOGIN PASSWORD '{PASSWORD}'")
        server.create("calls", template=TEMPLATE)
        server.execute("ALTER DATABASE calls OWNER TO ivr")
        server.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO ivr", "calls")
        yield server


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_connection_is_encrypted_as_the_url_asks(server: TlsServer, mode: str) -> None:
    root = f"&sslrootcert={server.certificate}" if mode != "require" else ""
    async with kept(connect(server.tcp(f"sslmode={mode}{root}"))) as store:
        await store.check()
        rows = server.execute(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'ivr'"
        )
        assert {row[0] for row in rows} == {True}


@pytest.mark.parametrize(
    ("options", "other", "error", "said"),
    [
        ("sslmode=require", {"password": "wrong-password"}, ExternalError, "does not accept the user"),
        ("sslmode=verify-full&sslrootcert=/nowhere.crt", {}, ExternalError, "agree on no encryption"),
        ("sslmode=verify-full&sslrootcert={root}", {"host": "127.0.0.1"}, ExternalError, "no encryption"),
        ("sslmode=sometimes", {}, ExternalError, "cannot be asked .*sslmode"),
        ("ssl=yes", {}, ExternalError, "cannot be asked .*ssl"),
        ("connect_timeout=soon", {}, ExternalError, "cannot be asked"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(
    server: TlsServer, options: str, other: dict[str, str], error: type[IvrError], said: str
) -> None:
    url = server.tcp(options.format(root=server.certificate), **other)
    with pytest.raises(error, match=said) as raised:
        connect(url)
    assert not isinstance(raised.value, Unreachable)
    for secret in (PASSWORD, IN_URL, "wrong-password"):
        assert secret not in str(raised.value)


async def test_a_server_that_offers_no_encryption() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # "encrypted?"
        writer.write(b"N")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://ivr:{IN_URL}@127.0.0.1:{port}/calls?sslmode=require"
        with pytest.raises(ExternalError, match=r"agree on no encryption .*does not support SSL"):
            await asyncio.to_thread(connect, url)
