"""An agent hands the caller on: to a queue, to another agent, or to a number outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.records import replace
from ivr_engine.domain.talk import Stage, Talk
from ivr_engine.errors import Refused


class Place(StrEnum):
    """Where in the line: ``head``, before everybody · ``time``, by when they first came."""

    HEAD = "head"
    TIME = "time"


def to_line(
    call: Call, queue: str, ahead: Sequence[Call], now: datetime, first_announcement_s: float
) -> Call:
    """Into the line of ``queue``, before whoever is first of ``ahead``, or by the time the caller first came
    where there is nobody."""
    call.talking().alone()
    place = _place_before(ahead[0]) if ahead else (call.priority, call.entered_at or now)
    priority, entered_at = place
    return replace(
        call.waiting_again(now, first_announcement_s),
        queue=queue,
        priority=priority,
        entered_at=entered_at,
        routing=call.routing.joining(now),
    )


def _place_before(first: Call) -> tuple[int, datetime]:
    return first.priority, (first.entered_at or first.started_at) - timedelta(microseconds=1)


def to_agent(call: Call, agent: str, offer_id: str, ends_at: datetime) -> Call:
    """Another agent's phone rings; if they do not take it, the place of before counts."""
    call.talking()
    return replace(
        call, chapter=Chapter.RINGING, agent=agent, offer_id=offer_id, offer_ends_at=ends_at, talk=Talk()
    )


def to_number(call: Call, number: str, offer_id: str, ends_at: datetime) -> Call:
    """A number outside rings; if nobody answers there, the caller goes back to the line."""
    call.talking()
    return replace(
        call,
        chapter=Chapter.HANDING_ON,
        agent=None,
        offer_id=offer_id,
        offer_ends_at=ends_at,
        talk=Talk(outside=number),
    )


def answered_outside(call: Call) -> Call:
    """Caller and number talk; the engine waits for either to hang up."""
    if call.chapter is not Chapter.HANDING_ON:
        raise Refused(f"call {call.id} is {call.state}: nobody was handed on")
    return replace(call, chapter=Chapter.TRANSFERRED, offer_ends_at=None)


def handed_over(call: Call) -> Call:
    """The third party has the caller now, the agent is out of it: who was being rung goes on being rung."""
    consult = call.talking().at(*Stage)
    if consult.stage is Stage.RINGING:
        return (
            to_agent(call, consult.agent, consult.id, consult.ends_at)
            if consult.agent
            else to_number(call, consult.number or "", consult.id, consult.ends_at)
        )
    if consult.agent:
        return replace(call, agent=consult.agent, offer_id=consult.id, talk=call.talk.handed_over())
    return replace(
        call,
        chapter=Chapter.TRANSFERRED,
        agent=None,
        offer_id=consult.id,
        talk=Talk(outside=consult.number),
    )
