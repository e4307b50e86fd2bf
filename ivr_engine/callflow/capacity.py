"""Over capacity: a caller who comes into a queue that is too full is asked what to do, or is led on unasked.

They hold their place meanwhile: an agent who becomes free takes them out of the middle of the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog

from ivr_engine.callflow import callback_number, deflection, leaving, offering
from ivr_engine.callflow.consent import NOT_SENT
from ivr_engine.callflow.deflection import Deflected
from ivr_engine.callflow.house import House
from ivr_engine.callflow.ways import Going
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.capacity import Crowd, is_due, limit_passed
from ivr_engine.domain.events import (
    Happening,
    MenuGivenUp,
    NothingPressed,
    OverCapacity,
    OverCapacityChosen,
    WrongKeyPressed,
)
from ivr_engine.domain.menu import Again, Chosen, GivenUp, MenuState, Step, answered
from ivr_engine.domain.records import replace
from ivr_engine.domain.wait_watch import QueueWaits
from ivr_engine.ports import Digit, Failed, Leg, Prompt, Tx
from ivr_engine.site.over_capacity import Option
from ivr_engine.site.over_capacity import OverCapacity as Settings

log = structlog.get_logger()

NODE = "over_capacity"
"""What stands for the node in events that menus have too."""


async def look(house: House, leg: Leg, call: Call) -> Call:
    """When it is time: ask the caller, or lead them on; the call in its line again, or out of it."""
    settings = house.site.queue(call.queue).over_capacity
    if settings is None or not call.may_be_offered:
        return call
    if call.chapter is Chapter.WAITING and is_due(settings.rules, call.stay, house.clock.now()):
        waits = await house.waits(call.queue) if settings.estimate is not None else None
        call = await house.store.run(partial(_looked, house, call_id=call.id, settings=settings, waits=waits))
    if call.chapter is Chapter.CHOOSING:
        return await _ask(house, leg, call, settings)
    return call


def next_look_s(house: House, call: Call) -> float | None:
    """Seconds until it is time to look again; ``None``: never."""
    settings = house.site.queue(call.queue).over_capacity
    if settings is None or settings.again is None or call.stay.looked_at is None:
        return None
    return max(0.0, settings.again - (house.clock.now() - call.stay.looked_at).total_seconds())


def _looked(house: House, tx: Tx, call_id: str, settings: Settings, waits: QueueWaits | None) -> Call:
    """As before where there is room; else before the question, or led on unasked."""
    now, current = house.clock.now(), tx.calls.get(call_id)
    if not current.may_be_offered:
        return current
    limit = limit_passed(settings.rules, _crowd(house, tx, current, waits))
    if limit is None:
        return _stays(current, house).stored(house, tx)
    log.info("queue.over_capacity", queue=current.queue, limit=limit)
    over = OverCapacity(current.queue, limit)
    if settings.forced is not None:
        return _follow(house, tx, Going(current, (over,)), settings.forced, None).stored(house, tx)
    asked = replace(current.at(Chapter.CHOOSING), stay=replace(current.stay, choice=MenuState(now)))
    return Going(asked, (over,)).stored(house, tx)


def _crowd(house: House, tx: Tx, call: Call, waits: QueueWaits | None) -> Crowd:
    callers, first = tx.calls.in_line(call.queue)
    ahead = tx.calls.ahead(call)
    looked_before = call.stay.looked_at is not None
    return Crowd(
        others=callers - 1,
        longest_wait_s=(house.clock.now() - first).total_seconds() if first is not None else 0.0,
        agents=tx.agents.presence(house.site.able_to_serve(call.queue)).signed_in,
        estimate=waits and (waits.waiting(ahead) if looked_before else waits.newcomer(ahead)),
    )


async def _ask(house: House, leg: Leg, call: Call, settings: Settings) -> Call:
    """Until the caller has chosen, or a limit is passed: they wait on."""
    prompts = [house.prompt(call, settings.prompt)]
    to_play, asked_before = prompts, False
    while True:
        key = await _key(leg, to_play, settings.wait, go_on=asked_before)
        record = partial(_answered, house, call_id=call.id, settings=settings, key=key)
        answer = await house.store.run(record)
        call, step = answer.call, answer.step
        if answer.sms is not None:
            await _tell_of_sms(house, leg, call, answer.sms)
        if not isinstance(step, Again):
            return call
        asked_before = True
        to_play = [house.prompt(call, "wrong_number"), *prompts] if step.wrong_key else prompts


async def _tell_of_sms(house: House, leg: Leg, call: Call, sms: Deflected) -> None:
    """The outbox, of a message; the caller, of one that cannot be sent."""
    if sms.taken is not None:
        house.full_caps.took(sms.taken)
    if sms.going is not None:
        house.message_queued()
    else:
        await leg.play([house.prompt(call, NOT_SENT)])


async def _key(leg: Leg, prompts: list[Prompt], wait_s: float, *, go_on: bool) -> str | None:
    """Keys pressed while there was music do not count; those pressed between two questions do."""
    heard = await leg.gather(prompts, window_s=wait_s, go_on=go_on)
    if isinstance(heard, Failed):
        log.error("over_capacity.not_played", prompts=[p.name for p in prompts], why=heard.why)
        heard = await leg.gather([], window_s=wait_s, go_on=go_on)
    return heard.key if isinstance(heard, Digit) else None


@dataclass(frozen=True, slots=True)
class _Answer:
    """``step``: ``None`` when the caller is not to choose any more."""

    call: Call
    step: Step | None
    sms: Deflected | None = None


def _answered(house: House, tx: Tx, call_id: str, settings: Settings, key: str | None) -> _Answer:
    """What the key means, with all that follows."""
    now, current = house.clock.now(), tx.calls.get(call_id)
    if current.chapter is not Chapter.CHOOSING:
        return _Answer(current, None)
    state, step = answered(current.stay.choice or MenuState(now), settings.menu, key, now)
    current = replace(current, stay=replace(current.stay, choice=state))
    if isinstance(step, Again):
        return _Answer(Going(current, (_said(key),)).stored(house, tx), step)
    if isinstance(step, Chosen):
        return _chosen(house, tx, current, settings, step, key)
    happened: list[Happening] = [_said(key)]
    if isinstance(step, GivenUp):
        happened.append(MenuGivenUp(NODE, step.limit))
    return _Answer(Going(_stays(current, house).call, tuple(happened)).stored(house, tx), step)


def _chosen(house: House, tx: Tx, call: Call, settings: Settings, step: Chosen, key: str | None) -> _Answer:
    option = settings.keys[step.way]
    if option.sms is None:
        return _Answer(_follow(house, tx, Going(call), option, key).stored(house, tx), step)
    sms = deflection.deflect(house, tx, call, settings, option.sms, key)
    going = Going(call, (OverCapacityChosen(option.kind, key),))
    if sms.going is None:
        stays = _stays(replace(call, over_capacity=True), house)
        return _Answer(going.then(stays.call).stored(house, tx), step, sms)
    gone = going.then(sms.going.call, *offering.why_never_asked(house, call), *sms.going.happenings)
    return _Answer(gone.stored(house, tx), step, sms)


def _said(key: str | None) -> Happening:
    return NothingPressed(NODE) if key is None else WrongKeyPressed(key)


def _follow(house: House, tx: Tx, going: Going, option: Option, key: str | None) -> Going:
    """With what was chosen, or is forced. Who waits on is one who chose to."""
    chosen, call = OverCapacityChosen(option.kind, key), going.call
    if option.wait:
        stays = _stays(replace(going.call, over_capacity=True), house)
        return going.then(stays.call, chosen)
    if option.callback:
        arranging = callback_number.chosen(house, Going(_stays(going.call, house).call))
        return going.then(arranging.call, chosen, *offering.why_never_asked(house, call))
    out = leaving.lead_out(house, tx, going.call, option, NODE)
    return going.then(out.call, chosen, *offering.why_never_asked(house, call), *out.happenings)


def _stays(call: Call, house: House) -> Going:
    """In the line, and looked at: not before the time is it looked again."""
    stay = replace(call.stay, looked_at=house.clock.now(), choice=None)
    return Going(replace(call.at(Chapter.WAITING), stay=stay))
