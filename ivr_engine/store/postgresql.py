"""What is PostgreSQL's own: how it is connected to, and how transactions run beside each other."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text

from ivr_engine.errors import OutcomeUnknown, Unreachable
from ivr_engine.store.connection import EventsUnsettled, Statements
from ivr_engine.store.elsewhere import Elsewhere
from ivr_engine.store.failures import STORE_ERRORS, Conflict, Lost, Taken, translated
from ivr_engine.store.transaction import Broken, Done, Function, Outcome, Transaction

THREADS: Final = 4
"""Transactions under way at once, one of them writing."""

CONNECT_TIMEOUT_S: Final = 5
"""How long a server may take to greet us."""

SILENCE_S: Final = 15
"""A server from which nothing comes for so long (its machine is off, a cable is cut) is given up."""

STATEMENT_TIMEOUT_S: Final = 30
"""No statement of ours takes longer in a database that is well."""

IDLE_TIMEOUT_S: Final = 60
"""The server ends a transaction whose engine fell silent, so that its locks keep nobody."""

RETRY_CONNECT_S: Final = 1.0
"""After a failed attempt to connect, transactions fail at once for so long: they must not queue up."""

ATTEMPTS: Final = 10
"""How often a transaction runs at most when it conflicts with others. From the second run on nobody else
in this engine writes beside it, so a third takes another engine."""

LONGEST_PAUSE_S: Final = 0.1
"""Between two attempts, at most: long enough for another engine's transaction to end."""

SETTLE_TIMEOUT_S: Final = 5.0
"""How long a reader of the events waits for those just being written."""

MIGRATION_WAIT_S: Final = 300
"""How long a starting engine waits for another one that migrates."""

_MIGRATION_LOCK: Final = 0x69767265
"""The number of the advisory lock ("ivre"), the same in all versions."""

_NEWEST_ID: Final = text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_id_seq")
_WRITERS: Final = text(
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND relation = 'events'::regclass"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND mode = 'RowExclusiveLock' AND granted AND pid <> pg_backend_pid()"
)


def engine(url: URL, *, lock_timeout_s: float) -> Engine:
    """No pool: each thread of the store opens one connection and keeps it."""
    settings = {
        "synchronous_commit": "on",  # what was committed survives a power cut
        "lock_timeout": f"{lock_timeout_s * 1000:.0f}",
        "statement_timeout": f"{STATEMENT_TIMEOUT_S * 1000}",
        "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_S * 1000}",
        # Every query has its index. Reading a small table whole instead would count as having read
        # each of its rows, and so conflict with every other transaction.
        "enable_seqscan": "off",
        "jit": "off",  # what it compiles runs for less time than that takes
        "timezone": "UTC",
    }
    options = {"options": " ".join(f"-c {name}={value}" for name, value in settings.items())}
    # It reports as a warning what the error says that follows.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    return create_engine(
        url,
        poolclass=NullPool,
        isolation_level="SERIALIZABLE",
        connect_args=options | reach(url) if "options" not in url.query else reach(url),
        use_native_hstore=False,
        hide_parameters=True,  # phone numbers and texts have no place in an error message
    )


def reach(url: URL) -> dict[str, Any]:
    """How every connection notices a server that is gone; what the URL itself says counts before."""
    arguments = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "ivr-engine",
        "keepalives_idle": SILENCE_S // 3,
        "keepalives_interval": SILENCE_S // 3,
        "keepalives_count": 2,
        "tcp_user_timeout": SILENCE_S * 1000,
    }
    return {name: value for name, value in arguments.items() if name not in url.query}


@contextmanager
def migrating(engine: Engine) -> Generator[Connection, None, None]:
    """A connection in a transaction for migrations, which no other engine's migrations overlap."""
    # A serializable transaction would not see what the engine it waited for has done.
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        locks = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{MIGRATION_WAIT_S}s'")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{locks}'")
        yield connection
        connection.commit()


