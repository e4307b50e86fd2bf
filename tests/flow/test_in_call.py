"""What an agent can do with a caller: hold, mute, transfer, consult, conference; and who listens in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ivr_engine.callflow.commands import CallCommands, ToAgent, ToNumber, ToQueue
from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.events import CallHandedOver, ConsultEnded
from ivr_engine.domain.handover import Place
from ivr_engine.domain.talk import Listening, Stage
from ivr_engine.errors import ExternalError, Gone, NotInStasis, NotUp, Refused, Rejected
from ivr_engine.sim.clock import chance
from ivr_engine.sim.people import (
    AgentPhone,
    Behaviour,
    Caller,
    answers,
    busy,
    declines,
    does_not_answer,
)
from tests.flow.centre import Centre, Engine, contact_centre, virtual
from tests.flow.crashes import restart

NUMBER = "+493012345678"
SITE: dict[str, Any] = {
    "transfers": {"trunk": "trunk", "allow": ["+4930"]},
    "queues": {
        "support": {"label": "Support", "ring_time": 20},
        "sales": {"label": "Sales", "ring_time": 20, "announce_position": False},
    },
    "agents": {
        "anna": {"label": "Anna", "queues": ["support"]},
        "ben": {"label": "Ben", "queues": ["sales"]},
        "cleo": {"label": "Cleo", "queues": []},
    },
}


@dataclass
class Stand:
    """Anna talks to a caller; Ben and Cleo are free."""

    centre: Centre
    engine: Engine
    caller: Caller
    anna: AgentPhone
    ben: AgentPhone
    cleo: AgentPhone
    outside: AgentPhone

    @property
    def do(self) -> CallCommands:
        return CallCommands(self.engine.house)

    async def row(self) -> Call:
        return await self.centre.row(self.caller)

    async def now(self, command: Callable[..., Awaitable[Call]], *args: Any) -> None:
        """Carry a command out, and wait a moment."""
        await command((await self.row()).id, *args)
        await asyncio.sleep(0.5)

    async def state(self, name: str) -> AgentState:
        return (await self.centre.agent(name)).state

    def hear(self, **what: str) -> None:
        heard = {name: getattr(self, name).hears_now for name in what}
        assert heard == what

    async def crash(self, after_s: float = 1.0) -> None:
        await self.engine.crash()
        self.engine = await restart(self.centre, self.engine, after_s=after_s)
        await asyncio.sleep(1.0)

    async def over(self) -> None:
        """Everybody has hung up, and nothing is left."""
        await self.caller.ended(within_s=2)
        await self.centre.nothing_left()


@asynccontextmanager
async def talking(
    ben: Behaviour | None = None, outside: Behaviour | None = None, **changes: Any
) -> AsyncGenerator[Stand]:
    async with contact_centre(**(SITE | changes)) as centre:
        engine = centre.engine()
        phones = [
            centre.phone("anna", answers(1.0)),
            centre.phone("ben", ben or answers(1.0)),
            centre.phone("cleo", answers(1.0)),
            centre.phone(NUMBER, outside or answers(1.0)),
        ]
        for name in ("anna", "ben", "cleo"):
            await engine.desk.sign_in(name)
        caller = await centre.call()
        await caller.hears_prompt("agent")
        await asyncio.sleep(0.5)
        yield Stand(centre, engine, caller, *phones)


# ── hold and mute ────────────────────────────────────────────────────────────────────────────────


@virtual
async def test_on_hold_the_caller_hears_music_and_then_the_agent_again() -> None:
    async with talking() as stand:
        await stand.now(stand.do.hold)
        stand.hear(caller="music", anna="silence")
        with pytest.raises(Refused):
            await stand.now(stand.do.hold)
        await stand.now(stand.do.resume)
        stand.hear(caller="agent", anna="caller")
        with pytest.raises(Refused):
            await stand.now(stand.do.resume)
        stand.anna.calls[0].end()
        await stand.over()


@virtual
async def test_muted_the_agent_hears_and_is_not_heard() -> None:
    async with talking() as stand:
        await stand.now(stand.do.mute)
        stand.hear(caller="silence", anna="caller")
        await stand.now(stand.do.unmute)
        stand.hear(caller="agent", anna="caller")
        with pytest.raises(Refused):
            await stand.now(stand.do.unmute)


@virtual
async def test_hold_and_mute_outlive_the_engine_and_can_be_ended() -> None:
    async with talking() as stand:
        await stand.now(stand.do.mute)
        await stand.now(stand.do.hold)
        await stand.crash()
        stand.hear(caller="music", anna="silence")
        await stand.now(stand.do.resume)
        stand.hear(caller="silence", anna="caller")
        await stand.now(stand.do.unmute)
        stand.hear(caller="agent")


@virtual
async def test_what_was_stored_and_not_done_at_the_crash_is_done_after_it() -> None:
    async with talking() as stand:
        await stand.now(stand.do.mute)
        row = await stand.row()
        await stand.do.unmute(row.id)
        await stand.do.hold(row.id)
        await stand.engine.crash()
        stand.hear(caller="silence", anna="caller")
        stand.engine = await restart(stand.centre, stand.engine)
        await asyncio.sleep(1)
        stand.hear(caller="music")
        await stand.now(stand.do.resume)
        stand.hear(caller="agent", anna="caller")


@virtual
async def test_commands_are_refused_where_they_make_no_sense() -> None:
    async with contact_centre(**SITE) as centre:
        engine = centre.engine()
        do = CallCommands(engine.house)
        caller = await centre.call()
        await caller.hears_prompt("music")
        waiting = (await centre.row(caller)).id
        tries: list[Awaitable[Call]] = [
            do.hold(waiting),
            do.mute(waiting),
            do.transfer(waiting, ToQueue("sales")),
            do.consult(waiting, ToAgent("ben")),
            do.complete(waiting),
            do.conference(waiting),
            do.take_back(waiting),
            do.listen(waiting, "cleo", Listening.LISTEN),
            do.stop_listening(waiting),
            do.hold("nobody"),
        ]
        for each in tries:
            with pytest.raises(Refused):
                await each
        assert caller.hears_now == "music"


# ── blind transfer ───────────────────────────────────────────────────────────────────────────────


@virtual
async def test_to_another_agent() -> None:
    async with talking() as stand:
        await stand.now(stand.do.transfer, ToAgent("ben"))
        assert await stand.state("anna") is AgentState.AVAILABLE
        stand.hear(caller="music")
        await stand.caller.hears_prompt("agent")
        await asyncio.sleep(0.1)
        row = await stand.row()
        assert (row.chapter, row.agent) == (Chapter.TALKING, "ben")
        assert len(await stand.centre.tickets()) == 1
        stand.ben.calls[0].end()
        await stand.over()


@pytest.mark.parametrize("ben", [busy(), declines(), does_not_answer])
@virtual
async def test_an_agent_who_does_not_take_it_leaves_the_caller_at_their_place(ben: Behaviour) -> None:
    async with talking(ben=ben) as stand:
        entered_at = (await stand.row()).entered_at
        await stand.now(stand.do.transfer, ToAgent("ben"))
        await stand.caller.hears_prompt("agent", within_s=30)
        row = await stand.row()
        assert (row.agent, row.entered_at) == ("anna", entered_at)
        assert await stand.state("ben") is AgentState.RONA


@virtual
async def test_to_an_agent_who_is_not_free_is_refused() -> None:
    async with talking() as stand:
        for name in ("anna", "nobody"):
            with pytest.raises(Refused):
                await stand.now(stand.do.transfer, ToAgent(name))
        await stand.engine.desk.sign_out("ben")
        with pytest.raises(Refused):
            await stand.now(stand.do.transfer, ToAgent("ben"))
        stand.hear(caller="agent", anna="caller")
        assert await stand.state("anna") is AgentState.ON_CONTACT


@pytest.mark.parametrize("place", [Place.HEAD, Place.TIME])
@virtual
async def test_to_a_queue_at_its_head_or_by_time(place: Place) -> None:
    numbers = {"700": {"queue": "support"}, "800": {"queue": "sales", "priority": 3}}
    async with talking(numbers=numbers) as stand:
        await stand.engine.desk.sign_out("ben")
        other = await stand.centre.call("800", caller="+4915112345699")
        await asyncio.sleep(1)
        await stand.now(stand.do.transfer, ToQueue("sales", place))
        stand.hear(caller="music")
        assert await stand.centre.position(stand.caller) == (1 if place is Place.HEAD else 2)
        await stand.engine.desk.sign_in("ben")
        first = stand.caller if place is Place.HEAD else other
        await first.hears_prompt("agent")


@virtual
async def test_to_a_number_outside() -> None:
    async with talking() as stand:
        await stand.now(stand.do.transfer, ToNumber("030 12345678"))
        assert await stand.state("anna") is AgentState.AVAILABLE
        await stand.caller.hears_prompt("agent")
        assert (await stand.row()).state == "transferred"
        await stand.crash()
        stand.hear(caller="agent", outside="caller")
        stand.outside.calls[0].end()
        await stand.over()
        assert (await stand.row()).end_reason is EndReason.TRANSFER_OVER


@virtual
async def test_a_number_that_does_not_answer_leaves_the_caller_in_the_line() -> None:
    async with talking(outside=busy()) as stand:
        await stand.now(stand.do.transfer, ToNumber(NUMBER))
        await stand.caller.hears_prompt("agent", within_s=5)
        assert (await stand.row()).agent == "anna"


@pytest.mark.parametrize("number", ["110", "+49900123456", "+33123456789", "hello", "+49112"])
@virtual
async def test_numbers_that_may_not_be_dialled_are_refused(number: str) -> None:
    async with talking() as stand:
        for command in (stand.do.transfer, stand.do.consult):
            with pytest.raises(Refused):
                await stand.now(command, ToNumber(number))
        stand.hear(caller="agent", anna="caller")


# ── attended transfer and conference ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("crash", [False, True])
@virtual
async def test_an_attended_transfer(crash: bool) -> None:
    async with talking() as stand:
        await stand.now(stand.do.consult, ToAgent("ben"))
        stand.hear(caller="music", anna="music", ben="ringing")
        await stand.ben.rings()
        await asyncio.sleep(1)
        stand.hear(caller="music", anna="agent", ben="agent")
        if crash:
            await stand.crash()
            stand.hear(caller="music", anna="agent", ben="agent")
        await stand.now(stand.do.complete)
        stand.hear(caller="agent", ben="caller")
        assert stand.anna.call is None
        assert await stand.state("anna") is AgentState.AVAILABLE
        assert await stand.state("ben") is AgentState.ON_CONTACT
        assert CallHandedOver("anna", "ben") in await stand.centre.happened(stand.caller)
        if crash:
            await stand.crash()
            stand.hear(caller="agent", ben="caller")
        stand.ben.calls[0].end()
        await stand.over()


@virtual
async def test_an_attended_transfer_to_a_number() -> None:
    async with talking() as stand:
        await stand.now(stand.do.consult, ToNumber(NUMBER))
        await asyncio.sleep(1)
        stand.hear(caller="music", anna="agent", outside="agent")
        await stand.now(stand.do.complete)
        stand.hear(caller="agent", outside="caller")
        assert (await stand.row()).state == "transferred"
        await stand.crash()
        stand.hear(caller="agent", outside="caller")
        stand.caller.hang_up()
        await stand.over()


@pytest.mark.parametrize("ben", [busy(), declines(), does_not_answer, answers(1.0, talks_s=1.0)])
@virtual
async def test_the_caller_is_the_agents_again_when_the_other_side_is_not_there(ben: Behaviour) -> None:
    async with talking(ben=ben) as stand:
        await stand.now(stand.do.consult, ToAgent("ben"))
        await stand.caller.hears_prompt("agent", within_s=30)
        stand.hear(anna="caller")
        assert any(isinstance(h, ConsultEnded) for h in await stand.centre.happened(stand.caller))
        assert (await stand.row()).talk.consult is None
        assert await stand.state("anna") is AgentState.ON_CONTACT
        assert await stand.state("ben") in (AgentState.RONA, AgentState.AVAILABLE)


@pytest.mark.parametrize("after_s", [0.2, 2.0])
@virtual
async def test_the_agent_takes_the_caller_back(after_s: float) -> None:
    async with talking() as stand:
        await stand.now(stand.do.consult, ToAgent("ben"))
        await asyncio.sleep(after_s)
        await stand.now(stand.do.take_back)
        stand.hear(caller="agent", anna="caller")
        assert stand.ben.call is None
        assert await stand.state("ben") is AgentState.AVAILABLE


@pytest.mark.parametrize("answered", [False, True])
@virtual
async def test_an_agent_who_hangs_up_while_asking_hands_the_caller_over(answered: bool) -> None:
    async with talking(ben=answers(4.0)) as stand:
        await stand.now(stand.do.consult, ToAgent("ben"))
        await asyncio.sleep(5 if answered else 0.5)
        stand.anna.calls[0].end()
        await stand.caller.hears_prompt("agent", within_s=6)
        stand.hear(ben="caller")
        assert len(stand.ben.calls) == 1
        assert (await stand.row()).agent == "ben"


@virtual
async def test_an_agent_who_hangs_up_while_a_number_rings_hands_the_caller_on_to_it() -> None:
    async with talking(outside=answers(4.0)) as stand:
        await stand.now(stand.do.consult, ToNumber(NUMBER))
        stand.anna.calls[0].end()
        await asyncio.sleep(0.5)
        stand.hear(caller="music")
        await stand.crash()
        await stand.caller.hears_prompt("agent", within_s=6)
        stand.hear(outside="caller")
        assert len(stand.outside.calls) == 1


@virtual
async def test_the_caller_hangs_up_while_the_agent_asks() -> None:
    async with talking() as stand:
        await stand.now(stand.do.consult, ToAgent("ben"))
        await asyncio.sleep(1)
        stand.caller.hang_up()
        await stand.over()
        assert await stand.state("anna") is AgentState.AVAILABLE
        assert await stand.state("ben") is AgentState.AVAILABLE


@pytest.mark.parametrize("who_leaves", ["anna", "ben"])
@virtual
async def test_a_conference_of_three(who_leaves: str) -> None:
    async with talking() as stand:
        await stand.now(stand.do.consult, ToAgent("ben"))
        with pytest.raises(Refused):
            await stand.now(stand.do.conference)
        await asyncio.sleep(1)
        await stand.now(stand.do.conference)
        stand.hear(caller="anna+ben", anna="ben+caller", ben="anna+caller")
        with pytest.raises(Refused):
            await stand.now(stand.do.hold)
        await stand.crash()
        stand.hear(caller="anna+ben", anna="ben+caller", ben="anna+caller")
        getattr(stand, who_leaves).calls[0].end()
        await asyncio.sleep(0.5)
        other = "ben" if who_leaves == "anna" else "anna"
        stand.hear(caller="agent", **{other: "caller"})
        row = await stand.row()
        assert (row.agent, row.talk.consult) == (other, None)
        assert await stand.state(who_leaves) is AgentState.AVAILABLE
        stand.caller.hang_up()
        await stand.over()


@pytest.mark.parametrize("refusal", [Gone("404"), NotInStasis("409"), NotUp("412"), Rejected("500")])
@virtual
async def test_what_asterisk_refuses_although_nobody_left_is_asked_for_again(refusal: ExternalError) -> None:
    async with talking() as stand:
        await stand.now(stand.do.consult, ToAgent("ben"))
        await asyncio.sleep(1)
        stand.engine.telephony.faults["connect"] = [refusal]
        await stand.now(stand.do.conference)
        await asyncio.sleep(1)
        stand.hear(caller="anna+ben", anna="ben+caller", ben="anna+caller")


@virtual
async def test_two_commands_at_once_have_one_winner() -> None:
    async with talking() as stand:
        await stand.now(stand.do.consult, ToAgent("ben"))
        await asyncio.sleep(1)
        call_id = (await stand.row()).id
        both = await asyncio.gather(
            stand.do.complete(call_id), stand.do.take_back(call_id), return_exceptions=True
        )
        assert [type(one) for one in both].count(Refused) == 1
        await asyncio.sleep(1)
        row = await stand.row()
        assert stand.caller.hears_now == "agent"
        assert getattr(stand, row.agent or "").hears_now == "caller"


# ── listening ────────────────────────────────────────────────────────────────────────────────────


@virtual
async def test_a_supervisor_listens_whispers_and_barges_in() -> None:
    async with talking() as stand:
        await stand.now(stand.do.listen, "cleo", Listening.LISTEN)
        await asyncio.sleep(1)
        stand.hear(caller="agent", anna="caller", cleo="anna+caller")
        assert await stand.state("cleo") is AgentState.ON_CONTACT
        await stand.now(stand.do.listen, "cleo", Listening.WHISPER)
        stand.hear(caller="agent", anna="caller+cleo", cleo="anna+caller")
        await stand.crash()
        stand.hear(caller="agent", anna="caller+cleo", cleo="anna+caller")
        await stand.now(stand.do.listen, "cleo", Listening.BARGE)
        stand.hear(caller="anna+cleo", anna="caller+cleo", cleo="anna+caller")
        await stand.now(stand.do.stop_listening)
        stand.hear(caller="agent", anna="caller")
        assert stand.cleo.call is None
        assert await stand.state("cleo") is AgentState.AVAILABLE
        stand.caller.hang_up()
        await stand.over()


@virtual
async def test_listening_ends_with_the_talk_and_with_the_listener() -> None:
    async with talking() as stand:
        await stand.now(stand.do.listen, "cleo", Listening.LISTEN)
        await asyncio.sleep(1)
        stand.cleo.calls[0].end()
        await asyncio.sleep(0.5)
        stand.hear(caller="agent", anna="caller")
        assert (await stand.row()).talk.listener is None
        await stand.now(stand.do.listen, "cleo", Listening.LISTEN)
        await asyncio.sleep(1)
        with pytest.raises(Refused):
            await stand.now(stand.do.listen, "ben", Listening.LISTEN)
        stand.anna.calls[0].end()
        await stand.over()
        assert await stand.state("cleo") is AgentState.AVAILABLE


@pytest.mark.parametrize("who", ["caller", "agent"])
@virtual
async def test_who_listened_is_hung_up_on_though_the_talk_ends_that_moment(who: str) -> None:
    async with talking() as stand:
        await stand.now(stand.do.listen, "cleo", Listening.LISTEN)
        await asyncio.sleep(1)
        await stand.do.stop_listening((await stand.row()).id)
        if who == "caller":
            stand.caller.hang_up()
        else:
            stand.anna.calls[0].end()
        await stand.over()
        assert stand.cleo.call is None


# ── a crash at every step ────────────────────────────────────────────────────────────────────────


@virtual
async def test_a_transfer_killed_at_any_step_leaves_the_caller_with_somebody() -> None:
    """Whatever the moment, caller and exactly one agent talk afterwards, and nobody else is kept."""
    for step in range(1, 60):
        chance().seed(0)  # the same steps each time, so that each of them is died at
        async with talking() as stand:
            await stand.now(stand.do.consult, ToAgent("ben"))
            await asyncio.sleep(1)
            call_id = (await stand.row()).id
            stand.engine.life.dies_after(step)
            done = asyncio.ensure_future(stand.do.complete(call_id))
            await asyncio.wait([done], timeout=0.5)
            if not stand.engine.life.dead.is_set():
                break
            done.cancel()
            await asyncio.wait([done])
            stand.engine = await restart(stand.centre, stand.engine)
            await asyncio.sleep(1)
            row = await stand.row()
            if row.agent == "ben":
                stand.hear(caller="agent", ben="caller")
                assert stand.anna.call is None
                assert await stand.state("anna") is AgentState.AVAILABLE
            else:
                assert row.talk.at(Stage.PRIVATE).agent == "ben"
                stand.hear(caller="music", anna="agent", ben="agent")
            stand.caller.hang_up()
            await stand.over()
    else:
        raise AssertionError("never got through")
