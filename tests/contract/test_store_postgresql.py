"""What is particular to PostgreSQL: real parallel transactions, several engines, a server that goes away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import create_engine, make_url, text

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.calls import Call, EndReason
from ivr_engine.domain.events import CallFinished
from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError, OutcomeUnknown, Refused, Unreachable
from ivr_engine.ports import Store, Tx
from ivr_engine.store import connect, upgrade
from ivr_engine.store.postgresql import ATTEMPTS
from ivr_engine.store.tables import metadata
from ivr_engine.store.transaction import Transaction
from tests.contract.store_examples import DEADLINE_S, NOW, Held, adding, call, kept, message, writing
from tests.postgresql import Server


@pytest.fixture
def url(postgresql: Server) -> Iterator[str]:
    with postgresql.database() as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with kept(connect(url)) as store:
        yield store


@pytest.fixture
async def other(url: str) -> AsyncIterator[Store]:
    """Another engine's."""
    async with kept(connect(url)) as store:
        yield store


def database_of(url: str) -> str:
    return make_url(url).database or ""


# ── beside each other ────────────────────────────────────────────────────────────────────────────


async def test_what_was_decided_inside_stays_true(store: Store, other: Store) -> None:
    """Each looks whether the queue is empty before it adds a call: one row that others see is not there."""

    def only_one(tx: Tx) -> bool:
        if tx.calls.open(queue="support"):
            return False
        tx.calls.add(call())
        return True

    results = await asyncio.gather(*(each.run(only_one) for each in [store, other] * 10))
    assert sorted(results) == [False] * 19 + [True]


async def test_nobody_overwrites_what_they_did_not_see(store: Store, other: Store) -> None:
    one = call()
    await store.run(adding(one))

    def offering(tx: Tx) -> None:
        for waiting in tx.calls.open():  # read without a lock
            held(tx)
            tx.calls.save(replace(waiting, priority=7))

    held = Held()
    async with asyncio.TaskGroup() as group:
        group.create_task(store.run(offering))
        await held.started()
        await other.run(lambda tx: tx.calls.save(tx.calls.get(one.id).ended(EndReason.CALLER_HUNG_UP, NOW)))
        held.release()
    after = await store.run(lambda tx: tx.calls.get(one.id))
    assert (after.end_reason, after.priority) == (EndReason.CALLER_HUNG_UP, one.priority)


LOCKING: list[tuple[str, Callable[[Tx], object]]] = [
    ("calls", lambda tx: tx.calls.get("one")),
    ("calls", lambda tx: tx.calls.open_on("channel")),
    ("agents", lambda tx: tx.agents.get("anna")),
    ("messages", lambda tx: tx.messages.get("text")),
    ("messages", lambda tx: tx.messages.by_provider_id("simulator", "SM1")),
]


@pytest.mark.parametrize(("table", "read"), LOCKING)
async def test_what_may_be_written_next_is_locked_and_what_is_only_looked_at_is_not(
    store: Store, url: str, table: str, read: Callable[[Tx], object]
) -> None:
    await store.run(adding(call(id="one", channel_id="channel")))
    await store.run(writing(message(id="text", provider_id="SM1")))
    await store.run(lambda tx: tx.agents.save(Agent(name="anna", state=AgentState.AVAILABLE, since=NOW)))

    async def can_be_locked_during(running: Callable[[Callable[[Tx], object]], Awaitable[object]]) -> bool:
        held = Held(read)
        async with asyncio.TaskGroup() as group:
            group.create_task(_awaited(running(held)))
            await held.started()
            try:
                with psycopg.connect(url) as admin:
                    admin.execute(sql.SQL("SELECT FROM {} FOR UPDATE NOWAIT").format(sql.Identifier(table)))
                return True
            except psycopg.errors.LockNotAvailable:
                return False
            finally:
                held.release()

    assert not await can_be_locked_during(store.run)
    assert await can_be_locked_during(store.look)


async def _awaited(work: Awaitable[object]) -> None:
    await work