class _Turn:
    """One transaction's turn to write: those of one engine that write do so one after another.

    Beside each other they would mostly undo each other: whoever counts a line and moves a call in it
    conflicts with all who do the same. Those that only read take no turn.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._taken = False

    def take(self) -> None:
        if not self._taken:
            self._lock.acquire()
            self._taken = True

    def give_back(self) -> None:
        if self._taken:
            self._taken = False
            self._lock.release()


class _Again(Exception):
    """Nothing was stored, and another attempt may do better; ``why`` is raised if there is none."""

    def __init__(self, why: Exception) -> None:
        self.why = why


class Server:
    """What the threads of one engine know of their server together: whose turn to write it is, and whether
    it was away a moment ago (the first to reach it again tells the others)."""

    def __init__(self) -> None:
        self.writing: Final = threading.Lock()
        self._away: tuple[Exception, float] | None = None

    def raise_if_away(self) -> None:
        """Without asking it again so soon."""
        away = self._away
        if away is not None and time.monotonic() < away[1]:
            raise type(away[0])(str(away[0]))

    def is_away(self, error: Exception) -> None:
        self._away = error, time.monotonic() + RETRY_CONNECT_S

    def is_there(self) -> None:
        self._away = None


class PostgresRunner:
    """Runs transactions one at a time over one connection, which it opens when first needed and again
    after it broke. Belongs to one thread; the other threads have theirs."""

    def __init__(self, engine: Engine, place: str, server: Server, elsewhere: Elsewhere) -> None:
        self._engine = engine
        self._elsewhere = elsewhere
        self._place = place
        self._server = server
        self._connection: Connection | None = None

    def run(self, functions: Sequence[Function]) -> list[Outcome]:
        return [self._outcome(function) for function in functions]

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _outcome(self, function: Function) -> Outcome:
        try:
            return self._until_done(function)
        except STORE_ERRORS as error:  # of the housekeeping between attempts
            self._drop()
            return Broken(translated(error, self._place))
        except BaseException as error:
            return Broken(error)

    def _until_done(self, function: Function) -> Outcome:
        """Conflicts are nobody's fault and the connection may have died in its sleep: run again."""
        events_until: int | None = None
        met: list[type[Exception]] = []
        while True:
            turn = _Turn(self._server.writing)
            try:
                if met:  # from its beginning, so that nobody else here changes what it reads
                    turn.take()
                return self._once(function, turn, events_until)
            except _Again as again:
                why = again.why
            finally:
                turn.give_back()
            if isinstance(why, EventsUnsettled):
                events_until = self._events_until()
                continue
            limit = ATTEMPTS if isinstance(why, Conflict) else 2
            met.append(type(why))
            if len(met) >= ATTEMPTS or met.count(type(why)) >= limit:
                return Broken(why)
            if len(met) > 1:
                time.sleep(random.uniform(0, min(LONGEST_PAUSE_S, 0.002 * 2 ** len(met))))  # noqa: S311

    def _once(self, function: Function, turn: _Turn, events_until: int | None) -> Outcome:
        connection = self._open()
        connection.begin()
        statements = Statements(connection, self._place, before_writing=turn.take, events_until=events_until)
        outcome = _run(function, statements, self._elsewhere)
        failure, wrote = statements.failure, statements.touched
        statements.close()
        if failure is not None:
            self._undo(connection)
            _may_run_again(failure)
        elif wrote and isinstance(outcome, Broken):
            self._undo(connection)
        else:
            # Also when it decided not to write: only then is what the decision rests on known to be true.
            self._commit(connection, wrote=wrote)
        return outcome

    def _commit(self, connection: Connection, *, wrote: bool) -> None:
        try:
            connection.commit()
        except STORE_ERRORS as error:
            failure = translated(error, self._place)
            self._drop()
            if isinstance(failure, Lost) and wrote:
                raise OutcomeUnknown(
                    f"{self._place} went away during a commit: whether it was stored is not known"
                ) from error
            _may_run_again(failure)
            raise failure from error

    def _open(self) -> Connection:
        if self._connection is None:
            self._server.raise_if_away()
            try:
                self._connection = self._engine.connect()
            except STORE_ERRORS as error:
                failure = translated(error, self._place)
                self._server.is_away(failure)
                raise failure from error
            self._server.is_there()
        return self._connection

    def _undo(self, connection: Connection) -> None:
        try:
            if connection.invalidated:
                self._drop()
            else:
                connection.rollback()
        except STORE_ERRORS:
            # The connection is of no more use. What it had begun dies with it.
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _events_until(self) -> int:
        """An id up to which every event is committed or never will be: the newest given out, once all
        who were writing events at that moment have ended. To be asked before the transaction that
        reads them sees anything. Writers wait for nobody, and pay nothing."""
        connection = self._open()
        with connection.begin():
            newest = connection.execute(_NEWEST_ID).scalar_one()
            writing = set(connection.execute(_WRITERS).scalars())
            deadline = time.monotonic() + SETTLE_TIMEOUT_S
            while writing:
                if time.monotonic() > deadline:
                    raise Unreachable(
                        f"a transaction in {self._place} has been writing events for more than "
                        f"{SETTLE_TIMEOUT_S:.0f} s; see pg_stat_activity"
                    )
                time.sleep(0.001)
                writing &= set(connection.execute(_WRITERS).scalars())
        return newest


def _run(function: Function, statements: Statements, elsewhere: Elsewhere) -> Outcome:
    try:
        transaction = Transaction(statements)
        value = function(transaction.port)
        if statements.failure is not None:
            raise statements.failure
        statements.write_later()
        changes = transaction.noted.changes
        elsewhere.tell(statements, changes)
    except BaseException as error:
        return Broken(error)
    return Done(value, changes)


def _may_run_again(failure: Exception) -> None:
    if isinstance(failure, (Conflict, Lost, Taken, EventsUnsettled)):
        raise _Again(failure)
