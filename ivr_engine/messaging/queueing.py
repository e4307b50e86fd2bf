"""Putting messages into the outbox, in the transaction that decides to send them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from ivr_engine.domain.events import MessageQueued
from ivr_engine.domain.messages import Message, Urgency
from ivr_engine.domain.records import replace
from ivr_engine.domain.turns import turn_of
from ivr_engine.ports import Tx

BEHIND: Final = timedelta(microseconds=1)
"""So that a list shows an answer behind what it answers."""


def enqueue(tx: Tx, *messages: Message) -> None:
    """Write each with its turn and the event that tells it; wake the outbox afterwards. What has a ``stream``
    (a conversation, a campaign) is dealt turns among the others that wait at its sender."""
    last: dict[str, Message | None] = {}
    now_at: dict[str, float] = {}
    for message in messages:
        queued = message
        if message.urgency is not Urgency.CALLER:
            stream, sender = message.stream or message.id, message.sender
            if stream not in last:
                last[stream] = tx.messages.last_of_stream(stream)
            if sender not in now_at:
                now_at[sender] = tx.paces.turn(sender)
            queued = replace(message, turn=turn_of(message, last[stream], now_at[sender]))
            last[stream] = queued
        tx.messages.add(queued)
        tx.events.add(queued.created_at, queued.call_id, MessageQueued(queued.id))
