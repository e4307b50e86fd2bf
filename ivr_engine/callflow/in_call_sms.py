"""Texts that agents send to the caller they talk to, and the one that ends it all."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from ivr_engine.callflow.house import House
from ivr_engine.domain.calls import Call
from ivr_engine.domain.consent import NotOffered, OfferRules, why_not_written_to
from ivr_engine.domain.events import InCallSmsSent, MessageQueued
from ivr_engine.domain.in_call_sms import exchanged, had_session, in_words, own_text
from ivr_engine.domain.messages import Media, Message, Purpose, Urgency, outbound
from ivr_engine.domain.numbers import receiver
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import comment_from, file_from
from ivr_engine.errors import Refused
from ivr_engine.ports import Tx
from ivr_engine.site.models import Site


@dataclass(frozen=True, slots=True)
class FromPreset:
    """``language``: not the caller's."""

    name: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class OwnText:
    """As somebody wrote it."""

    text: str


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A picture or video that is stored already, with words of the agent's own, or none."""

    media: Media
    text: str = ""


Content = FromPreset | OwnText | Enclosure


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedPreset:
    """``text``: as it would be sent."""

    name: str
    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the agent of a call can send now. ``why_not``: nothing, and why."""

    why_not: str | None
    language: str
    presets: tuple[OfferedPreset, ...]
    own_text: bool
    media: bool


class InCallSmsCommands:
    """``Refused``, with the reason, when the caller cannot be sent that now; ``Refused(missing)``: no such
    call or preset."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def send(
        self, call_id: str, content: Content, agent: str | None = None, key: str | None = None
    ) -> Message:
        """Put a text to the caller into the outbox, and on the ticket. ``agent`` must be one who talks to
        the caller; not given: the agent of the call. With a ``key`` that was used in this call before nothing
        more is sent: whoever got no answer may ask again."""
        message_id = self._house.new_id() if key is None else _named(call_id, key)

        def write(tx: Tx) -> Message:
            call = tx.calls.get(call_id)
            before = _sent_before(tx, call, message_id) if key is not None else None
            if before is not None:
                return before
            call.talking()
            by = _of_the_call(call, agent)
            why = _why_not(self._house.site, tx, call)
            if why is not None:
                raise Refused(in_words(why))
            text, preset = _worded(self._house.site, call, content)
            message = _message(self._house, tx, call, text, Purpose.IN_CALL_SMS, message_id)
            now = self._house.clock.now()
            if isinstance(content, Enclosure):
                message = self._enclosing(tx, message, content.media, now)
            tx.messages.add(message)
            tx.events.add(now, call.id, MessageQueued(message.id), InCallSmsSent(message.id, by, preset))
            if call.ticket_id is not None:
                tx.tickets.comment(call.ticket_id, replace(comment_from(message), author=by))
            return message

        message = await self._house.store.run(write)
        self._house.message_queued()
        return message

    def _enclosing(self, tx: Tx, message: Message, media: Media, now: datetime) -> Message:
        """With the file, which is the ticket's as well. The outbox tells the provider where to fetch it."""
        site, file = self._house.site, file_from(media, now)
        if not site.in_call_sms.media:
            raise Refused("pictures may not be sent: see 'in_call_sms.media'")
        if not _carries_media(site, message.sender):
            raise Refused(f"{message.sender} carries no pictures: see its 'capabilities'")
        if message.ticket_id is not None and file is not None:
            tx.tickets.attach(message.ticket_id, file)
        return replace(message, media=(media,))

    async def choice(self, call_id: str, language: str | None = None) -> Choice:
        """In ``language``; not given: the caller's."""
        site = self._house.site

        def read(tx: Tx) -> Choice:
            call = tx.calls.get(call_id)
            spoken = _language(site, call, language)
            why_not = _why_nothing(site, tx, call)
            own_files = why_not is None and site.in_call_sms.media and not site.in_call_sms.presets_only
            return Choice(
                why_not=why_not,
                language=spoken,
                presets=tuple(
                    OfferedPreset(name=name, label=preset.label, text=site.worded(preset.text, spoken))
                    for name, preset in site.in_call_sms.presets.items()
                ),
                own_text=not site.in_call_sms.presets_only,
                media=own_files and _carries_media(site, self._house.sender(tx, call)),
            )

        return await self._house.store.run(read)


