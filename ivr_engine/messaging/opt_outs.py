"""Who wants no texts: heard in a text, told by staff, a program or the provider; and nothing is sent to them.

One list for all senders and providers. Opting out ends the consent to the wait-time SMS too, with a line of
its own in the ledger. One message confirms it, and is the only one that leaves while the opt-out stands: the
veto is asked in the transaction that claims a message, so nothing overtakes a STOP that is stored.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta
from typing import Final

import structlog

from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.consent import ConsentRecord, NotOffered, Withdrawal
from ivr_engine.domain.events import (
    CallFinished,
    ConsentWithdrawn,
    HelpAsked,
    MessageQueued,
    OptedOut,
    OptOutEnded,
)
from ivr_engine.domain.messages import ASKED_FOR, Direction, Message, Purpose, outbound
from ivr_engine.domain.numbers import language_of, to_e164
from ivr_engine.domain.opt_out import Command, command_of, wants_no_call
from ivr_engine.domain.opt_outs import How, OptOut, Said
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import comment_from
from ivr_engine.errors import Refused
from ivr_engine.messaging.abandoned import open_late
from ivr_engine.messaging.queueing import BEHIND
from ivr_engine.ports import Tx
from ivr_engine.site.models import Site
from ivr_engine.site.opt_outs import Answer

_log = structlog.get_logger()

VETOED: Final = NotOffered.OPTED_OUT
"""The error code of a message that was not sent because its recipient is opted out."""
REFUSED_BY_PROVIDER: Final = frozenset({"21610"})
"""Codes of providers (Twilio's, and so the simulator's) for: the recipient opted out with us."""
CALLER: Final = "caller"
"""The actor of what was said by text."""
WORDING: Final = 1000
"""Characters kept of what was said."""
_HELP_AGAIN: Final = timedelta(minutes=10)
"""A number is answered HELP once in this time: two machines may be talking to each other."""
_PURPOSES: Final = {
    Answer.CONFIRMATION: Purpose.OPT_OUT_CONFIRMATION,
    Answer.HELP: Purpose.HELP_ANSWER,
    Answer.START: Purpose.START_ANSWER,
    Answer.NO_CALLBACK: Purpose.NO_CALLBACK_ANSWER,
}


def veto(tx: Tx, message: Message) -> str | None:
    """``claiming.Veto``: nothing to who is opted out, but for the message that confirms it."""
    if message.purpose == Purpose.OPT_OUT_CONFIRMATION or not tx.opt_outs.is_opted_out(message.recipient):
        return None
    return VETOED


def opt_out(
    tx: Tx, number: str, said: Said, *, language: str | None = None, call_id: str | None = None
) -> OptOut | None:
    """Onto the list, and the consent to the wait-time SMS withdrawn; ``None`` when it stands already."""
    _withdraw(tx, number, said, call_id)
    if tx.opt_outs.standing(number) is not None:
        return None
    new = OptOut(id=uuid.uuid4().hex, number=number, said=_cut(said), language=language)
    tx.opt_outs.add(new)
    tx.events.add(said.at, call_id, OptedOut(new.id, said.how, said.actor))
    return new


def resume(tx: Tx, number: str, said: Said, *, call_id: str | None = None) -> OptOut | None:
    """Off the list; ``None`` when it was not on it."""
    standing = tx.opt_outs.standing(number)
    if standing is None:
        return None
    ended = standing.ended(_cut(said))
    tx.opt_outs.end(ended)
    tx.events.add(said.at, call_id, OptOutEnded(ended.id, said.how, said.actor))
    return ended


def refused_by_provider(tx: Tx, message: Message, now: datetime) -> None:
    """The provider did not carry ``message`` because its recipient opted out there: so here too."""
    wording = f"{message.provider} refused a message: {message.error_code}"
    said = Said(at=now, how=How.PROVIDER, wording=wording, actor=message.provider)
    opt_out(tx, message.recipient, said, call_id=message.call_id)


def heard(
    tx: Tx, text: Message, site: Site | None, now: datetime, *, told: Command | None = None
) -> Command | None:
    """See to what ``text``, just stored, says about messages; the command that it was, if any.

    ``told``: the provider says what it was, and has answered it. Without ``site`` nothing is answered.
    """
    possible = told or command_of(text.text, opted_out=True)
    if possible is None:
        return None
    standing = tx.opt_outs.standing(text.sender)
    command = told or command_of(text.text, opted_out=standing is not None)
    how, actor = (How.PROVIDER, text.provider) if told else (How.SMS, CALLER)
    said = Said(at=now, how=how, wording=text.text, actor=actor)
    answer: Answer | None = None
    if command is Command.STOP:
        language = _language(tx, text, site) if site else None
        if opt_out(tx, text.sender, said, language=language, call_id=text.call_id):
            answer = Answer.CONFIRMATION
    elif command is Command.START:
        if resume(tx, text.sender, said, call_id=text.call_id):
            answer = Answer.START
    elif command is Command.HELP:
        tx.events.add(now, text.call_id, HelpAsked(text.id))
        if standing is None and not _answered_lately(tx, text, now):
            answer = Answer.HELP
    if answer is not None and told is None and site is not None:
        _write(tx, text, answer, site, now)
    return command


def call_off(tx: Tx, text: Message, site: Site, now: datetime) -> None:
    """End the callbacks of who writes that they want none. One that is being dialled is not tried again."""
    if not wants_no_call(text.text):
        return
    callbacks = tx.calls.callbacks(text.sender)
    if callbacks and not tx.opt_outs.is_opted_out(text.sender):
        _write(tx, text, Answer.NO_CALLBACK, site, now)
    for call in callbacks:
        if call.chapter is Chapter.CALLBACK:
            ended = call.ended(EndReason.CALLBACK_CANCELLED, now)
            tx.calls.save(ended)
            open_late(tx, ended, site, now)
            tx.events.add(now, call.id, CallFinished(EndReason.CALLBACK_CANCELLED))
        elif call.callback is not None:
            tx.calls.save(replace(call, callback=replace(call.callback, called_off=True)))


def _withdraw(tx: Tx, number: str, said: Said, call_id: str | None) -> None:
    for purpose in ASKED_FOR:
        given = tx.consents.given(number, purpose)
        if given is not None:
            record = _withdrawal(given, said)
            tx.consents.add(record)
            told = ConsentWithdrawn(record.id, said.how, said.actor)
            tx.events.add(said.at, call_id or given.call_id, told)


def _withdrawal(given: ConsentRecord, said: Said) -> ConsentRecord:
    wording = said.wording[:WORDING]
    return replace(
        given,
        id=uuid.uuid4().hex,
        at=said.at,
        wording=wording,
        wording_version=hashlib.sha256(wording.encode()).hexdigest()[:16],
        audio_hash="",
        key=None,
        outcome=Withdrawal.WITHDRAWN,
        how=said.how.value,
        actor=said.actor,
    )


def _cut(said: Said) -> Said:
    return Said(at=said.at, how=said.how, wording=said.wording[:WORDING], actor=said.actor)


def _answered_lately(tx: Tx, text: Message, now: datetime) -> bool:
    return any(
        message.purpose == Purpose.HELP_ANSWER and now - message.created_at < _HELP_AGAIN
        for message in tx.messages.search(number=text.sender, limit=10)
        if message.direction is Direction.OUTBOUND
    )


def _write(tx: Tx, text: Message, answer: Answer, site: Site, now: datetime) -> None:
    """From the number that was written to, and onto the ticket that has ``text``. A short code or a name
    cannot be answered."""
    if to_e164(text.sender, site.country) != text.sender:
        return
    message = outbound(
        id=uuid.uuid4().hex,
        sender=text.recipient,
        recipient=text.sender,
        text=site.answer(answer, _language(tx, text, site), text.recipient),
        provider=text.provider,
        purpose=_PURPOSES[answer],
        call_id=text.call_id,
        ticket_id=text.ticket_id,
        now=now + BEHIND,
    )
    tx.messages.add(message)
    tx.events.add(now, message.call_id, MessageQueued(message.id))
    if text.ticket_id is not None:
        tx.tickets.comment(text.ticket_id, comment_from(message))


def _language(tx: Tx, text: Message, site: Site) -> str:
    """The last known of that person, else their country's, else the site's."""
    return next(
        (known for known in _languages(tx, text) if known in site.languages),
        site.default_language,
    )


def _languages(tx: Tx, text: Message) -> list[str]:
    found: list[str | None] = []
    if text.call_id is not None:
        try:
            found.append(tx.calls.get(text.call_id).language)
        except Refused as refusal:
            if not refusal.missing:
                raise
    found.append(tx.callers.language(text.sender))
    found += [record.language for record in tx.consents.search(number=text.sender, limit=1)]
    found.append(language_of(text.sender))
    return [language for language in found if language]