async def test_of_many_offers_from_two_engines_one_wins(store: Store, other: Store) -> None:
    await store.run(lambda tx: tx.agents.save(Agent(name="anna", state=AgentState.AVAILABLE, since=NOW)))

    def offering(call_id: str) -> Callable[[Tx], str]:
        def transaction(tx: Tx) -> str:
            agent = tx.agents.get("anna")
            assert agent is not None
            tx.agents.save(agent.offered(call_id, NOW))
            return call_id

        return transaction

    asked = (each.run(offering(f"c{n}")) for n, each in enumerate([store, other] * 20))
    results = await asyncio.gather(*asked, return_exceptions=True)
    [winner] = [result for result in results if isinstance(result, str)]
    assert {type(result) for result in results} == {str, Refused}
    agent = await store.run(lambda tx: tx.agents.get("anna"))
    assert agent is not None
    assert agent.call_id == winner


async def test_the_same_webhook_at_both_engines_is_stored_once(store: Store, other: Store) -> None:
    asked = (each.run(writing(message(provider_id="SM1"))) for each in [store, other] * 10)
    results = await asyncio.gather(*asked)
    assert sorted(results) == [[False]] * 19 + [[True]]


async def test_an_agent_saved_for_the_first_time_by_both(store: Store, other: Store) -> None:
    agent = Agent(name="anna", state=AgentState.AVAILABLE, since=NOW)
    await asyncio.gather(*(each.run(lambda tx: tx.agents.save(agent)) for each in [store, other] * 5))
    assert await store.run(lambda tx: tx.agents.all()) == [agent]


async def test_engines_leave_each_other_the_messages_they_took(store: Store, other: Store) -> None:
    some = [message(next_attempt_at=NOW) for _ in range(10)]
    await store.run(writing(*some))
    taking: Callable[[Tx], object] = lambda tx: {m.id for m in tx.messages.to_send(some[0].sender, 5)}  # noqa: E731
    held = Held(taking)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(store.run(held))
        await held.started()
        second = await other.run(taking)  # at once, though the others are locked
        held.release()
    taken = cast("set[str]", first.result()), second
    assert [len(each) for each in taken] == [5, 5]
    assert not taken[0] & taken[1]


_REFUSED_AT_THE_COMMIT = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$;
    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON calls DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.id = 'bad') EXECUTE FUNCTION refuse();
