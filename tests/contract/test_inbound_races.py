"""Two engines on one database are told of texts at the same moment, and one ends a call in which the other
sends: each text once, one answer, one closing SMS."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from ivr_engine.callflow.endings import caller_gone
from ivr_engine.callflow.house import House
from ivr_engine.callflow.in_call_sms import FromPreset, InCallSmsCommands
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.messages import Purpose
from ivr_engine.errors import Refused
from ivr_engine.messaging.inbound import InboundRules, received
from ivr_engine.messaging.senders import sender_for
from ivr_engine.ports import InboundSms, Prompts, Store
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce, SiteNow
from ivr_engine.store import connect
from tests.contract.store_examples import NOW
from tests.contract.test_store_races import NoTelephony
from tests.postgresql import Server

ROUNDS = 30
SENDER = "+4930123456"
SITE = Site.model_validate(
    {
        "brand": "Example",
        "country": "DE",
        "default_language": "en",
        "languages": ["en"],
        "in_call_sms": {
            "presets": {"photo": {"label": "Photo", "text": {"en": "A photo, please"}}},
            "closing": {"en": "Over"},
            "automatic_answer": {"text": {"en": "Too late"}},
        },
        "wait_time_sms": {"text": {"en": "{brand}"}},
        "sms": {"sender": SENDER},
        "numbers": {"700": {"queue": "support"}},
        "queues": {"support": {"label": "Support"}},
        "agents": {"anna": {"label": "Anna", "queues": ["support"]}},
    }
)
RULES = InboundRules.of("simulator", SITE)
LATER = NOW + timedelta(minutes=5)


@dataclass
class Two:
    """Two engines' stores of one database."""

    stores: tuple[Store, Store]

    async def told(self, *texts: InboundSms) -> None:
        """Each by both engines, all at the same moment."""
        await asyncio.gather(
            *(
                store.run(lambda tx, sms=sms: received(tx, sms, RULES, LATER))
                for sms in texts
                for store in self.stores
            )
        )

    async def purposes(self, number: str) -> Counter[str]:
        found = await self.stores[0].run(lambda tx: tx.messages.search(number=number, limit=100))
        return Counter(message.purpose for message in found)


@pytest.fixture(params=["sqlite", "postgresql"])
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Two]:
    async with AsyncExitStack() as opened:
        url = f"sqlite:///{tmp_path}/engine.db"
        if request.param == "postgresql":
            server: Server = request.getfixturevalue("postgresql")
            url = opened.enter_context(server.tables())
        stores = connect(url), connect(url)
        for store in stores:
            opened.push_async_callback(store.close)
        yield Two(stores)


def phone(number: int) -> str:
    return f"+49151{12_000_000 + number}"


def talking(number: int) -> Call:
    return Call(
        id=f"c{number}",
        engine="ivr-1",
        channel_id=f"ch-{number}",
        caller=phone(number),
        number="700",
        queue="support",
        language="en",
        started_at=NOW,
        chapter=Chapter.TALKING,
        agent="anna",
        offer_id=f"o{number}",
        answered_at=NOW,
    )


def _nothing(*_: object) -> None:
    return None


def _house(store: Store) -> House:
    """What ending a call and sending a text ask of it."""

    class Clock:
        def now(self) -> Any:
            return LATER

    return House(
        in_force=SiteNow(InForce(SITE, cast(Prompts, None))),
        store=store,
        telephony=cast(Any, NoTelephony()),
        clock=Clock(),
        line=cast(Any, None),
        new_id=lambda: "unused",
        message_queued=_nothing,
        sender_for=sender_for,
        identify=_nothing,
        lookup=cast(Any, None),
        estimates=cast(Any, None),
    )


async def test_each_text_is_stored_once_and_answered_once(two: Two) -> None:
    for number in range(ROUNDS):
        over = talking(number)
        await two.stores[0].run(lambda tx, over=over: tx.calls.add(over))
        await InCallSmsCommands(_house(two.stores[0])).send(over.id, FromPreset("photo"), key="k")
        await two.stores[0].run(
            lambda tx, over=over: tx.calls.save(tx.calls.get(over.id).ended(EndReason.CALLER_HUNG_UP, LATER))
        )
        texts = [InboundSms(f"in-{number}-{n}", phone(number), SENDER, "Hello?") for n in range(3)]
        stranger = InboundSms(f"who-{number}", phone(1_000 + number), SENDER, "Hello?")
        await two.told(*texts, stranger)
        assert await two.purposes(phone(number)) == {
            Purpose.IN_CALL_SMS: 1,
            Purpose.LATE_REPLY: 3,
            Purpose.AUTOMATIC_ANSWER: 1,
        }
        assert await two.purposes(phone(1_000 + number)) == {Purpose.UNSOLICITED: 1}


async def test_a_text_sent_as_the_caller_hangs_up_is_before_the_end_or_not_at_all(two: Two) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(ROUNDS):
        one = talking(number)
        await two.stores[0].run(lambda tx, one=one: tx.calls.add(one))
        sending = InCallSmsCommands(_house(two.stores[0])).send(one.id, FromPreset("photo"), key="k")
        ending = caller_gone(_house(two.stores[1]), one.id)
        both = (ending, sending) if number % 2 else (sending, ending)
        ended = await asyncio.gather(*both, return_exceptions=True)
        found = await two.purposes(phone(number))
        wrong = [each for each in ended if isinstance(each, BaseException)]
        assert all(isinstance(each, Refused) for each in wrong), wrong
        if wrong:
            outcomes["refused"] += 1
            assert not found
        else:
            outcomes["sent"] += 1
            assert found == {Purpose.IN_CALL_SMS: 1, Purpose.CLOSING_SMS: 1}
    assert outcomes.total() == ROUNDS
