"""One visit of a caller whom another dialplan hands over: how it begins, what is said, what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from ivr_engine.callflow import consent
from ivr_engine.callflow.house import House
from ivr_engine.callflow.offering import ask_or_skip
from ivr_engine.callflow.waiting import position_prompt
from ivr_engine.domain.announcements import said_of_wait, says_position
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.consent import NotOffered
from ivr_engine.domain.dialplan import AppQueue, Trouble, VisitOutcome, VisitStatus
from ivr_engine.domain.events import CallAdopted, CallStarted, PositionAnnounced
from ivr_engine.domain.messages import Purpose
from ivr_engine.domain.numbers import shown_caller
from ivr_engine.domain.records import replace
from ivr_engine.ports import Failed, Leg, Prompt, Tx
from ivr_engine.ports.pbx import Visit
from ivr_engine.site.models import Site

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Begun:
    """``why`` the caller is not asked; ``None``: they are."""

    call: Call
    why: NotOffered | None


@dataclass(frozen=True, slots=True)
class Over:
    """``sent``: the id of the text that the caller allowed; empty without one."""

    call: Call
    sent: str = ""


def begin(house: House, visit: Visit, queue: AppQueue | None, tx: Tx) -> Begun:
    """The stored call, asked or not. A caller who was here before has the same call."""
    now, known = house.clock.now(), tx.calls.open_on(visit.leg.id)
    if known is None:
        call = _newcomer(house, visit)
        tx.calls.add(call)
        tx.events.add(now, call.id, CallStarted(call.caller, call.number))
    else:
        call = replace(known, engine=house.telephony.name, queue=visit.queue, chapter=Chapter.DIALPLAN)
        tx.calls.save(call)
        tx.events.add(now, call.id, CallAdopted(known.chapter))
    call, why = ask_or_skip(house, tx, call, queue.estimate() if queue is not None else None)
    return Begun(call, why)


def _newcomer(house: House, visit: Visit) -> Call:
    now = house.clock.now()
    return Call(
        id=house.new_id(),
        engine=house.telephony.name,
        channel_id=visit.leg.id,
        caller=shown_caller(visit.caller, house.site.country),
        number=shown_caller(visit.number, house.site.country) or "",
        queue=visit.queue,
        language=_language(house.site, visit.language),
        started_at=now,
        entered_at=now,
        chapter=Chapter.DIALPLAN,
        over_capacity=True,
    )


def _language(site: Site, asked: str) -> str:
    """Of the site's languages the one meant: ``de_AT`` is ``de`` where there is no other."""
    known = {language.lower().replace("-", "_"): language for language in site.languages}
    asked = asked.lower().replace("-", "_")
    return known.get(asked) or known.get(asked.partition("_")[0]) or site.default_language


async def announce(house: House, leg: Leg, call: Call, queue: AppQueue) -> None:
    """Place and wait in the PBX's queue, as ours would be told."""
    rules = house.site.announcements(call.queue)
    prompts: list[Prompt] = []
    if says_position(rules, queue.position):
        prompts.append(position_prompt(house, call, queue.position))
        said = PositionAnnounced(queue.position)
        await house.store.run(lambda tx: tx.events.add(house.clock.now(), call.id, said))
    wait = said_of_wait(rules, queue.estimate())
    if wait is not None:
        prompts.append(house.prompt(call, wait.prompt))
    if prompts:
        await leg.answer()
        await _say(leg, prompts)


async def ask(house: House, leg: Leg, call: Call) -> Call:
    await leg.answer()
    call = await consent.converse(house, leg, call)
    if call.chapter is Chapter.THANKING:
        await _say(leg, [house.prompt(call, "sms_sent")])
    return call


async def _say(leg: Leg, prompts: Sequence[Prompt]) -> None:
    heard = await leg.play(prompts)
    if isinstance(heard, Failed):
        log.error("prompt.not_heard", prompts=[prompt.name for prompt in prompts], why=heard.why)


def gone_on(tx: Tx, call_id: str) -> Over:
    call = tx.calls.get(call_id)
    if call.chapter not in (Chapter.ENDED, Chapter.DIALPLAN):
        call = replace(call.at(Chapter.DIALPLAN), consent=replace(call.consent, wrong_keys=0))
        tx.calls.save(call)
    sent = (m.id for m in tx.messages.of_call(call_id) if m.purpose == Purpose.WAIT_TIME_SMS)
    return Over(call, next(sent, ""))


def outcome(begun: Begun, over: Over, trouble: Trouble) -> VisitOutcome:
    """``trouble``: why there was no conversation, if there was none."""
    call, why = over.call, begun.why
    status, reason = VisitStatus.NOT_OFFERED, str(why or "")
    if call.consent.rounds > begun.call.consent.rounds or why is NotOffered.ALREADY_ANSWERED:
        status = VisitStatus(call.consent.status or VisitStatus.NO_RESPONSE)
    elif why is None:
        status, reason = VisitStatus.FAILED, trouble.value
    return VisitOutcome(status=status, reason=reason, call_id=call.id, message_id=over.sent)
