"""kill -9 before and after each commit, each request and each answer: ledger and outbox agree.

Real processes, a real store and real sockets; the same at every single step, in virtual time, is in
``tests/flow/test_messaging_outbox.py``.
"""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import multiprocessing.context
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from ivr_engine.domain.messages import MediaStatus, Message, MessageStatus
from ivr_engine.ports import Tx
from ivr_engine.sms.courier import Pace
from ivr_engine.sms.faults import Fault
from ivr_engine.sms.ledger import Entry, Wanted
from ivr_engine.sms.simulator import Simulator, SimulatorAccount
from ivr_engine.sms.simulator_server import LEDGER_FILE, Running, SimulatorSettings, running
from ivr_engine.store import connect
from tests.contract.sms_worlds import message
from tests.flow.messaging_rig import PHONE, SECRET, SENDER
from tests.integration import sms_engine
from tests.integration.engine import free_tcp_port
from tests.integration.sms_engine import MESSAGES
from tests.postgresql import Server

ENDS_S = 60.0
"""Deadline for an engine to settle everything or to die, on a busy machine."""

POINTS = [
    *("claim.before:1", "claim.after:1", "claim.before:2"),
    *("post.before:1", "post.before:2", "post.after:1", "post.after:3"),
    *("outcome.before:1", "outcome.after:1", "outcome.after:3"),
    *("status.before:1", "status.after:1", "status.before:6"),
    *("inbound.before:1", "inbound.after:1"),
    *("fetch.before:1", "fetch.after:1", "media.before:1", "media.after:1"),
]

ON_POSTGRESQL = ["claim.before:1", "claim.after:1", "outcome.before:1", "inbound.before:1"]


PROCESSES = multiprocessing.get_context("forkserver")
"""Each engine is a process of its own, forked from one that has the imports behind it."""
PROCESSES.set_forkserver_preload(["tests.integration.sms_engine"])

Engine = multiprocessing.context.ForkServerProcess


@dataclass
class Stage:
    state: Path
    database_url: str
    port: int
    simulator: Running

    def engine(self, die_at: str = "") -> Engine:
        arguments = (str(self.state), self.database_url, self.port, self.simulator.url, die_at)
        process = PROCESSES.Process(target=sms_engine.run, args=arguments, daemon=True)
        process.start()
        return process

    async def ends(self, engine: Engine) -> int | None:
        """Its exit code; minus the signal's number when it was killed."""
        await asyncio.to_thread(engine.join, ENDS_S)
        if engine.is_alive():
            engine.kill()
            pytest.fail("the engine neither settled everything nor died")
        return engine.exitcode

    async def ledger(self, direction: str = "outbound") -> list[Entry]:
        return await self.simulator.ledger.run(lambda ledger: ledger.find(Wanted(direction=direction)))

    async def until_in_ledger(self, wanted: Callable[[list[Entry]], bool]) -> None:
        async with asyncio.timeout(ENDS_S):
            while not wanted(await self.ledger()):  # noqa: ASYNC110 - the ledger tells nobody
                await asyncio.sleep(0.01)

    async def stored(self) -> tuple[list[Message], list[Message]]:
        """(what was sent, what was received), as the engine's database has it."""
        store = connect(self.database_url, inline=True)

        def read(tx: Tx) -> tuple[list[Message], list[Message]]:
            return [tx.messages.get(id) for id in MESSAGES], tx.messages.search(status=MessageStatus.RECEIVED)

        try:
            return await store.run(read)
        finally:
            await store.close()


@pytest.fixture
def database_url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """SQLite's, or PostgreSQL's for a test that says so."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path}/engine.db"
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.database() as url:
        yield url


@pytest.fixture
async def stage(tmp_path: Path, database_url: str) -> AsyncIterator[Stage]:
    port = free_tcp_port()
    settings = SimulatorSettings(
        secret=SECRET,
        state=tmp_path,
        engine_url=f"http://127.0.0.1:{port}",
        port=0,
        pace=Pace(sent_after_s=0.02, delivered_after_s=0.02, retry_after_s=0.2),
    )
    async with running(settings) as simulator:
        yield Stage(tmp_path, database_url, port, simulator)


async def answers(stage: Stage) -> None:
    """The caller's phone answers with a picture as soon as the first SMS is there."""
    await stage.until_in_ledger(bool)
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, "JPEG")
    phone = Simulator(SimulatorAccount(url=stage.simulator.url, secret=SECRET))
    try:
        await phone.answer(PHONE, SENDER, "this one is broken", [("image/jpeg", out.getvalue())])
    finally:
        await phone.close()