"""


async def test_a_commit_that_is_refused_concerns_only_who_is_to_blame(postgresql: Server) -> None:
    url = postgresql.url(postgresql.create())  # of its own: it keeps the trigger
    async with kept(await asyncio.to_thread(connect, url)) as store:
        postgresql.execute(_REFUSED_AT_THE_COMMIT, database_of(url))
        held = Held()
        first = asyncio.ensure_future(store.run(held))
        await held.started()
        asked = [asyncio.ensure_future(store.run(adding(call(id=each)))) for each in ("one", "bad", "two")]
        await asyncio.sleep(0)
        held.release()
        async with asyncio.timeout(DEADLINE_S):
            results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), Refused, type(None)]
        await first
        assert {one.id for one in await store.run(lambda tx: tx.calls.search())} == {"one", "two"}


async def test_what_always_conflicts_is_given_up(store: Store, url: str, postgresql: Server) -> None:
    one, runs = call(), list[int]()
    await store.run(adding(one))

    def transaction(tx: Tx) -> None:
        [found] = tx.calls.search()
        postgresql.execute("UPDATE calls SET priority = priority + 1", database_of(url))
        runs.append(found.priority)
        tx.calls.save(replace(found, priority=0))

    with pytest.raises(Unreachable, match="try again"):
        await store.run(transaction)
    assert runs == list(range(ATTEMPTS))
    await store.check()


# ── events ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_reader_waits_for_events_with_lower_ids(store: Store, other: Store) -> None:
    def finished(name: str) -> Callable[[Tx], None]:
        return lambda tx: tx.events.add(NOW, name, CallFinished("x"))

    def has_its_id(tx: Tx) -> None:
        finished("early")(tx)
        tx.events.of_call("early")  # events are written at the end, or when they are read

    early = Held(has_its_id)
    async with asyncio.TaskGroup() as group:
        group.create_task(store.run(early))
        await early.started()
        await other.run(finished("late"))
        reading = group.create_task(store.run(lambda tx: (tx.events.newest_id(), tx.events.after(0))))
        await other.check()
        early.release()
    newest, found = reading.result()
    assert [event.call_id for event in found] == ["early", "late"]
    assert newest == found[-1].id


async def test_who_reads_on_misses_no_event(store: Store, other: Store) -> None:
    wanted = 120
    gate = iter(range(wanted))
    seen = list[int]()

    async def write(each: Store) -> None:
        for number in gate:
            await each.run(
                lambda tx, n=number: tx.events.add(NOW, f"{n}", *[CallFinished("x")] * (n % 3 + 1))
            )

    async def read() -> None:
        while len(seen) < wanted * 2:
            page = await store.run(lambda tx: tx.events.after(seen[-1] if seen else 0, limit=50))
            seen.extend(event.id for event in page)

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for each in (store, other) * 4:
            group.create_task(write(each))
        group.create_task(read())
    everything = await store.run(lambda tx: tx.events.after(0, limit=10 * wanted))
    assert seen == [event.id for event in everything]


# ── faults ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def own() -> Iterator[Server]:
    """A server for one test alone."""
    with Server() as server:
        yield server


def finished(one: Call) -> Callable[[Tx], None]:
    def transaction(tx: Tx) -> None:
        tx.calls.add(one)
        tx.events.add(NOW, one.id, CallFinished("x"))

    return transaction


async def test_a_server_that_is_away_for_a_while(own: Server) -> None:
    stored, failed, stopping = set[str](), list[Exception](), asyncio.Event()
    progress = asyncio.Condition()

    async def work(store: Store) -> None:
        while not stopping.is_set():
            one = call()
            try:
                await store.run(finished(one))
                stored.add(one.id)
            except ExternalError as error:
                failed.append(error)
            async with progress:
                progress.notify_all()

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S), progress:
            await progress.wait_for(condition)

    url = own.url(own.create())
    async with kept(connect(url)) as store, asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(work(store))
        for _ in range(2):
            before = len(stored)
            await until(lambda before=before: len(stored) > before + 50)
            own.crash()
            failures = len(failed)
            await until(lambda failures=failures: len(failed) > failures + 50)
            with pytest.raises(ExternalError):
                await store.check()
            own.start()
            before = len(stored)
            await until(lambda before=before: len(stored) > before + 50)
        stopping.set()
    async with kept(connect(url)) as store:
        found, events = await store.run(
            lambda tx: (tx.calls.search(limit=100_000), tx.events.after(0, limit=100_000))
        )
    assert stored <= {one.id for one in found}
    assert sorted(one.id for one in found) == sorted(event.call_id or "" for event in events)
    in_doubt = [error for error in failed if isinstance(error, OutcomeUnknown)]
    assert len(found) - len(stored) <= len(in_doubt)
    assert any("does not answer" in str(error) for error in failed)


def _kill(url: str, server: Server) -> None:
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
        f"'{database_of(url)}' AND pid <> pg_backend_pid()"
    )


async def test_connections_that_died_in_their_sleep(store: Store, url: str, postgresql: Server) -> None:
    for _ in range(2):
        await store.check()
    _kill(url, postgresql)
    for _ in range(2):
        await store.check()


async def test_a_connection_that_dies_before_the_commit(store: Store, url: str, postgresql: Server) -> None:
    one, runs = call(), list[int]()

    def transaction(tx: Tx) -> None:
        tx.calls.add(one)
        runs.append(1)
        if len(runs) == 1:
            _kill(url, postgresql)

    with pytest.raises(OutcomeUnknown, match="during a commit"):
        await store.run(transaction)  # the next thing it hears of the server is at the commit
    assert len(runs) == 1

    def looking_again(tx: Tx) -> None:
        transaction(tx)
        tx.calls.search()

    runs.clear()
    await store.run(looking_again)
    assert len(runs) == 2
    assert await store.run(lambda tx: tx.calls.search()) == [one]


class Middleman:
    """Stands between store and server and, once ``cutting``, keeps the answer to a commit to itself."""

    def __init__(self, server: str) -> None:
        self.cutting = False
        self._server = server
        self._silent = False
        self._serving = set[asyncio.Task[None] | None]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        answers, questions = await asyncio.open_unix_connection(self._server)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer(answers, writer))
            while asked := await reader.read(65536):
                self._silent = self.cutting and b"COMMIT" in asked
                questions.write(asked)
            questions.close()
        await questions.wait_closed()
        await writer.wait_closed()

    async def _answer(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (answer := await answers.read(65536)) and not self._silent:
            writer.write(answer)
        writer.close()

    async def finished(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*(task for task in self._serving if task is not None))


async def test_a_commit_whose_answer_is_lost(url: str, tmp_path: Path) -> None:
    one, runs = call(), list[int]()

    def transaction(tx: Tx) -> None:
        runs.append(1)
        tx.calls.add(one)

    socket = ".s.PGSQL.5432"
    between = Middleman(f"{make_url(url).query['host']}/{socket}")
    async with await asyncio.start_unix_server(between.serve, tmp_path / socket):
        through = make_url(url).set(query={"host": str(tmp_path)}).render_as_string()
        async with kept(await asyncio.to_thread(connect, through)) as store:
            await store.check()
            between.cutting = True
            with pytest.raises(OutcomeUnknown, match="not known"):
                await store.run(transaction)
            between.cutting = False
            assert await store.run(lambda tx: tx.calls.search()) == [one]  # this time it was stored
        await between.finished()
    assert len(runs) == 1


async def test_a_table_locked_by_another_program(url: str, postgresql: Server) -> None:
    with psycopg.connect(url) as admin:
        admin.execute("LOCK TABLE calls")
        async with kept(connect(url, lock_timeout_s=0.05)) as store:
            with pytest.raises(Unreachable, match="locked by another program; close"):
                await store.run(adding(call()))
            admin.rollback()
            await store.run(adding(call()))


def test_servers_that_let_nobody_in(postgresql: Server) -> None:
    with pytest.raises(ExternalError, match="does not exist; make it with createdb"):
        connect(postgresql.url("nothing"))
    with pytest.raises(Unreachable, match=r"does not answer .*start it") as caught:
        connect("postgresql://anna:secret@127.0.0.1:1/ivr")
    assert "secret" not in str(caught.value)


async def test_errors_hold_no_numbers_and_no_texts(store: Store) -> None:
    again = message(text="private", recipient="+4915112345678", provider_id="+4915112345678")
    await store.run(writing(again))
    for transaction in (writing(again), writing(replace(again, provider_id=None))):
        try:
            await store.run(transaction)
        except Refused as refused:
            error: BaseException | None = refused
            while error is not None:
                assert "private" not in str(error)
                assert again.id not in str(error)
                error = error.__cause__


# ── the connection and the schema ────────────────────────────────────────────────────────────────


async def test_what_is_committed_survives_a_power_cut(store: Store) -> None:
    names = ("synchronous_commit", "transaction_isolation", "lock_timeout", "statement_timeout", "TimeZone")

    def settings(tx: Tx) -> list[str]:
        statements = cast("Transaction", tx).statements
        return [statements.scalar(text(f"SHOW {name}")) for name in names]

    assert await store.run(settings) == ["on", "serializable", "30s", "30s", "UTC"]


def test_engines_that_migrate_at_once(postgresql: Server) -> None:
    url = postgresql.url(postgresql.create())
    starting = threading.Barrier(4)

    def start() -> None:
        starting.wait(DEADLINE_S)
        upgrade(url)

    with ThreadPoolExecutor(4) as pool:
        for started in [pool.submit(start) for _ in range(4)]:
            started.result(DEADLINE_S)
    assert postgresql.execute("SELECT count(*) FROM alembic_version", database_of(url)) == [(1,)]


def test_the_migrations_make_the_tables_of_the_code(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_database_of_a_newer_version(url: str, postgresql: Server) -> None:
    postgresql.execute("UPDATE alembic_version SET version_num = '9999'", database_of(url))
    with pytest.raises(ExternalError, match=r"newer version .*install that version"):
        connect(url)


async def test_ids_are_sorted_as_python_sorts_them(store: Store) -> None:
    names = ["a", "B", "ä", "b", "A", "_"]
    for name in names:
        agent = Agent(name=name, state=AgentState.AVAILABLE, since=NOW)
        await store.run(lambda tx, agent=agent: tx.agents.save(agent))
    assert [agent.name for agent in await store.run(lambda tx: tx.agents.all())] == sorted(names)
