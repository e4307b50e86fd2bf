"""Waiting in the line: music, and at each interval a round of announcements, until an agent is reserved."""

from __future__ import annotations

import asyncio

import structlog

from ivr_engine.callflow import consent
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.consent import NotOffered, why_not_offered
from ivr_engine.domain.events import ConsentAsked, ConsentNotOffered, Happening, PositionAnnounced
from ivr_engine.domain.numbers import receiver
from ivr_engine.ports import Failed, Leg, Prompt, Seat, Tx
from ivr_engine.site.models import POSITIONS

log = structlog.get_logger()


async def wait(house: House, leg: Leg, call: Call, seat: Seat) -> Call:
    """Music and announcements by turns; returns the call as it stands when an agent is reserved.

    An announcement is cut short the moment that happens; a round cut short does not count.
    """
    await leg.stop_playing()
    house.line.caller_waits()
    while call.may_be_offered and not seat.called:
        async with seat.interrupting():
            if call.chapter is Chapter.WAITING:
                await leg.until(asyncio.sleep(call.music_left_s(house.clock.now())))
            call = await _announce(house.for_a_step(), leg, call)
    await leg.stop_playing()
    call = await house.store.run(lambda tx: tx.calls.get(call.id))
    seat.heard()
    house.message_queued()  # an SMS allowed in the very moment of the cut stands in the outbox
    return call


async def _announce(house: House, leg: Leg, call: Call) -> Call:
    """One round: the position, then the consent message when it is offered; then back to the music."""
    if call.chapter in (Chapter.WAITING, Chapter.ANNOUNCING):
        call, position = await _begin_round(house, call)
        if position is not None:
            await _say(leg, _position_prompt(house, call, position))
            call = await _go_on_to_consent(house, call)
    if call.chapter is Chapter.CONSENT:
        call = await consent.converse(house, leg, call)
    if call.chapter is Chapter.THANKING:
        await _say(leg, house.prompt(call, "sms_sent"))
    return await _back_to_music(house, call)


async def _say(leg: Leg, prompt: Prompt) -> None:
    heard = await leg.play([prompt])
    if isinstance(heard, Failed):
        log.error("prompt.not_heard", prompt=prompt.name, why=heard.why)


async def _begin_round(house: House, call: Call) -> tuple[Call, int | None]:
    """The round's first chapter, and the position to be said (``None``: the queue says none)."""
    announces = house.site.queue(call.queue).announce_position

    def write(tx: Tx) -> tuple[Call, int | None]:
        current = tx.calls.get(call.id)
        if not announces or not current.may_be_offered:
            return _ask_or_skip(house, tx, current), None
        current = current.at(Chapter.ANNOUNCING)
        position = tx.calls.ahead(current) + 1
        tx.calls.save(current)
        tx.events.add(house.clock.now(), call.id, PositionAnnounced(position))
        return current, position

    return await house.store.run(write)


async def _go_on_to_consent(house: House, call: Call) -> Call:
    return await house.store.run(lambda tx: _ask_or_skip(house, tx, tx.calls.get(call.id)))


def _ask_or_skip(house: House, tx: Tx, call: Call) -> Call:
    """On to the consent chapter, or stay with the reason on record."""
    if not call.may_be_offered:
        return call
    why = _why_not_offered(house, call)
    happening: Happening
    if why is None:
        call = call.at(Chapter.CONSENT)
        tx.calls.save(call)
        happening = ConsentAsked(call.consent.rounds + 1)
    elif why is NotOffered.ALREADY_ANSWERED:
        return call
    else:
        happening = ConsentNotOffered(why)
    tx.events.add(house.clock.now(), call.id, happening)
    return call


def _why_not_offered(house: House, call: Call) -> NotOffered | None:
    return why_not_offered(
        call.consent,
        house.site.rules_for(call.queue),
        receiver(call.caller),
        was_over_capacity=call.over_capacity,
    )


async def _back_to_music(house: House, call: Call) -> Call:
    interval = house.site.interval(call.queue)

    def write(tx: Tx) -> Call:
        current = tx.calls.get(call.id)
        if current.may_be_offered:
            current = current.waiting_again(house.clock.now(), interval)
            tx.calls.save(current)
        return current

    return await house.store.run(write)


def _position_prompt(house: House, call: Call, position: int) -> Prompt:
    name = f"position.{position}" if position <= POSITIONS else "position.more"
    return house.prompt(call, name)
