"""Whose turn it is among the conversations and campaigns that wait at one sender.

Fair queueing by start tags (Goyal, Vin and Cheng 1996): each stream goes on where its last message ended, or
where the sender is now, whichever is later; the lowest turn is sent first. So a stream that waits gets its
share however much another one has put there, a message of a conversation that was silent goes next, and the
turn is a number in the row: nothing is to be remembered, and any engine can go on.

Callers have no turn: theirs is 0, before all others.
"""

from __future__ import annotations

from typing import Final

from ivr_engine.domain.messages import Message, Urgency
from ivr_engine.domain.sms_parts import parts

FIRST: Final = 1.0
"""The lowest turn of a conversation or campaign."""
WEIGHT: Final = {Urgency.CONVERSATION: 4.0, Urgency.CAMPAIGN: 1.0}
"""Of five parts that a sender sends while both always have more, a conversation gets four, a campaign one."""


def turn_of(message: Message, last: Message | None, now_at: float) -> float:
    """``last``: the one of its stream before it. ``now_at``: the turn of what the sender sent last."""
    if message.urgency is Urgency.CALLER:
        return 0.0
    here = max(FIRST, now_at)
    return here if last is None else max(here, last.turn + share(last))


def share(message: Message) -> float:
    """How far a message moves its stream on."""
    return parts(message.text).count / WEIGHT.get(message.urgency, 1.0)
