"""What is PostgreSQL's own: how it is connected to, and how transactions run beside each other."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text

from ivr_engine.errors import OutcomeUnknown, Unreachable
from ivr_engine.ports import Tx
from ivr_engine.store.connection import EventsUnsettled, Later, Statements
from ivr_engine.store.elsewhere import Elsewhere
from ivr_engine.store.failures import STORE_ERRORS, Conflict, Lost, Taken, translated
from ivr_engine.store.prepared import Opened
from ivr_engine.store.transaction import Broken, Done, Function, Outcome, Transaction

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
"""How often a transaction runs at most when it conflicts with those of other engines."""

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


class _Again(Exception):
    """Nothing was stored, and another attempt may do better; ``why`` is raised if there is none."""

    def __init__(self, why: Exception) -> None:
        self.why = why


class _Alone(Exception):
    """Nothing of a group was stored, because one of it failed."""


class PostgresRunner:
    """Runs transactions over one connection, which it opens when first needed and again after it
    broke. Belongs to one thread."""

    def __init__(self, engine: Engine, place: str, elsewhere: Elsewhere) -> None:
        self._engine = engine
        self._elsewhere = elsewhere
        self._place = place
        self._connection: Connection | None = None
        self._away: tuple[Exception, float] | None = None
        """Why the server was not reached a moment ago, and until when it is not asked again."""

    def run(self, functions: Sequence[Function]) -> list[Outcome]:
        """Commit all together; if one fails, undo and commit each alone (they run again)."""
        if len(functions) == 1:
            return [self._outcome(functions[0])]
        try:
            outcomes = self._once(functions)
        except OutcomeUnknown as error:
            return [Broken(OutcomeUnknown(*error.args)) for _ in functions]
        except _Alone:
            pass
        except Exception:  # whatever it was, each meets it alone and hears of it
            self._drop()
        else:
            return [
                self._outcome(function) if _reads_events(outcome) else outcome
                for function, outcome in zip(functions, outcomes, strict=True)
            ]
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
            try:
                [outcome] = self._once([function], events_until)
            except _Again as again:
                why = again.why
            else:
                if not _reads_events(outcome):
                    return outcome
                events_until = self._events_until()
                continue
            limit = ATTEMPTS if isinstance(why, Conflict) else 2
            met.append(type(why))
            if len(met) >= ATTEMPTS or met.count(type(why)) >= limit:
                return Broken(why)
            if len(met) > 1:
                time.sleep(random.uniform(0, min(LONGEST_PAUSE_S, 0.002 * 2 ** len(met))))  # noqa: S311

    def _once(self, functions: Sequence[Function], events_until: int | None = None) -> list[Outcome]:
        connection = self._open()
        connection.begin()
        later, opened, outcomes, wrote = Later(), Opened(connection), list[Outcome](), False
        for function in (*functions, _write_what_waits):
            statements = Statements(opened, self._place, events_until=events_until, later=later)
            outcome = _run(function, statements, self._elsewhere)
            failure, touched = statements.failure, statements.touched
            statements.close()
            if touched and isinstance(outcome, Broken):
                opened.close()
                self._undo(connection)
                if len(functions) > 1:
                    raise _Alone
                if failure is not None:
                    _may_run_again(failure)
                return [outcome]
            outcomes.append(outcome)
            wrote = wrote or touched
        opened.close()
        # Also when they decided not to write: only then is what they decided on known to be true.
        self._commit(connection, wrote=wrote)
        return outcomes[:-1]

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
            if self._away is not None and time.monotonic() < self._away[1]:
                away = self._away[0]
                raise type(away)(str(away))
            try:
                self._connection = self._engine.connect()
            except STORE_ERRORS as error:
                failure = translated(error, self._place)
                self._away = failure, time.monotonic() + RETRY_CONNECT_S
                raise failure from error
            self._away = None
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
        changes = transaction.noted.changes
        elsewhere.tell(statements, changes)
    except BaseException as error:
        return Broken(error)
    return Done(value, changes)


def _write_what_waits(tx: Tx) -> None:
    """The last of each transaction."""
    cast("Transaction", tx).statements.write_later()


def _reads_events(outcome: Outcome) -> bool:
    """It has to run again by itself, once it is known up to where events may be read."""
    return isinstance(outcome, Broken) and isinstance(outcome.error, EventsUnsettled)


def _may_run_again(failure: Exception) -> None:
    if isinstance(failure, (Conflict, Lost, Taken)):
        raise _Again(failure)
