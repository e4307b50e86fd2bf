"""Talks are recorded, both sides, when callers were told or agreed; and kept as long as the site says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ivr_engine.callflow.commands import CallCommands, ToAgent
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import RecordingDeleted, RecordingFailed, RecordingKept
from ivr_engine.domain.recordings import RecordingStatus, TalkRecording
from ivr_engine.domain.talk import RecordingAnswer
from ivr_engine.errors import Refused, Rejected
from ivr_engine.messaging.recordings import RecordingKeeper
from ivr_engine.messaging.written import write_whole
from ivr_engine.sim.people import Caller, answers
from ivr_engine.sim.recordings import SimRecordings
from ivr_engine.site.general import RecordingSettings
from tests.flow.centre import Centre, Engine, contact_centre, virtual
from tests.flow.crashes import restart


class Archive:
    """Recordings on the disk of a test."""

    def __init__(self, centre: Centre, folder: Path) -> None:
        self.centre = centre
        self.folder = folder
        self.full = False
        self.settings = RecordingSettings()

    def keeper(self, engine: Engine) -> RecordingKeeper:
        return RecordingKeeper(
            store=engine.store,
            recordings=SimRecordings(engine.telephony),
            stop=engine.telephony.end_recording,
            clock=self.centre.clock,
            keep=self._keep,
            delete=self._delete,
            engine=engine.telephony.name,
            settings=lambda: self.settings,
        )

    async def _keep(self, name: str, content: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        write_whole(self.folder, name, content)

    async def _delete(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)


async def recordings(centre: Centre, caller: Caller) -> list[TalkRecording]:
    row = await centre.row(caller)
    return await centre.store.run(lambda tx: tx.recordings.of_call(row.id))


@asynccontextmanager
async def told(when: str, ask: str = "announcement", **changes: Any) -> AsyncGenerator[tuple[Centre, Engine]]:
    support = {"label": "Support", "ring_time": 20, "recording": {"when": when, "ask": ask}}
    async with contact_centre(queues={"support": support}, **changes) as centre:
        engine = centre.engine()
        for name in ("anna", "ben"):
            centre.phone(name, answers(1.0))
        await engine.desk.sign_in("anna")
        yield centre, engine


@virtual
async def test_always_announced_recorded_fetched_and_on_the_ticket(tmp_path: Path) -> None:
    async with told("always") as (centre, engine):
        caller = await centre.call()
        await caller.hears_prompt("recording_notice", within_s=2)
        await caller.hears_prompt("agent")
        await asyncio.sleep(10)
        keeper = Archive(centre, tmp_path).keeper(engine)
        await keeper.turn()
        assert [r.status for r in await recordings(centre, caller)] == [RecordingStatus.MAKING]
        caller.hang_up()
        await centre.nothing_left()
        for _ in range(3):
            await keeper.turn()
        [made] = await recordings(centre, caller)
        assert (made.status, made.agent, round(made.seconds)) == (RecordingStatus.KEPT, "anna", 10)
        [ticket] = await centre.tickets()
        assert [f.file for f in ticket.files] == [made.file]
        assert (tmp_path / made.file).stat().st_size == made.size
        assert not centre.switch.tapes.recorded, "nothing is left in the telephone system"
        happened = await centre.happened(caller)
        assert len([h for h in happened if isinstance(h, RecordingKept)]) == 1


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        ("1", RecordingAnswer.ALLOWED),
        ("2", RecordingAnswer.DENIED),
        ("91", RecordingAnswer.ALLOWED),
        ("999", RecordingAnswer.NO_RESPONSE),
        ("", RecordingAnswer.NO_RESPONSE),
    ],
)
@virtual
async def test_only_who_agrees_is_recorded(keys: str, answer: RecordingAnswer) -> None:
    async with told("always", "consent") as (centre, _):
        caller = await centre.call()
        for time, key in enumerate(keys):
            await caller.hears_times("recording_consent", time + 1)
            caller.press(key)
            await asyncio.sleep(0.1)
        await caller.hears_prompt("agent")
        await asyncio.sleep(0.5)
        assert (await centre.row(caller)).recording_answer is answer
        assert bool(await recordings(centre, caller)) == answer.agreed
        [proof] = await centre.ledger(caller)
        assert (proof.purpose, proof.outcome, proof.key) == ("recording", answer, keys[-1:] or None)


@virtual
async def test_a_crash_while_asking_asks_again_and_while_recording_records_on(tmp_path: Path) -> None:
    async with told("always", "consent") as (centre, engine):
        caller = await centre.call()
        await caller.hears_prompt("recording_consent")
        await engine.crash()
        caller.press("1")
        engine = await restart(centre, engine)
        await caller.hears_times("recording_consent", 2)
        caller.press("1")
        await caller.hears_prompt("agent")
        await asyncio.sleep(1)
        await engine.crash()
        engine = await restart(centre, engine)
        await asyncio.sleep(5)
        assert len(await recordings(centre, caller)) == 1
        await engine.crash()
        caller.hang_up()
        engine = await restart(centre, engine)
        await asyncio.sleep(1)
        keeper = Archive(centre, tmp_path).keeper(engine)
        for _ in range(3):
            await keeper.turn()
        [made] = await recordings(centre, caller)
        assert made.status is RecordingStatus.KEPT
        assert made.seconds > 5


@virtual
async def test_on_demand_the_caller_is_told_first_and_it_can_be_stopped(tmp_path: Path) -> None:
    async with told("on_demand") as (centre, engine):
        do = CallCommands(engine.house)
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await asyncio.sleep(0.5)
        call_id = (await centre.row(caller)).id
        with pytest.raises(Refused):
            await do.stop_recording(call_id)
        await do.record(call_id)
        await caller.hears_prompt("recording_notice", within_s=1)
        await caller.hears_prompt("agent")
        await asyncio.sleep(0.1)
        with pytest.raises(Refused):
            await do.record(call_id)
        await asyncio.sleep(3)
        await do.stop_recording(call_id)
        await asyncio.sleep(0.5)
        await do.record(call_id)
        await asyncio.sleep(2)
        assert len(caller.ears.times("recording_notice")) == 1, "told once a call"
        await do.stop_recording(call_id)
        await asyncio.sleep(0.5)
        keeper = Archive(centre, tmp_path).keeper(engine)
        for _ in range(2):
            await keeper.turn()
        assert [round(r.seconds) for r in await recordings(centre, caller)] == [3, 2]


@virtual
async def test_on_demand_a_refusal_stands() -> None:
    async with told("on_demand", "consent") as (centre, engine):
        do = CallCommands(engine.house)
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await asyncio.sleep(0.5)
        call_id = (await centre.row(caller)).id
        await do.record(call_id)
        await caller.hears_prompt("recording_consent", within_s=1)
        caller.press("2")
        await caller.hears_prompt("agent", within_s=1)
        await asyncio.sleep(0.5)
        row: Call = await centre.row(caller)
        assert (row.talk.asking, row.talk.recording) == (False, None)
        with pytest.raises(Refused):
            await do.record(call_id)
        assert not await recordings(centre, caller)


@virtual
async def test_queues_that_record_nothing_refuse() -> None:
    async with told("never") as (centre, engine):
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await asyncio.sleep(0.5)
        with pytest.raises(Refused):
            await CallCommands(engine.house).record((await centre.row(caller)).id)


@virtual
async def test_each_agent_has_a_recording_of_their_own_and_the_consultation_none(tmp_path: Path) -> None:
    async with told("always") as (centre, engine):
        await engine.desk.sign_in("ben")
        await engine.desk.sign_out("ben")
        do = CallCommands(engine.house)
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await asyncio.sleep(3)
        await engine.desk.sign_in("ben")
        call_id = (await centre.row(caller)).id
        await do.consult(call_id, ToAgent("ben"))
        await asyncio.sleep(2)
        await do.complete(call_id)
        await asyncio.sleep(4)
        caller.hang_up()
        await centre.nothing_left()
        await Archive(centre, tmp_path).keeper(engine).turn()
        assert [r.agent for r in await recordings(centre, caller)] == ["anna", "ben"]


@virtual
async def test_nothing_is_recorded_while_the_caller_holds(tmp_path: Path) -> None:
    async with told("always") as (centre, engine):
        await engine.desk.sign_in("ben")
        await engine.desk.sign_out("ben")
        do = CallCommands(engine.house)
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await asyncio.sleep(3)
        call_id = (await centre.row(caller)).id
        await do.hold(call_id)
        await asyncio.sleep(5)
        assert (await centre.row(caller)).talk.paused
        await do.resume(call_id)
        await asyncio.sleep(4)
        await engine.desk.sign_in("ben")
        await do.consult(call_id, ToAgent("ben"))
        await asyncio.sleep(3)
        await do.take_back(call_id)
        await asyncio.sleep(2)
        await do.stop_recording(call_id)
        await asyncio.sleep(2)
        await Archive(centre, tmp_path).keeper(engine).turn()
        assert [round(r.seconds) for r in await recordings(centre, caller)] == [3, 4, 2]


@virtual
async def test_what_cannot_be_recorded_keeps_nobody_from_talking() -> None:
    async with told("always") as (centre, engine):
        engine.telephony.faults["record_bridge"] = [Rejected("500 disk full")]
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await asyncio.sleep(2)
        assert caller.hears_now == "agent"
        row = await centre.row(caller)
        assert row.talk.recording is None
        assert any(isinstance(h, RecordingFailed) for h in await centre.happened(caller))
        assert [r.status for r in await recordings(centre, caller)] == [RecordingStatus.EMPTY]


@virtual
async def test_a_full_disk_is_tried_again_until_there_is_room(tmp_path: Path) -> None:
    async with told("always") as (centre, engine):
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await asyncio.sleep(3)
        caller.hang_up()
        await asyncio.sleep(1)
        archive = Archive(centre, tmp_path)
        archive.full = True
        keeper = archive.keeper(engine)
        for _ in range(3):
            await keeper.turn()
            await asyncio.sleep(10)
        assert [r.status for r in await recordings(centre, caller)] == [RecordingStatus.MAKING]
        archive.full = False
        await asyncio.sleep(60)
        await keeper.turn()
        await keeper.turn()
        assert [r.status for r in await recordings(centre, caller)] == [RecordingStatus.KEPT]


@pytest.mark.parametrize("why", ["age", "space"])
@virtual
async def test_what_is_too_old_or_too_much_is_deleted(why: str, tmp_path: Path) -> None:
    async with told("always") as (centre, engine):
        archive = Archive(centre, tmp_path)
        keeper = archive.keeper(engine)
        callers: list[Caller] = []
        for _ in range(2):
            caller = await centre.call()
            await caller.hears_prompt("agent")
            await asyncio.sleep(10)
            caller.hang_up()
            await asyncio.sleep(1)
            callers.append(caller)
            await keeper.turn()
            await keeper.turn()
        if why == "age":
            centre.clock.shift(91 * 86_400)
        else:
            archive.settings = RecordingSettings(keep_gigabytes=0.0002)
        await asyncio.sleep(61)
        await keeper.turn()
        left = [(await recordings(centre, caller))[0].status for caller in callers]
        kept = RecordingStatus.DELETED if why == "age" else RecordingStatus.KEPT
        assert left == [RecordingStatus.DELETED, kept]
        assert RecordingDeleted((await recordings(centre, callers[0]))[0].id, why) in await centre.happened(
            callers[0]
        )
        files = os.listdir(tmp_path)
        assert len(files) == sum(s is RecordingStatus.KEPT for s in left)
        assert sum(len(t.files) for t in await centre.tickets()) == len(files)
