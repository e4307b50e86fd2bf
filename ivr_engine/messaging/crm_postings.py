"""What is posted about a call, put together from the store at the moment it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ivr_engine.domain.calls import Call
from ivr_engine.domain.crm import (
    Conversation,
    Delivery,
    Kind,
    Posting,
    Said,
    facts_of,
    follows,
    in_words,
)
from ivr_engine.domain.events import Event
from ivr_engine.domain.tickets import Ticket, author_of
from ivr_engine.errors import Refused
from ivr_engine.messaging.contacts import number_of
from ivr_engine.ports import Tx


def deliveries(tx: Tx, event: Event, adapter: str) -> Iterator[Delivery]:
    """What follows from an event, for one adapter to be told."""
    if event.call_id is None:
        return
    for follow in follows(event, tx.events.of_call(event.call_id)):
        about = follow.subject if follow.kind in (Kind.MESSAGE, Kind.FILE) else ""
        yield Delivery(
            id=f"{follow.kind}-{about}" if about else f"{event.call_id}-{follow.event.id}-{follow.kind}",
            adapter=adapter,
            call_id=event.call_id,
            event_id=follow.event.id,
            kind=follow.kind,
            subject=follow.subject,
            at=follow.event.at,
            next_attempt_at=event.at,
        )


def posting(tx: Tx, delivery: Delivery) -> Posting | None:
    """``None`` when what it is about has been deleted, or was never the ticket's."""
    call, ticket = call_and_ticket(tx, delivery.call_id)
    if call is None or ticket is None:
        return None
    story = tx.events.of_call(call.id)
    event = next((each for each in story if each.id == delivery.event_id), None)
    file = next((each for each in ticket.files if each.source_id == delivery.subject), None)
    said: tuple[Said, ...] = ()
    if delivery.kind is Kind.TRANSCRIPT:
        said = tuple(transcript(tx, ticket, story))
    elif delivery.kind is Kind.MESSAGE:
        said = tuple(line for line in _written(tx, ticket) if line.message_id == delivery.subject)
    if event is None or (delivery.kind is Kind.FILE and file is None):
        return None
    if delivery.kind is Kind.MESSAGE and not said:
        return None
    return Posting(
        id=delivery.id,
        kind=delivery.kind,
        at=delivery.at,
        conversation=_conversation(call, ticket),
        contact=next(iter(tx.contacts.some([ticket.contact_id] if ticket.contact_id else [])), None),
        candidates=tuple(tx.contacts.some(ticket.candidates)),
        facts=facts_of(event, story),
        said=said,
        file=file if delivery.kind is Kind.FILE else None,
    )


def transcript(tx: Tx, ticket: Ticket, story: Sequence[Event]) -> list[Said]:
    """Everything that was written, and what happened beside it, oldest first."""
    lines = [*_written(tx, ticket)]
    for event in story:
        for follow in follows(event, story):
            words = in_words(follow.kind, facts_of(follow.event, story))
            if words:
                lines.append(Said(follow.event.at, "system", words))
    return sorted(lines, key=lambda line: line.at)


def _written(tx: Tx, ticket: Ticket) -> Iterator[Said]:
    """The texts on the ticket; a second try of one that was not delivered is the same text."""
    messages = {each.id: each for each in tx.messages.of_call(ticket.call_id) if each.retry_of is None}
    for comment in ticket.comments:
        message = messages.get(comment.source_id or "")
        if message is not None:
            author = author_of(message)
            by = comment.author if author == "agent" and comment.author != author else None
            yield Said(comment.at, author, comment.text, message.id, by)


def _conversation(call: Call, ticket: Ticket) -> Conversation:
    return Conversation(
        id=call.id,
        ticket_id=ticket.id,
        channel="voice",
        direction="outbound" if call.callback is not None else "inbound",
        number=number_of(call),
        ours=call.number,
        queue=call.queue or ticket.queue,
        language=call.language,
        agent=call.agent or ticket.agent,
        started_at=call.started_at,
        ended_at=call.ended_at,
    )


def call_and_ticket(tx: Tx, call_id: str) -> tuple[Call | None, Ticket | None]:
    """What there still is of a call, not locked."""
    call = tx.calls.look(call_id)
    if call is None or call.ticket_id is None:
        return call, None
    try:
        return call, tx.tickets.get(call.ticket_id)
    except Refused as refusal:
        if not refusal.missing:
            raise
        return call, None
