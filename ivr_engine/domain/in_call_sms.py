"""Texts between an agent and the caller on the line: what may be sent, and what belongs to the talk.

The session lasts from the first agent's connection to the end of the call. What comes after it is kept and
can be read with the call, but is not added to the ticket; a caller who hung up while waiting had no session,
so what they write within a set time is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from ivr_engine.domain.calls import Call
from ivr_engine.domain.consent import NotOffered
from ivr_engine.domain.messages import Direction, Message, MessageStatus, Purpose, printable
from ivr_engine.errors import Refused

LONGEST: Final = 918
"""Characters of one text: six parts of 153."""

MOST_ANSWERS: Final = 5
"""Automatic answers to the texts of one call, however long the pauses: what answers them may be a machine."""

_WHY: Final = {
    NotOffered.SWITCHED_OFF: "in-call SMS is switched off, for all or for this queue: see 'in_call_sms'",
    NotOffered.NUMBER_HIDDEN: "the caller's number is hidden",
    NotOffered.NUMBER_NOT_VALID: "the caller's number is not one that exists",
    NotOffered.CANNOT_RECEIVE_SMS: "the caller's number is a landline, or of a kind that takes no SMS",
    NotOffered.COUNTRY_NOT_ALLOWED: "numbers of that country get no SMS: see 'in_call_sms.countries'",
    NotOffered.OPTED_OUT: "the caller does not want any SMS",
    NotOffered.BLOCKED_NUMBER: "numbers that begin so are never written to: see 'abuse.blocked'",
    NotOffered.NOT_ATTESTED: "the carrier does not vouch for the caller's number: see 'abuse.attestation'",
    NotOffered.PREMIUM_NUMBER: "it is a premium number, which is never written to",
}


def in_words(why: NotOffered) -> str:
    """Why the caller gets no SMS, for the agent."""
    return _WHY.get(why, f"the caller's number gets no SMS: {why}")


def own_text(written: str) -> str:
    """What an agent wrote, as it is sent. ``Refused`` when it is empty or too long."""
    text = printable(written).strip()
    if not text:
        raise Refused("the text is empty")
    if len(text) > LONGEST:
        over = len(text) - LONGEST
        raise Refused(f"the text has {len(text)} characters, at most {LONGEST} are sent: leave {over} out")
    return text


def had_session(call: Call) -> bool:
    """An agent, or whoever the caller was transferred to, has talked to the caller."""
    return call.answered_at is not None


def exchanged(messages: Iterable[Message]) -> bool:
    """Whether a text went either way in the call; what could not be sent did not."""
    return any(m.direction is Direction.INBOUND or m.status is not MessageStatus.FAILED for m in messages)


def is_answered(messages: Iterable[Message], again_after_s: float | None, now: datetime) -> bool:
    """Whether one more text, after the end of the call with these ``messages``, gets an automatic answer."""
    answers = [m for m in messages if m.purpose == Purpose.AUTOMATIC_ANSWER]
    if not answers:
        return True
    if again_after_s is None or len(answers) >= MOST_ANSWERS:
        return False
    return now - max(m.created_at for m in answers) >= timedelta(seconds=again_after_s)
