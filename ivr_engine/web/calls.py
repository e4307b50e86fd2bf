"""Calls, running and past."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import Event, TextsRead
from ivr_engine.domain.waiting import line
from ivr_engine.ports import Tx
from ivr_engine.web.errors import ERRORS, MISSING, NOT_NOW
from ivr_engine.web.numbers import asked_number
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import (
    ENDED,
    CallItem,
    CallWithTimeline,
    Items,
    ListedCall,
    TextCounts,
    TextsItem,
    TimelineItem,
)

router = APIRouter(prefix="/calls", tags=["calls"], responses=ERRORS)

Caller = Annotated[
    str | None,
    Query(description="Only this caller's. A + that was not escaped is understood.", max_length=40),
]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many, the newest")]


@router.get("", summary="Calls, newest first")
async def list_calls(
    services: Services,
    caller: Caller = None,
    only_open: Annotated[bool, Query(alias="open", description="Only calls not ended")] = False,
    limit: Limit = 100,
) -> Items[ListedCall]:
    """Each with its state, its place in the queue, what the caller said to the wait-time SMS, and how many
    texts there were."""
    number = asked_number(caller, services.site().country) if caller is not None else None

    def find(tx: Tx) -> list[ListedCall]:
        calls = tx.calls.search(caller=number, open_only=only_open, limit=limit)
        places = _places(tx, calls)
        texts = tx.messages.exchanged([call.id for call in calls])
        return [_listed(call, places.get(call.id), *texts.get(call.id, (0, 0))) for call in calls]

    return Items(items=await services.look(find))


def _listed(call: Call, position: int | None, sent: int, received: int) -> ListedCall:
    counts = TextCounts(sent=sent, received=received)
    return ListedCall(**CallItem.of(call, position).model_dump(), texts=counts)


@router.get("/{call_id}", summary="One call with its timeline", responses=MISSING)
async def show_call(services: Services, call_id: str) -> CallWithTimeline:
    """Everything that happened in this call, oldest first."""

    def find(tx: Tx) -> tuple[Call, int | None, list[Event]]:
        call = tx.calls.get(call_id)
        return call, _places(tx, [call]).get(call.id), tx.events.of_call(call_id)

    call, position, events = await services.look(find)
    return CallWithTimeline(
        **CallItem.of(call, position).model_dump(),
        texts=TextsItem.of(events),
        timeline=[TimelineItem.of(event) for event in events],
    )


@router.post("/{call_id}/sms/read", summary="The texts of a call were opened", responses=MISSING)
async def texts_read(
    services: Services,
    call_id: str,
    agent: Annotated[str | None, Query(max_length=100, description="Who opened them")] = None,
) -> TextsItem:
    """What came until now is read: the banner can go. Those that come later are unread again."""

    def write(tx: Tx) -> list[Event]:
        call = tx.calls.get(call_id)
        tx.events.add(services.clock.now(), call.id, TextsRead(agent))
        return tx.events.of_call(call_id)

    return TextsItem.of(await services.done(services.store.run(write)))


@router.post("/{call_id}/hang-up", summary="End a call", responses=ENDED | MISSING | NOT_NOW)
async def hang_up(services: Services, call_id: str) -> CallItem:
    """Whatever its state: caller and agent are hung up on, the agent is free as after any call, and
    ``end_reason`` is ``ended_by_staff``. 409 when it has ended already."""
    return CallItem.of(await services.done(services.running_calls.hang_up(call_id)), None)


def _places(tx: Tx, calls: list[Call]) -> dict[str, int]:
    """Position by call id, for the queues in which one of ``calls`` holds a place."""
    queues = {call.queue for call in calls if call.in_line}
    lines = (line(tx.calls.open(queue=queue), queue) for queue in queues)
    return {call.id: place for waiting in lines for place, call in enumerate(waiting, start=1)}