def close_session(house: House, tx: Tx, ended: Call) -> None:
    """The closing SMS, in the transaction that ends the call; named after it, so there is never a second.

    To a caller who was talked to, when texts went either way, and the caller may still be written to.
    """
    texts = house.site.in_call_sms.closing
    if not texts or not had_session(ended) or not exchanged(tx.messages.of_call(ended.id)):
        return
    if _why_not(house.site, tx, ended) is not None:
        return
    text = house.site.worded(texts, ended.language)
    message = _message(house, tx, ended, text, Purpose.CLOSING_SMS, f"closing-{ended.id}")
    tx.messages.add(replace(message, urgency=Urgency.CONVERSATION))
    tx.events.add(house.clock.now(), ended.id, MessageQueued(message.id))
    if ended.ticket_id is not None:
        tx.tickets.comment(ended.ticket_id, comment_from(message))


def _carries_media(site: Site, sender: str) -> bool:
    """What the site says no more of is taken to carry pictures."""
    number = site.sms_numbers.get(sender)
    return number is None or "media" in number.capabilities


def _named(call_id: str, key: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{call_id} {key}").hex


def _sent_before(tx: Tx, call: Call, message_id: str) -> Message | None:
    """The call's row is locked: who asks twice at once is told of one message."""
    return next((m for m in tx.messages.of_call(call.id) if m.id == message_id), None)


def _of_the_call(call: Call, agent: str | None) -> str:
    if agent is None:
        return call.offer.agent
    if agent not in call.heard_by_caller:
        raise Refused(f"{agent} does not talk to this caller: {', '.join(call.heard_by_caller)} may write")
    return agent


def _rules(site: Site, queue: str) -> OfferRules:
    settings, own = site.in_call_sms, site.queues.get(queue)
    return OfferRules(
        enabled=settings.enabled and (own is None or own.in_call_sms),
        requires_over_capacity=False,
        home_country=site.country,
        non_domestic=settings.non_domestic,
        countries=settings.countries,
        blocked=tuple(site.abuse.blocked),
    )


def _why_not(site: Site, tx: Tx, call: Call) -> NotOffered | None:
    """The same that keeps a waiting caller from being offered a text, where it is about the number."""
    rules = _rules(site, call.queue)
    if not rules.enabled:
        return NotOffered.SWITCHED_OFF
    opted_out = call.caller is not None and tx.opt_outs.is_opted_out(call.caller)
    why = why_not_written_to(rules, receiver(call.caller, opted_out=opted_out))
    return why or (NotOffered.NOT_ATTESTED if call.routing.attested is False else None)


def _why_nothing(site: Site, tx: Tx, call: Call) -> str | None:
    try:
        call.talking()
    except Refused as refusal:
        return refusal.reason
    why = _why_not(site, tx, call)
    return None if why is None else in_words(why)


def _language(site: Site, call: Call, asked: str | None) -> str:
    if asked is not None and asked not in site.languages:
        raise Refused(f"the site has no language {asked!r}: it has {', '.join(site.languages)}", missing=True)
    return asked or call.language


def _worded(site: Site, call: Call, content: Content) -> tuple[str, str | None]:
    """The text as it is sent, and the name of the preset."""
    settings = site.in_call_sms
    if isinstance(content, FromPreset):
        preset = settings.presets.get(content.name)
        if preset is None:
            known = ", ".join(sorted(settings.presets)) or "none"
            raise Refused(f"no preset {content.name!r}: the site has {known}", missing=True)
        return site.worded(preset.text, _language(site, call, content.language)), content.name
    if settings.presets_only:
        raise Refused("only presets may be sent: see 'in_call_sms.presets_only'")
    if isinstance(content, Enclosure) and not content.text:
        return "", None
    return own_text(content.text), None


def _message(house: House, tx: Tx, call: Call, text: str, purpose: Purpose, message_id: str) -> Message:
    return outbound(
        id=message_id,
        sender=house.sender(tx, call),
        recipient=call.known_caller,
        text=text,
        provider=house.site.sms.provider,
        purpose=purpose,
        call_id=call.id,
        ticket_id=call.ticket_id,
        now=house.clock.now(),
    )
