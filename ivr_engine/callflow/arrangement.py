"""Who hears whom while caller and agent talk: makes the telephone system follow what is stored.

Everything here can be asked for again: after a change, after an outage, and by the engine that takes over.
"""

from __future__ import annotations

import asyncio

import structlog

from ivr_engine.callflow import party
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call
from ivr_engine.domain.talk import Listener, Listening, Stage
from ivr_engine.errors import CallEnded, ExternalError, Gone, Rejected
from ivr_engine.ports import Leg

log = structlog.get_logger()


class Arrangement:
    """Of one call. ``known``: how it is already; ``None`` for an engine that cannot know."""

    def __init__(self, house: House, leg: Leg, known: Call | None) -> None:
        self._house = house
        self._leg = leg
        self._known = known
        self._parties = set(known.legs if known else ())
        self._recording: str | None = None
        self._said = ""

    @property
    def incomplete(self) -> bool:
        """Not everybody is where they belong: whoever is not there any more is told of soon, else it is to be
        tried again."""
        return self._known is None

    async def follow(self, call: Call) -> bool:
        """Make it so; false when it cannot be recorded. Whoever has left meanwhile is for others to notice,
        but for the caller: ``CallEnded``."""
        if call == self._known:
            return True
        try:
            await self._call_out(call)
            await self._seat(call)
            await self._mute(call)
            await self._overhear(call)
            self._known = call
        except party.HAS_LEFT as error:
            await self._leg.until(asyncio.sleep(0))
            self._known = None
            self._say(call, error)
        return await self.part(call)

    def _say(self, call: Call, error: Exception) -> None:
        """Once a trouble, not once a try; that somebody hung up is none."""
        if str(error) != self._said and not isinstance(error, Gone | CallEnded):
            log.warning("conversation.not_arranged", call=call.id, why=str(error), remedy="asked for again")
        self._said = str(error)

    async def part(self, call: Call) -> bool:
        """Whoever is no longer in the call is hung up on, what is no longer recorded is over. What a crash
        left behind is cleared away as strays are."""
        await self.leave_out(call)
        return await self._record(call)

    async def leave_out(self, call: Call) -> None:
        """Hang up on whoever is no longer in the call."""
        now = set(call.legs)
        await party.clear_away(self._house, *sorted(self._parties - now))
        self._parties = now

    async def _call_out(self, call: Call) -> None:
        """Ring whoever is to be rung; that one cannot be is found out by waiting for the answer."""
        talk, before = call.talk, set(self._known.talk.parties if self._known else ())
        now = self._house.clock.now()
        ringing: list[tuple[str, str, bool, float]] = []
        if talk.consult is not None and talk.consult.stage is Stage.RINGING:
            left_s = (talk.consult.ends_at - now).total_seconds()
            ringing.append((talk.consult.id, talk.consult.whom, talk.consult.agent is None, left_s))
        if talk.listener is not None and not talk.listener.there:
            left_s = (talk.listener.ends_at - now).total_seconds()
            ringing.append((talk.listener.id, talk.listener.agent, False, left_s))
        for id, whom, outside, left_s in ringing:
            if id not in before:
                dial = party.dialled(self._house, id, whom, call.caller, left_s, outside=outside)
                try:
                    await self._leg.until(dial)
                except (Rejected, Gone):
                    log.info("consult.not_dialled", outside=outside)

    async def _seat(self, call: Call) -> None:
        """Everybody in the room where they belong."""
        house, talk, consult = self._house, call.talk, call.talk.consult
        room = party.bridge_id(call.offer.id)
        agent = await house.telephony.adopt(party.leg_id(call.offer.id))
        if talk.caller_apart:
            await house.telephony.park(self._leg, house.music(call))
        if consult is None:
            await house.telephony.connect(room, [agent] if talk.held else [self._leg, agent])
        elif consult.stage is Stage.RINGING:
            await house.telephony.park(agent, house.music(call))
        else:
            third = await house.telephony.adopt(party.leg_id(consult.id))
            if consult.stage is Stage.PRIVATE:
                await house.telephony.connect(party.bridge_id(consult.id), [agent, third])
            else:
                await house.telephony.connect(room, [self._leg, agent, third])

    async def _mute(self, call: Call) -> None:
        if self._known is None or self._known.talk.muted != call.talk.muted:
            agent = await self._house.telephony.adopt(party.leg_id(call.offer.id))
            await agent.mute(call.talk.muted)

    async def _overhear(self, call: Call) -> None:
        listener = call.talk.listener
        before = self._known.talk.listener if self._known else None
        if before is not None and before.there and before != listener:
            await self._house.telephony.end_leg(party.snoop_id(before))
        if listener is not None and listener.there:
            await self._let_listen(call, listener)

    async def _let_listen(self, call: Call, listener: Listener) -> None:
        telephony = self._house.telephony
        by = await telephony.adopt(party.leg_id(listener.id))
        if listener.mode is Listening.BARGE:
            await telephony.connect(_room_of_agent(call), [by])
            return
        agent = await telephony.adopt(party.leg_id(call.offer.id))
        await telephony.overhear(
            agent,
            by,
            bridge_id=party.bridge_id(listener.id),
            snoop_id=party.snoop_id(listener),
            whisper=listener.mode is Listening.WHISPER,
        )

    async def _record(self, call: Call) -> bool:
        """What cannot be recorded keeps nobody from talking."""
        telephony, before, wanted = self._house.telephony, self._recording, call.talk.recording
        self._recording = wanted
        try:
            if before is not None and before != wanted:
                await telephony.end_recording(before)
            if wanted is not None and wanted != before:
                longest_s = self._house.site.recordings.longest
                await telephony.record(party.bridge_id(call.offer.id), wanted, longest_s=longest_s)
        except ExternalError as error:
            log.error("recording.failed", recording=wanted or before, why=str(error))
            return wanted is None
        return True


def _room_of_agent(call: Call) -> str:
    consult = call.talk.consult
    private = consult is not None and consult.stage is Stage.PRIVATE
    return party.bridge_id(consult.id if consult is not None and private else call.offer.id)
