"""Numbers of ours are verified by hand: a code is sent to them and entered, or somebody vouches for a name.

A code is not put into the outbox, where its text would stand: only its hash is stored, and one that got lost
is asked for again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Final, Protocol
from urllib.parse import quote

from ivr_engine.domain import number_verification as verification
from ivr_engine.domain.events import SmsNumberCodeSent
from ivr_engine.domain.messages import Direction, Message, MessageStatus
from ivr_engine.domain.number_verification import DIGITS, TRIES, NumberState, SentCode
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused, Rejected, Unreachable
from ivr_engine.messaging.own_numbers import keep_state
from ivr_engine.ports import Clock, NotTaken, SendResult, Store, Tx
from ivr_engine.site.models import Site

PURPOSE: Final = "verification"
_PROVIDER_AT_MOST_S: Final = 45.0
"""Above every deadline an adapter has of its own."""
_TEXTS: Final[Mapping[str, str]] = {
    "en": "{brand}: {code} is the code that verifies this number. It is valid for 10 minutes.",
    "de": "{brand}: {code} ist der Code, der diese Nummer bestätigt. Er gilt 10 Minuten.",
    "it": "{brand}: {code} è il codice che verifica questo numero. È valido per 10 minuti.",
    "es": "{brand}: {code} es el código que verifica este número. Es válido durante 10 minutos.",
    "fr": "{brand}: {code} est le code qui vérifie ce numéro. Il est valable 10 minutes.",
}


class Sends(Protocol):
    """The part of ``SmsProvider`` that is of use here."""

    @property
    def name(self) -> str: ...
    async def send(self, message: Message, status_url: str) -> SendResult: ...


class NumberCodes:
    """``public_url`` is where the provider reaches this engine. ``by``: who does it."""

    def __init__(
        self, *, store: Store, provider: Sends, clock: Clock, site: Callable[[], Site], public_url: str
    ) -> None:
        self._store = store
        self._provider = provider
        self._clock = clock
        self._site = site
        self._public_url = public_url.rstrip("/")

    async def send_code(self, number: str, by: str) -> NumberState:
        """Send a code to ``number``, in place of one sent before. ``Refused`` when there were too many,
        ``ExternalError`` when the provider did not take it."""
        site = self._listed(number)
        code, salt = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}", secrets.token_hex(16)
        digest = await _digest(code, salt)

        def write(tx: Tx) -> tuple[NumberState, str]:
            now = self._clock.now()
            before = tx.sms_numbers.get(number, self._provider.name)
            after = verification.code_sent(before, digest=digest, salt=salt, by=by, now=now)
            sender = _writer(tx, site, number)
            tx.sms_numbers.save(after)
            tx.events.add(now, None, SmsNumberCodeSent(number, by))
            return after, sender

        state, sender = await self._store.run(write)
        text = _TEXTS.get(site.default_language, _TEXTS["en"])
        await self._send(sender, number, text.format(brand=site.brand, code=code))
        return state

    async def confirm(self, number: str, code: str, by: str) -> NumberState:
        """``Refused`` for a wrong code, one that is too old, and after too many wrong ones."""
        self._listed(number)
        entered = verification.as_entered(code)

        def count(tx: Tx) -> SentCode:
            state = tx.sms_numbers.get(number, self._provider.name)
            under_way = verification.tried(state, self._clock.now())
            tx.sms_numbers.save(replace(state, code=under_way))
            return under_way

        under_way = await self._store.run(count)
        if not hmac.compare_digest(await _digest(entered, under_way.salt), under_way.digest):
            raise Refused(f"that is not the code that was sent: {TRIES - under_way.tries} tries are left")

        def write(tx: Tx) -> NumberState:
            now = self._clock.now()
            before = tx.sms_numbers.get(number, self._provider.name)
            return keep_state(tx, before, verification.confirmed(before, under_way.salt, by=by, now=now), now)

        return await self._store.run(write)

    async def declare(self, number: str, by: str) -> NumberState:
        """Somebody's word that a name is ours. ``Refused`` for what can be verified otherwise."""
        self._listed(number)

        def write(tx: Tx) -> NumberState:
            now = self._clock.now()
            before = tx.sms_numbers.get(number, self._provider.name)
            return keep_state(tx, before, verification.declared(before, by=by, now=now), now)

        return await self._store.run(write)

    def _listed(self, number: str) -> Site:
        """The site, which lists ``number``."""
        site = self._site()
        if number not in site.sms_numbers and number != site.sms.sender:
            raise Refused(f"{number} is not one of the site's: add it to 'sms_numbers' first", missing=True)
        return site

    async def _send(self, sender: str, number: str, text: str) -> None:
        now = self._clock.now()
        message = Message(
            id=f"verify-{uuid.uuid4().hex}",
            direction=Direction.OUTBOUND,
            sender=sender,
            recipient=number,
            text=text,
            status=MessageStatus.SENDING,
            provider=self._provider.name,
            purpose=PURPOSE,
            created_at=now,
            updated_at=now,
        )
        path = f"/webhooks/sms/{self._provider.name}/status?message={quote(message.id)}"
        try:
            async with asyncio.timeout(_PROVIDER_AT_MOST_S):
                result = await self._provider.send(message, self._public_url + path)
        except TimeoutError:
            raise Unreachable("the provider did not answer: ask for another code in a minute") from None
        if isinstance(result, NotTaken):
            raise Rejected(f"the provider did not take the code's SMS ({result.code}): {result.reason}")


def _writer(tx: Tx, site: Site, number: str) -> str:
    """From which number a code is sent to ``number``: one that is there for that, else the site's."""
    others = [other for other, own in site.sms_numbers.items() if own.can_send and other != number]
    usable = tx.sms_numbers.verified(others, site.sms.provider)
    verified = [other for other in others if other in usable]
    for_codes = [other for other in verified if "verify" in site.sms_numbers[other].capabilities]
    if for_codes:
        return for_codes[0]
    if site.sms.sender != number:
        return site.sms.sender
    if not verified:
        raise Refused("there is no other number that the code could be sent from")
    return verified[0]


async def _digest(code: str, salt: str) -> str:
    """Slow on purpose, as a code has few digits; so in a thread."""
    made = await asyncio.to_thread(
        hashlib.scrypt, code.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1, maxmem=2**26
    )
    return made.hex()
