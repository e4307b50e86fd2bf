"""What staff can do with a call while agent and caller talk. A command stores what shall be, and rings the
call's bell; its coroutine makes it so. Each is refused, with a reason, in a state where it makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from ivr_engine.callflow import agent, callback, conversation, recording
from ivr_engine.callflow.house import House
from ivr_engine.domain import handover
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import (
    AgentMuted,
    AgentUnmuted,
    CallHandedOn,
    CallHeld,
    CallResumed,
    ConferenceStarted,
    ConsultStarted,
    Happening,
    ListeningStarted,
    QueueEntered,
    TransferStarted,
)
from ivr_engine.domain.handover import Place
from ivr_engine.domain.numbers import to_e164
from ivr_engine.domain.records import replace
from ivr_engine.domain.talk import Consult, Listener, Listening, Stage, Talk
from ivr_engine.domain.waiting import line
from ivr_engine.errors import Refused
from ivr_engine.ports import Tx

log = structlog.get_logger()

OUTSIDE_RING_S: Final = 30.0
"""How long a number outside is rung."""


@dataclass(frozen=True, slots=True)
class ToQueue:
    name: str
    place: Place = Place.TIME


@dataclass(frozen=True, slots=True)
class ToAgent:
    name: str


@dataclass(frozen=True, slots=True)
class ToNumber:
    """As somebody wrote it; checked like every number that is dialled."""

    number: str


Target = ToQueue | ToAgent | ToNumber


def _named(target: Target) -> tuple[str, str]:
    """Kind and name, for the record."""
    if isinstance(target, ToNumber):
        return "number", target.number
    return ("queue" if isinstance(target, ToQueue) else "agent"), target.name


def _somebody_else(call: Call, name: str) -> None:
    if name in call.agents:
        raise Refused(f"{name} is in this call already")


class CallCommands:
    """Each returns the call as it is stored then. ``Refused(missing)``: no such call, queue or agent."""

    def __init__(self, house: House) -> None:
        self._house = house

    # ── hold and mute ────────────────────────────────────────────────────────────────────────────

    async def hold(self, call_id: str) -> Call:
        """The caller hears music."""
        return await self._talk(call_id, Talk.hold, CallHeld)

    async def resume(self, call_id: str) -> Call:
        return await self._talk(call_id, Talk.resume, CallResumed)

    async def mute(self, call_id: str) -> Call:
        """Nobody hears the agent."""
        return await self._talk(call_id, Talk.mute, AgentMuted)

    async def unmute(self, call_id: str) -> Call:
        return await self._talk(call_id, Talk.unmute, AgentUnmuted)

    # ── handing on without a word ────────────────────────────────────────────────────────────────

    async def transfer(self, call_id: str, target: Target) -> Call:
        """The agent is out of it at once. A caller whom the other side does not take is put back into the
        line at the place they had."""
        offer_id = self._house.new_id()

        def change(tx: Tx, call: Call) -> Call:
            call.talking().alone()
            after, happening = self._handed_on(tx, call, target, offer_id)
            agent.release(self._house, tx, call)
            if isinstance(target, ToAgent):
                agent.reserve(self._house, tx, target.name, after)
            return self._stored(tx, after, CallHandedOn(call.offer.agent, *_named(target)), *happening)

        return await self._change(call_id, change)

    def _handed_on(
        self, tx: Tx, call: Call, target: Target, offer_id: str
    ) -> tuple[Call, tuple[Happening, ...]]:
        house, now = self._house, self._house.clock.now()
        if isinstance(target, ToQueue):
            if target.name not in house.site.queues:
                raise Refused(f"the site has no queue {target.name!r}", missing=True)
            first = (
                line(tx.calls.open(queue=target.name), target.name)[:1] if target.place is Place.HEAD else ()
            )
            after = handover.to_line(
                call, target.name, first, now, house.site.first_announcement(target.name)
            )
            return after, (QueueEntered(target.name, tx.calls.ahead(after) + 1),)
        if isinstance(target, ToAgent):
            _somebody_else(call, target.name)
            ends_at = now + timedelta(seconds=self._ring_time(call))
            return handover.to_agent(call, target.name, offer_id, ends_at), ()
        number = self._allowed(target.number)
        ends_at = now + timedelta(seconds=OUTSIDE_RING_S)
        return handover.to_number(call, number, offer_id, ends_at), (TransferStarted(number),)

    # ── asking somebody first, and three together ────────────────────────────────────────────────

    async def consult(self, call_id: str, target: ToAgent | ToNumber) -> Call:
        """Ring somebody to speak to while the caller hears music. Whoever does not take it, or hangs up,
        leaves caller and agent as they were."""
        consult_id = self._house.new_id()

        def change(tx: Tx, call: Call) -> Call:
            talk = call.talking().consulting(self._consult(call, target, consult_id))
            if isinstance(target, ToAgent):
                agent.reserve(self._house, tx, target.name, call)
            whom = talk.at(Stage.RINGING).whom
            return self._stored(tx, replace(call, talk=talk), ConsultStarted(call.offer.agent, whom))

        return await self._change(call_id, change)

    async def complete(self, call_id: str) -> Call:
        """Whom the agent asked takes the caller; the agent is out of it."""

        def change(tx: Tx, call: Call) -> Call:
            call.talking().at(Stage.PRIVATE, Stage.JOINED)
            return conversation.hand_over(self._house, tx, call)

        return await self._change(call_id, change)

    async def take_back(self, call_id: str) -> Call:
        """Without whom the agent asked: also the end of a conference."""
        return await self._change(
            call_id, lambda tx, call: conversation.end_consult(self._house, tx, call, "taken_back")
        )

    async def conference(self, call_id: str) -> Call:
        """All three hear each other. If one of the two hangs up, the other goes on with the caller."""

        def change(tx: Tx, call: Call) -> Call:
            talk = call.talking().staged(Stage.JOINED)
            whom = talk.at(Stage.JOINED).whom
            return self._stored(tx, replace(call, talk=talk), ConferenceStarted(call.offer.agent, whom))

        return await self._change(call_id, change)

    # ── supervisors ──────────────────────────────────────────────────────────────────────────────

    async def listen(self, call_id: str, listener: str, mode: Listening) -> Call:
        """Ring the phone of ``listener``, who then takes part; or, when they do already, in another way."""
        listener_id = self._house.new_id()

        def change(tx: Tx, call: Call) -> Call:
            if listener in call.agents and not self._listens(call, listener):
                raise Refused(f"{listener} talks in this call")
            ends_at = self._house.clock.now() + timedelta(seconds=self._ring_time(call))
            new = Listener(id=listener_id, agent=listener, mode=mode, ends_at=ends_at)
            talk = call.talking().listened_to(new)
            if talk.listener == new:
                agent.reserve(self._house, tx, listener, call)
            return self._stored(tx, replace(call, talk=talk), ListeningStarted(listener, mode))

        return await self._change(call_id, change)

    async def stop_listening(self, call_id: str) -> Call:
        return await self._change(
            call_id, lambda tx, call: conversation.end_listening(self._house, tx, call, "stopped")
        )

    # ── recording ────────────────────────────────────────────────────────────────────────────────

    async def record(self, call_id: str) -> Call:
        """Record both sides from now on, once the caller has been told or has agreed."""
        return await self._change(
            call_id, lambda tx, call: self._stored(tx, recording.wanted(self._house, tx, call))
        )

    async def stop_recording(self, call_id: str) -> Call:
        """What was recorded until now is kept."""
        return await self._change(
            call_id, lambda tx, call: self._stored(tx, recording.stopped(self._house, tx, call))
        )

    # ── callbacks ────────────────────────────────────────────────────────────────────────────────

    async def cancel_callback(self, call_id: str) -> Call:
        """Of a caller who waits to be called back."""
        return await callback.cancel(self._house, call_id)

    # ── how ──────────────────────────────────────────────────────────────────────────────────────

    def _listens(self, call: Call, name: str) -> bool:
        return call.talk.listener is not None and call.talk.listener.agent == name

    def _consult(self, call: Call, target: ToAgent | ToNumber, consult_id: str) -> Consult:
        now = self._house.clock.now()
        if isinstance(target, ToAgent):
            _somebody_else(call, target.name)
            return Consult(id=consult_id, agent=target.name, ends_at=self._until(now, self._ring_time(call)))
        number = self._allowed(target.number)
        return Consult(id=consult_id, number=number, ends_at=self._until(now, OUTSIDE_RING_S))

    @staticmethod
    def _until(now: datetime, seconds: float) -> datetime:
        return now + timedelta(seconds=seconds)

    def _ring_time(self, call: Call) -> float:
        """Also when the queue was taken out of the configuration."""
        queue = self._house.site.queues.get(call.queue)
        return queue.ring_time if queue is not None else OUTSIDE_RING_S

    def _allowed(self, number: str) -> str:
        site = self._house.site
        refused = site.why_not_dialled(number)
        if refused is not None:
            log.warning("transfer.refused", reason=refused)
            raise Refused(f"that number is not dialled: {refused}; see 'transfers.allow'")
        return to_e164(number, site.country) or number

    async def _talk(
        self, call_id: str, change: Callable[[Talk], Talk], happening: Callable[[str], Happening]
    ) -> Call:
        def write(tx: Tx, call: Call) -> Call:
            after = replace(call, talk=change(call.talking()))
            return self._stored(tx, after, happening(call.offer.agent))

        return await self._change(call_id, write)

    def _stored(self, tx: Tx, call: Call, *happenings: Happening) -> Call:
        tx.calls.save(call)
        tx.events.add(self._house.clock.now(), call.id, *happenings)
        return call

    async def _change(self, call_id: str, change: Callable[[Tx, Call], Call]) -> Call:
        def write(tx: Tx) -> Call:
            call = tx.calls.get(call_id)
            if call.engine != self._house.telephony.name and call.ended_at is None:
                raise Refused(f"call {call_id} is in the hands of engine {call.engine}: ask that one")
            return recording.as_arranged(self._house, tx, change(tx, call))

        after = await self._house.store.run(write)
        self._house.bells.ring(call_id)
        return after
