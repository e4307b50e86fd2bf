"""Where a call goes next: through its flow, into a queue, or to the end.

Decided inside a transaction; nodes at which nothing is heard are passed in that same transaction, so a stored
call always stands at a node where the caller hears something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from ivr_engine.callflow import tickets
from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.events import (
    CallFinished,
    Happening,
    NodeReached,
    QueueClosed,
    QueueEntered,
    TransferRefused,
    TransferStarted,
)
from ivr_engine.domain.menu import MenuState
from ivr_engine.domain.numbers import masked
from ivr_engine.domain.records import replace
from ivr_engine.domain.routing import Routing
from ivr_engine.domain.schedules import opening
from ivr_engine.domain.switches import ALL, closed_by
from ivr_engine.domain.visit import Asked, Visit
from ivr_engine.errors import Refused
from ivr_engine.ports import Tx
from ivr_engine.site.flow_texts import AppLink, GoBySms
from ivr_engine.site.flows import (
    ChooseLanguage,
    Dip,
    Doing,
    EnterQueue,
    HangUp,
    Hours,
    Menu,
    Note,
    Play,
    Transfer,
    Voicemail,
)

log = structlog.get_logger()

CHAPTER_OF: Final[Mapping[type[Doing], Chapter]] = {
    Play: Chapter.PLAYING,
    ChooseLanguage: Chapter.LANGUAGE,
    Menu: Chapter.MENU,
    Dip: Chapter.DIP,
    Transfer: Chapter.DIALLING,
    Voicemail: Chapter.VOICEMAIL,
    GoBySms: Chapter.TEXTING,
    AppLink: Chapter.TEXTING,
    HangUp: Chapter.LEAVING,
}
"""The chapter of a call at a node where something is heard."""


def may_stand_at(doing: Doing, chapter: Chapter) -> bool:
    """Whether a call in ``chapter`` can be at a node that does this."""
    recording = chapter is Chapter.RECORDING and isinstance(doing, Voicemail)
    return recording or CHAPTER_OF.get(type(doing)) is chapter


@dataclass(frozen=True, slots=True)
class Going:
    """A call on its way, not stored yet, and what happened on the way."""

    call: Call
    happenings: tuple[Happening, ...] = ()

    def then(self, call: Call, *happenings: Happening) -> Going:
        return Going(call, (*self.happenings, *happenings))

    def stored(self, house: House, tx: Tx) -> Call:
        """For a call that is in the store already."""
        tx.calls.save(self.call)
        tx.events.add(house.clock.now(), self.call.id, *self.happenings)
        return self.call


def begin(house: House, tx: Tx, call: Call) -> Going:
    """To where the access point or the number dialled leads. ``Refused`` when it leads nowhere."""
    number = house.site.entrance(call.number, call.routing.access)
    if number is None:
        raise Refused(f"no number {call.number!r} in the site: add it under numbers")
    if (switch := tx.queues.switches().get(ALL)) is not None:
        return last_words(Going(call, (QueueClosed(number.queue or ""),)), "", switch.prompt)
    if number.flow is None:
        # The place in the line is by arrival: commits of the same moment may overtake each other.
        return into_line(house, tx, Going(call), number.queue or "", call.started_at)
    flow = house.site.flows[number.flow]
    visit = Visit(flow=number.flow, node=flow.start, menu=MenuState(house.clock.now()))
    kept = kept_language(house, tx, call)
    return go_on(house, tx, replace(call, visit=visit, language=kept or call.language), flow.start)


def go_on(house: House, tx: Tx, call: Call, target: str, asked: Asked | None = None) -> Going:
    """To the node ``target`` of the call's flow, and on from there as long as nothing is heard. ``asked``:
    the question whose key led here."""
    going = Going(call)
    while True:
        visit = going.call.where.at(target, house.clock.now())
        going = going.then(replace(going.call, visit=visit), NodeReached(visit.flow, target))
        doing = house.site.flows[visit.flow].nodes[target].doing
        if isinstance(doing, EnterQueue):
            return _into_queue(house, tx, going, doing)
        passed = _passed(house, going, doing, asked)
        if passed is not None:
            going, target = passed
        elif isinstance(doing, ChooseLanguage) and asked is None and kept_language(house, tx, call):
            target = doing.then
        else:
            return _stay(house, going, doing, asked)


def _stay(house: House, going: Going, doing: Doing, asked: Asked | None) -> Going:
    """At a node where something is heard."""
    call, visit = going.call, going.call.where
    if isinstance(doing, GoBySms | AppLink):
        visit = replace(visit, asked=asked)
    if isinstance(doing, Transfer):
        ends_at = house.clock.now() + timedelta(seconds=doing.ring_time)
        number = house.number_outside(doing, call)
        return going.then(call.dialling(visit, house.new_id(), ends_at), TransferStarted(number))
    if isinstance(doing, Menu):
        visit = visit.arriving_at_menu()
    return going.then(call.led_to(CHAPTER_OF[type(doing)], visit))


def _passed(house: House, going: Going, doing: Doing, asked: Asked | None) -> tuple[Going, str] | None:
    """On from a node at which nothing is heard; ``None`` for any other."""
    if isinstance(doing, GoBySms | AppLink) and asked is None:
        log.warning("text.not_asked_for", node=going.call.where.node, remedy="ivr-engine check")
        return going, doing.otherwise
    if isinstance(doing, Hours):
        return going, _by_hours(house, doing)
    if isinstance(doing, Note):
        return going.then(_noted(going.call, doing)), doing.then
    if isinstance(doing, Transfer):
        number = doing.to_dial(going.call.where.variables)
        refused = house.site.why_not_dialled(number)
        if refused is not None:
            log.warning("transfer.refused", number=masked(number), reason=refused)
            return going.then(going.call, TransferRefused(number, refused)), doing.otherwise
    return None


def _by_hours(house: House, hours: Hours) -> str:
    now = opening(house.site.schedules[hours.schedule].schedule, house.clock.now())
    if now.open:
        return hours.open
    return hours.holiday if now.holiday is not None and hours.holiday is not None else hours.closed


def _noted(call: Call, note: Note) -> Call:
    return replace(
        call,
        priority=call.priority if note.priority is None else note.priority,
        language=note.language or call.language,
        visit=call.where.noting(note.variables),
        routing=call.routing.requiring(note.skills),
    )


def _into_queue(house: House, tx: Tx, going: Going, entering: EnterQueue) -> Going:
    if entering.closed is not None and not house.site.is_open(entering.name, house.clock.now()):
        going = going.then(going.call, QueueClosed(entering.name))
        further = go_on(house, tx, going.call, entering.closed)
        return going.then(further.call, *further.happenings)
    if entering.priority is not None:
        going = going.then(replace(going.call, priority=entering.priority))
    routing = going.call.routing.requiring(entering.skills)
    going = going.then(replace(going.call, routing=routing))
    going = into_line(house, tx, going, entering.name, house.clock.now())
    if entering.callback and going.call.chapter is Chapter.WAITING:
        going = going.then(replace(going.call, chapter=Chapter.ARRANGING))
    return going


def taken_up(house: House, tx: Tx, call: Call) -> Call:
    """A caller comes into a line who is to be called back in it: the callback is cancelled, and its place is
    theirs. ``call`` is not stored here."""
    if call.caller is None:
        return call
    waiting = (
        other
        for other in tx.calls.callbacks(call.caller)
        if other.queue == call.queue and other.chapter is Chapter.CALLBACK
    )
    other = next(waiting, None)
    if other is None:
        return call
    now = house.clock.now()
    ended = other.ended(EndReason.CALLBACK_CANCELLED, now)
    tx.calls.save(tickets.if_abandoned(house, tx, ended, now))
    tx.events.add(now, other.id, CallFinished(EndReason.CALLBACK_CANCELLED))
    house.bells.ring(other.id)
    return replace(call, priority=other.priority, entered_at=other.entered_at)


def into_line(house: House, tx: Tx, going: Going, queue: str, now: datetime) -> Going:
    """Into the line of ``queue`` since ``now``; while it is closed, to the words that say so."""
    if not house.site.is_open(queue, house.clock.now()):
        closed = replace(going.call, queue=queue).led_to(Chapter.LEAVING, going.call.visit)
        return going.then(closed, QueueClosed(queue))
    if (switch := closed_by(tx.queues.switches(), queue)) is not None:
        return last_words(going.then(going.call, QueueClosed(queue)), queue, switch.prompt)
    call = replace(going.call, queue=queue, routing=_routing(house, tx, going.call, queue, now))
    call = taken_up(house, tx, call)
    call = call.entered(now, house.site.first_announcement(queue))
    return going.then(call, QueueEntered(queue, tx.calls.ahead(call) + 1))


def last_words(going: Going, queue: str, prompt: str) -> Going:
    """To ``prompt``, as ``queue`` says it, and the end."""
    call = replace(going.call, queue=queue, last_words=prompt)
    return going.then(call.led_to(Chapter.LEAVING, call.visit))


def _routing(house: House, tx: Tx, call: Call, queue: str, now: datetime) -> Routing:
    """In the queue since ``now``; with the agent last spoken to, where the queue goes by that."""
    routing = call.routing.joining(now)
    rule = house.site.queue(queue).last_agent
    known = tx.callers.last_agent(call.caller) if rule is not None and call.caller is not None else None
    if rule is None or known is None or known[1] < now - timedelta(days=rule.within_days):
        return routing
    if known[0] not in house.site.able_to_serve(queue):
        return routing
    return routing.preferring(known[0], now + timedelta(seconds=rule.wait))


def kept_language(house: House, tx: Tx, call: Call) -> str | None:
    """What this caller's number chose in an earlier call, if the site still speaks it."""
    kept = tx.callers.language(call.caller) if call.caller else None
    return kept if kept in house.site.languages else None
