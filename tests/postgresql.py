"""A PostgreSQL of the tests' own: Debian's, in a folder of its own, on a socket there."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg

from ivr_engine.store import upgrade

BINARIES = Path("/usr/lib/postgresql")
TEMPLATE = "ready"
"""A database with the newest schema, to make others of."""

EMPTY = """
DO $$
DECLARE
    it text;
BEGIN
    PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR it IN
        SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP
        EXECUTE format('DELETE FROM %I', it);
    END LOOP;
    FOR it IN SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL LOOP
        PERFORM setval(format('%I', it)::regclass, 1, false);
    END LOOP;
END $$
"""
"""Nobody connected, no row, whatever triggers and keys protect it, and every count from its beginning. To
make a database and drop it takes ten times as long: each is 300 files."""

READY_S = 60.0
STOPPED_S = 20.0


class Server:
    """One server with as many databases as asked for. What was committed may not survive a power cut."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ivr-postgresql-"))
        self._settings = settings
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._names = (f"test_{number}" for number in itertools.count())
        self._used: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._own_folder()
            access = ["--auth-local=trust", "--auth-host=scram-sha-256", "--username=postgres"]
            self._call("initdb", "--no-sync", "--encoding=UTF8", *access)
            self.start()
            upgrade(self.url(self.create(TEMPLATE)))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Also after ``stop`` or ``crash``. Nothing happens when it runs already."""
        if self._process is not None:
            return
        settings = {"fsync": "off", "full_page_writes": "off", "max_connections": "50"}
        settings |= {"listen_addresses": "", "unix_socket_directories": str(self.folder)} | self._settings
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # It ends with the thread that started it, so also when the tests are killed.
        command = [*self.as_user("--pdeathsig", "SIGQUIT"), str(_binary("postgres")), "-D", str(self._data)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *options], stdout=log, stderr=log, start_new_session=True
            )
        self._wait_until_ready()

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Nothing is finished, nobody told; what was committed is found again by ``start``."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(STOPPED_S)

    @property
    def pid(self) -> int:
        """Of the process whose children serve the connections."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def execute(self, statement: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """As the admin."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def create(self, name: str | None = None, template: str = "template0") -> str:
        """An empty database; returns its name."""
        name = name or next(self._names)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    @contextmanager
    def database(self) -> Generator[str, None, None]:
        """The URL of a database with all its tables, for one test."""
        name = self.create(template=TEMPLATE)
        yield self.url(name)
        if self._process is not None:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def tables(self) -> Generator[str, None, None]:
        """As ``database``, for a test that does no more than a store does: it may be one emptied of what an
        earlier test has written."""
        name = self._used.pop() if self._used else self.create(template=TEMPLATE)
        yield self.url(name)
        if self._process is not None:
            self.execute(EMPTY, name)
            self._used.append(name)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + READY_S
        while True:
            try:
                return psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
            time.sleep(0.02)

    def _call(self, program: str, *arguments: str) -> None:
        command = [*self.as_user(), str(_binary(program)), "-D", self._data, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def as_user(self, *options: str) -> list[str]:
        """What a command begins with: the server refuses to run as root."""
        if os.geteuid() != 0:
            return ["setpriv", *options] if options else []
        user = _user()
        ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        return ["setpriv", *ids, *options]

    def _own_folder(self) -> None:
        if os.geteuid() == 0:
            os.chown(self.folder, _user().pw_uid, _user().pw_gid)


def _user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("no user to run PostgreSQL as: root may not")


def _binary(name: str) -> Path:
    found = sorted(BINARIES.glob(f"*/bin/{name}"), key=_version)
    if not found:
        raise RuntimeError(f"no {name} in {BINARIES}; install the package postgresql, or call scripts/test")
    return found[-1]


_version: Callable[[Path], float] = lambda path: float(path.parts[-3])  # noqa: E731
