"""Waiting in the line: music, and at each interval a round of announcements, until an agent is reserved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from ivr_engine.callflow import capacity, consent, leaving, offering
from ivr_engine.callflow.house import House
from ivr_engine.domain.announcements import WaitRange, message_of_round, said_of_wait, says_position
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.events import Happening, PositionAnnounced, WaitAnnounced
from ivr_engine.domain.records import replace
from ivr_engine.domain.wait_estimate import Estimate
from ivr_engine.domain.wait_watch import QueueWaits
from ivr_engine.ports import Failed, Leg, Prompt, Seat, Tx
from ivr_engine.site.models import POSITIONS

log = structlog.get_logger()


async def wait(house: House, leg: Leg, call: Call, seat: Seat) -> Call:
    """Music and announcements by turns; returns the call as it stands when an agent is reserved, or when the
    caller was led out of the line.

    An announcement is cut short the moment that happens; a round cut short does not count.
    """
    await leg.stop_playing()
    queue = call.queue
    if not _begins_with_round(house, call):
        call = await leaving.if_due(house, call)
    while call.may_be_offered and call.queue == queue and not seat.called:
        async with seat.interrupting():
            call = await capacity.look(house.for_a_step(), leg, call)
            if call.may_be_offered and call.queue == queue and await _music(house, leg, call):
                call = await _announce(house.for_a_step(), leg, call)
    await leg.stop_playing()
    call = await house.store.run(lambda tx: tx.calls.get(call.id))
    seat.heard()
    house.message_queued()  # an SMS allowed in the very moment of the cut stands in the outbox
    return call


def _begins_with_round(house: House, call: Call) -> bool:
    """Then whether the caller leaves is decided with the round: one transaction less for each who comes."""
    due = call.chapter is Chapter.ANNOUNCING or (
        call.chapter is Chapter.WAITING and call.music_left_s(house.clock.now()) <= 0
    )
    return due and house.site.queue(call.queue).over_capacity is None


async def _music(house: House, leg: Leg, call: Call) -> bool:
    """Until it is time for the next round; ``False``: before that it is time to look at the capacity."""
    if call.chapter is not Chapter.WAITING:
        return True
    left_s, look_s = call.music_left_s(house.clock.now()), capacity.next_look_s(house.for_a_step(), call)
    if look_s is not None and look_s < left_s:
        await leg.until(asyncio.sleep(look_s))
        return False
    await leg.until(asyncio.sleep(left_s))
    return True


async def _announce(house: House, leg: Leg, call: Call) -> Call:
    """One round: what the queue says of place and wait, then the consent message when it is offered; then
    back to the music."""
    if call.chapter in (Chapter.WAITING, Chapter.ANNOUNCING):
        waits = await house.waits(call.queue) if house.site.needs_estimate(call.queue) else None
        before = call
        call, prompts = await _begin_round(house, call, waits)
        if leaving.is_out(before, call):
            return call
        if prompts:
            await _say(leg, prompts)
            call = await house.store.run(lambda tx: _ask_or_skip(house, tx, tx.calls.get(call.id), waits))
    if call.chapter is Chapter.CONSENT:
        call = await consent.converse(house, leg, call)
    if call.chapter is Chapter.THANKING:
        await _say(leg, [house.prompt(call, "sms_sent")])
    return await _back_to_music(house, call)


async def _say(leg: Leg, prompts: Sequence[Prompt]) -> None:
    heard = await leg.play(prompts)
    if isinstance(heard, Failed):
        log.error("prompt.not_heard", prompts=[prompt.name for prompt in prompts], why=heard.why)


async def _begin_round(house: House, call: Call, waits: QueueWaits | None) -> tuple[Call, list[Prompt]]:
    """The round's first chapter, and what is to be said in it before the question; when that is nothing, the
    question's chapter. Whose time in the line is over is led out instead."""

    def write(tx: Tx) -> tuple[Call, list[Prompt]]:
        before = tx.calls.get(call.id)
        current = leaving.stored_if_due(house, tx, before)
        if leaving.is_out(before, current) or not current.may_be_offered:
            return current, []
        said = _Round(house, tx, current, waits)
        if not said.prompts:
            return _ask_or_skip(house, tx, current, waits), []
        rounds = current.stay.rounds + (current.chapter is Chapter.WAITING)
        current = replace(current.at(Chapter.ANNOUNCING), stay=replace(current.stay, rounds=rounds))
        tx.calls.save(current)
        tx.events.add(house.clock.now(), call.id, *said.happenings)
        return current, said.prompts

    return await house.store.run(write)


class _Round:
    """What is said to a caller, and what is noted about it."""

    def __init__(self, house: House, tx: Tx, call: Call, waits: QueueWaits | None) -> None:
        rules = house.site.announcements(call.queue)
        # Counting a long line costs: only for those who hear of it.
        ahead = tx.calls.ahead(call) if rules.position or rules.wait else 0
        self.prompts: list[Prompt] = []
        self.happenings: list[Happening] = []
        if says_position(rules, ahead + 1):
            self.prompts.append(position_prompt(house, call, ahead + 1))
            self.happenings.append(PositionAnnounced(ahead + 1))
        estimate = waits.waiting(ahead) if waits is not None else None
        wait = said_of_wait(rules, estimate)
        if wait is not None and waits is not None and estimate is not None:
            self.prompts.append(house.prompt(call, wait.prompt))
            theirs = waits.app_queue.expected_s(call.waited_s(house.clock.now()))
            self.happenings.append(_announced(wait, estimate, theirs))
        message = message_of_round(rules, call.stay.rounds - (call.chapter is Chapter.ANNOUNCING))
        if message is not None:
            self.prompts.append(house.prompt(call, message))


def _announced(wait: WaitRange, estimate: Estimate, app_queue_s: float) -> WaitAnnounced:
    return WaitAnnounced(
        said=wait.prompt,
        p50_s=round(estimate.p50_s, 1),
        p80_s=round(estimate.p80_s, 1),
        expected_s=round(estimate.expected_s, 1),
        app_queue_s=round(app_queue_s, 1),
    )


def _ask_or_skip(house: House, tx: Tx, call: Call, waits: QueueWaits | None) -> Call:
    """On to the consent chapter, or stay with the reason on record."""
    if not call.may_be_offered:
        return call
    needed = waits is not None and house.site.rules_for(call.queue).has_window
    wait = waits.waiting(tx.calls.ahead(call)) if needed and waits is not None else None
    return offering.ask_or_skip(house, tx, call, wait)[0]


async def _back_to_music(house: House, call: Call) -> Call:
    interval = house.site.interval(call.queue)

    def write(tx: Tx) -> Call:
        current = tx.calls.get(call.id)
        if current.may_be_offered:
            current = current.waiting_again(house.clock.now(), interval)
            tx.calls.save(current)
        return current

    return await house.store.run(write)


def position_prompt(house: House, call: Call, position: int) -> Prompt:
    name = f"position.{position}" if position <= POSITIONS else "position.more"
    return house.prompt(call, name)
