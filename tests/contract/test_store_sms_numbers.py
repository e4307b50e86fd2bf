"""What every store promises about numbers of ours, and about what they carried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given

from ivr_engine.domain.messages import Direction
from ivr_engine.domain.number_verification import How, NumberState, Verified
from ivr_engine.domain.records import replace
from ivr_engine.ports import Store, Tx
from tests.contract.store_examples import KINDS, NOW, Undo, message, requested, sharing_a_store
from tests.contract.test_store_records import records

OURS = "+4915735990001"
OTHER = "+4915735990002"
PHONE = "+4915112345678"


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


@sharing_a_store
@given(first=records(NumberState), then=records(NumberState))
async def test_states_come_back_as_they_were(store: Store, first: NumberState, then: NumberState) -> None:
    second = replace(then, number=first.number, provider=first.provider)

    def body(tx: Tx) -> None:
        for state in (first, second):
            tx.sms_numbers.save(state)
            assert tx.sms_numbers.get(first.number, first.provider) == state
            assert tx.sms_numbers.all(first.provider) == [state]
        raise Undo

    with pytest.raises(Undo):
        await store.run(body)


async def test_a_number_never_seen_is_not_verified(store: Store) -> None:
    assert await store.run(lambda tx: tx.sms_numbers.get(OURS, "twilio")) == NumberState(
        number=OURS, provider="twilio"
    )
    assert await store.run(lambda tx: tx.sms_numbers.verified([OURS], "twilio")) == frozenset()


async def test_verified_with_one_provider_is_not_with_another(store: Store) -> None:
    verified = Verified(at=NOW, by="anna", how=How.CODE)
    states = [
        NumberState(number=OURS, provider="simulator", verified=verified),
        NumberState(number=OTHER, provider="simulator", trouble="it is not there"),
        NumberState(number=OTHER, provider="twilio", verified=verified),
    ]

    def write(tx: Tx) -> None:
        for state in states:
            tx.sms_numbers.save(state)

    await store.run(write)

    def look(tx: Tx) -> dict[str, frozenset[str]]:
        return {name: tx.sms_numbers.verified([OURS, OTHER], name) for name in ("simulator", "twilio")}

    assert await store.run(look) == {"simulator": {OURS}, "twilio": {OTHER}}
    assert await store.run(lambda tx: tx.sms_numbers.verified([], "twilio")) == frozenset()


async def test_the_last_sender_to_a_contact_among_some(store: Store) -> None:
    def write(tx: Tx) -> None:
        for minute, sender in enumerate((OURS, OTHER, "+4915735990003")):
            at = NOW + timedelta(minutes=minute)
            tx.messages.add(message(id=f"m{minute}", sender=sender, created_at=at))
        inbound = message(id="in", sender=OURS, direction=Direction.INBOUND)
        tx.messages.add(replace(inbound, created_at=NOW + timedelta(hours=1)))

    await store.run(write)
    phone = message().recipient
    assert await store.run(lambda tx: tx.messages.last_sender_to(phone, [OURS, OTHER])) == OTHER
    assert await store.run(lambda tx: tx.messages.last_sender_to(phone, [OURS])) == OURS
    assert await store.run(lambda tx: tx.messages.last_sender_to(phone, ["+4930999999"])) is None
    assert await store.run(lambda tx: tx.messages.last_sender_to("+491", [OURS])) is None


async def test_what_a_number_carried(store: Store) -> None:
    def write(tx: Tx) -> None:
        for hour in range(3):
            at = NOW + timedelta(hours=hour)
            tx.messages.add(message(id=f"out{hour}", sender=OURS, created_at=at))
            tx.messages.add(message(id=f"in{hour}", sender=PHONE, recipient=OURS, created_at=at))
        tx.messages.add(message(id="other", sender=OTHER, created_at=NOW))

    await store.run(write)
    assert await store.run(lambda tx: tx.messages.carried(OURS, NOW)) == (3, 3)
    assert await store.run(lambda tx: tx.messages.carried(OURS, NOW + timedelta(hours=2))) == (1, 1)
    assert await store.run(lambda tx: tx.messages.carried("+4930999999", NOW)) == (0, 0)
