"""Callers leave messages: whatever ends the call, or the engine, each message is on a ticket, once."""

from __future__ import annotations

import asyncio
import struct
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ivr_engine.domain.calls import EndReason
from ivr_engine.domain.events import VoicemailDropped, VoicemailKept, VoicemailStarted
from ivr_engine.errors import Unreachable
from ivr_engine.messaging.voicemail import VoicemailStorer, spoken
from ivr_engine.messaging.written import write_whole
from ivr_engine.sim.people import Caller
from ivr_engine.sim.recordings import SimRecordings
from tests.flow.centre import Centre, Engine, contact_centre, virtual
from tests.flow.crashes import failures_at_each_step, restart, successor

NODES: dict[str, Any] = {
    "message": {"voicemail": {"longest": 60, "then": "bye"}},
    "bye": {"hang_up": {}},
}
SITE: dict[str, Any] = {
    "numbers": {"100": {"flow": "main", "language": "de"}},
    "queues": {"support": {"label": "Support"}},
    "flows": {"main": {"start": "message", "nodes": NODES}},
}


def storer(centre: Centre, engine: Engine, folder: Path) -> VoicemailStorer:
    async def keep(name: str, content: bytes) -> None:
        write_whole(folder, name, content)

    return VoicemailStorer(
        store=engine.store,
        recordings=SimRecordings(engine.telephony),
        clock=centre.clock,
        keep=keep,
        engine=engine.telephony.name,
    )


async def speaking(centre: Centre) -> Caller:
    caller = await centre.call("100")
    await caller.hears_prompt("voicemail")
    await caller.hears_no_more("voicemail")
    await asyncio.sleep(0.1)
    return caller


async def on_one_ticket(centre: Centre, caller: Caller, folder: Path) -> None:
    row = await centre.row(caller)
    [ticket] = await centre.tickets()
    assert (ticket.id, ticket.caller, ticket.language) == (row.ticket_id, row.caller, "de")
    [file] = ticket.files
    assert (file.content_type, file.size) == ("audio/wav", (folder / file.file).stat().st_size)
    assert not centre.switch.tapes.recorded
    happened = await centre.happened(caller)
    assert len([h for h in happened if isinstance(h, VoicemailStarted)]) == 1
    assert len([h for h in happened if isinstance(h, VoicemailKept)]) == 1
    await centre.nothing_left()


@virtual
async def test_a_message_ended_by_hash_goes_on_and_is_on_a_ticket(tmp_path: Path) -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        caller = await speaking(centre)
        worker = storer(centre, engine, tmp_path)
        await worker.turn()
        assert not await centre.tickets(), "not while it is being recorded"
        await asyncio.sleep(5.0)
        caller.press("5")
        caller.press("#")
        await caller.hears_prompt("goodbye", within_s=1)
        await caller.ended()
        await worker.turn()
        await worker.turn()
        await on_one_ticket(centre, caller, tmp_path)
        assert (await centre.row(caller)).end_reason is EndReason.SAID_GOODBYE


@virtual
async def test_the_longest_message_ends_by_itself(tmp_path: Path) -> None:
    async with contact_centre(**SITE) as centre:
        centre.engine()
        caller = await speaking(centre)
        await caller.hears_prompt("goodbye", within_s=61)
        assert list(centre.switch.tapes.recorded.values()) == [60]


@virtual
async def test_a_message_outlives_the_caller_and_the_engine(tmp_path: Path) -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        caller = await speaking(centre)
        await engine.crash()
        await asyncio.sleep(4.0)
        caller.hang_up()
        engine = await restart(centre, engine)
        await asyncio.sleep(1.0)
        await storer(centre, engine, tmp_path).turn()
        await on_one_ticket(centre, caller, tmp_path)
        assert (await centre.row(caller)).end_reason is EndReason.GONE_DURING_OUTAGE


@virtual
async def test_the_recording_goes_on_through_a_crash_or_is_found_over(tmp_path: Path) -> None:
    for ends_while_dead in (False, True):
        async with contact_centre(**SITE) as centre:
            engine = centre.engine()
            caller = await speaking(centre)
            await engine.crash()
            await asyncio.sleep(4.0)
            if ends_while_dead:
                caller.press("#")
            engine = await restart(centre, engine)
            await asyncio.sleep(2.0)
            caller.press("#")
            await caller.ended()
            assert caller.ears.sounds.count("voicemail") == 1
            await storer(centre, engine, tmp_path).turn()
            await on_one_ticket(centre, caller, tmp_path)


@virtual
async def test_nothing_said_makes_no_ticket(tmp_path: Path) -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        caller = await speaking(centre)
        caller.hang_up()
        await asyncio.sleep(1.0)
        await storer(centre, engine, tmp_path).turn()
        assert not await centre.tickets()
        assert not centre.switch.tapes.recorded
        happened = await centre.happened(caller)
        assert [h for h in happened if isinstance(h, VoicemailDropped)]


@virtual
async def test_who_stays_and_says_nothing_leaves_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivr_engine.sim.recordings.TONE", b"\x20\x00\xe0\xff")
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        caller = await speaking(centre)
        await asyncio.sleep(5.0)
        caller.press("#")
        await caller.ended()
        await storer(centre, engine, tmp_path).turn()
        assert not await centre.tickets()
        assert [h for h in await centre.happened(caller) if isinstance(h, VoicemailDropped)]


@pytest.mark.parametrize(
    ("loud_s", "peak", "is_one"),
    [(0.0, 0, False), (0.1, 9000, False), (0.3, 9000, True), (0.3, 400, True), (60.0, 200, False)],
)
def test_a_message_has_a_voice_in_it(loud_s: float, peak: int, is_one: bool) -> None:
    silence, tone = bytes(16_000 * 3), struct.pack("<hh", peak, -peak) * int(4000 * loud_s)
    assert spoken(bytes(44) + silence + tone + silence + b"\x00", 0.2) is is_one


@virtual
async def test_what_fails_is_tried_again(tmp_path: Path) -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        caller = await speaking(centre)
        await asyncio.sleep(3.0)
        caller.hang_up()
        await asyncio.sleep(1.0)
        engine.telephony.faults["fetch"] = [Unreachable("no answer")]
        engine.telephony.faults["delete"] = [Unreachable("no answer")]
        worker = asyncio.create_task(storer(centre, engine, tmp_path).run())
        await asyncio.sleep(30.0)
        worker.cancel()
        await on_one_ticket(centre, caller, tmp_path)


async def _tell(folder: Path, last_step: int | None) -> list[str]:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine(last_step=last_step)
        worker = asyncio.create_task(storer(centre, engine, folder).run())
        caller = await centre.call("100")
        next_one = asyncio.create_task(_succeed(centre, engine, folder))
        await caller.hears_prompt("voicemail")
        await asyncio.sleep(10.0)
        caller.press("#")
        await caller.ended()
        await asyncio.sleep(10.0)
        for task in (worker, next_one):
            task.cancel()
        await asyncio.wait((worker, next_one))
        await on_one_ticket(centre, caller, folder)
        return engine.life.steps


async def _succeed(centre: Centre, engine: Engine, folder: Path) -> None:
    await storer(centre, await successor(centre, engine), folder).run()


def test_a_crash_at_every_step_of_a_message(tmp_path: Path) -> None:
    failures = failures_at_each_step(partial(_tell, tmp_path), at_least=20)
    assert not failures, "\n".join(failures)