async def ledger_and_outbox_agree(stage: Stage) -> None:
    sent, received = await stage.stored()
    accepted = {e.reference: e.id for e in await stage.ledger()}
    assert len(await stage.ledger()) == len(MESSAGES) == len(accepted), "each message accepted exactly once"
    assert {m.id: m.provider_id for m in sent} == accepted
    assert [m.status for m in sent] == [MessageStatus.DELIVERED] * len(MESSAGES)
    [answer] = received
    assert [m.status for m in answer.media] == [MediaStatus.STORED]
    files = [file.name for file in (stage.state / "media").iterdir()]
    assert files == [answer.media[0].file]


@pytest.mark.parametrize(
    ("database_url", "point"),
    [*(("sqlite", point) for point in POINTS), *(("postgresql", point) for point in ON_POSTGRESQL)],
    indirect=["database_url"],
)
async def test_killed_and_started_again(stage: Stage, point: str) -> None:
    first = stage.engine(point)
    async with asyncio.TaskGroup() as group:
        group.create_task(answers(stage))
        assert await stage.ends(first) == -signal.SIGKILL, f"{point} was never reached"
        assert await stage.ends(stage.engine()) == 0
    await ledger_and_outbox_agree(stage)


async def test_killed_while_requests_are_under_way(stage: Stage) -> None:
    """The provider has the message, the engine has no answer and never will."""
    stage.simulator.faults.add(Fault(on="send", kind="slow", times=2, hold_s=30))
    first = stage.engine()
    await stage.until_in_ledger(lambda entries: len(entries) == 2)
    first.kill()
    await stage.ends(first)
    async with asyncio.TaskGroup() as group:
        group.create_task(answers(stage))
        assert await stage.ends(stage.engine()) == 0
    await ledger_and_outbox_agree(stage)


async def test_the_simulators_own_ledger_survives_its_kill(tmp_path: Path) -> None:
    """Accepted is accepted: also the statuses go on where they stopped."""
    port, text = free_tcp_port(), "Hello"
    code = (
        "import asyncio, sys, pathlib\n"
        "from ivr_engine.sms.simulator_server import SimulatorSettings, serve\n"
        "from ivr_engine.sms.courier import Pace\n"
        "pace = Pace(sent_after_s=float(sys.argv[3]), delivered_after_s=0.01)\n"
        "state, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])\n"
        "settings = SimulatorSettings(secret='s', state=state, port=port, pace=pace)\n"
        "asyncio.run(serve(settings, started=lambda url: print(url, flush=True)))\n"
    )

    async def start(sent_after_s: float) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, str(tmp_path), str(port), str(sent_after_s)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(ENDS_S):
            while not (line := await process.stdout.readline()).startswith(b"http://127.0.0.1:"):
                assert line, "it ended"
        return process

    phone = Simulator(SimulatorAccount(url=f"http://127.0.0.1:{port}", secret="s"))
    try:
        first = await start(3600.0)
        await phone.send(message(text=text), "http://127.0.0.1:1/webhooks/sms/simulator/status?message=m1")
        first.kill()
        await first.wait()
        second = await start(0.01)
        async with asyncio.timeout(ENDS_S):
            while (await phone.read(PHONE))[0]["status"] != "delivered":  # noqa: ASYNC110 - a list is polled
                await asyncio.sleep(0.02)
        assert [m["text"] for m in await phone.read(PHONE)] == [text]
        second.send_signal(signal.SIGTERM)
        async with asyncio.timeout(ENDS_S):
            assert await second.wait() == 0
    finally:
        await phone.close()
    assert (tmp_path / LEDGER_FILE).exists()
