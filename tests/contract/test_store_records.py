"""Any record that can be made comes back from every store as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.agents import Agent
from ivr_engine.domain.calls import Call
from ivr_engine.domain.consent import ConsentRecord
from ivr_engine.domain.events import Happening
from ivr_engine.domain.messages import Message
from ivr_engine.domain.recordings import TalkRecording
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import Ticket, Voicemail
from ivr_engine.ports import Store, Tx
from tests.contract.store_examples import KINDS, Undo, requested, sharing_a_store


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


R = TypeVar("R")
_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])
_times = st.datetimes(datetime(1970, 1, 2), datetime(2199, 1, 1), timezones=_zones)


def records(cls: type[R]) -> st.SearchStrategy[R]:
    """Any value of a dataclass, by the types of its fields."""
    return st.builds(cls, **{name: _of(hint) for name, hint in get_type_hints(cls).items()})


def _of(hint: Any) -> st.SearchStrategy[Any]:
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: _text,
        datetime: _times,
        bool: st.booleans(),
        int: st.integers(-(2**31), 2**31 - 1),
        float: st.floats(0, 1e9),
        NoneType: st.none(),
    }
    if hint in simple:
        return simple[hint]
    if is_dataclass(hint):
        return records(hint)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        return st.lists(_of(get_args(hint)[0]), max_size=3).map(tuple)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if get_origin(hint) is dict:
        return st.dictionaries(*map(_of, get_args(hint)), max_size=3)
    return st.one_of(*map(_of, get_args(hint)))


async def _undone(store: Store, body: Callable[[Tx], None]) -> None:
    def transaction(tx: Tx) -> None:
        body(tx)
        raise Undo

    with pytest.raises(Undo):
        await store.run(transaction)


@sharing_a_store
@given(first=records(Call), then=records(Call))
async def test_calls_come_back_as_they_were(store: Store, first: Call, then: Call) -> None:
    def body(tx: Tx) -> None:
        tx.calls.add(first)
        assert tx.calls.get(first.id) == first
        assert tx.calls.get(first.id).started_at.tzinfo is UTC
        changed = replace(then, id=first.id)
        tx.calls.save(changed)
        assert tx.calls.get(first.id) == changed

    await _undone(store, body)


@sharing_a_store
@given(first=records(Message), then=records(Message))
async def test_messages_come_back_as_they_were(store: Store, first: Message, then: Message) -> None:
    def body(tx: Tx) -> None:
        assert tx.messages.add(first)
        assert tx.messages.get(first.id) == first
        changed = replace(then, id=first.id)
        tx.messages.save(changed)
        assert tx.messages.get(first.id) == changed

    await _undone(store, body)


@sharing_a_store
@given(first=records(Agent), then=records(Agent))
async def test_agents_come_back_as_they_were(store: Store, first: Agent, then: Agent) -> None:
    def body(tx: Tx) -> None:
        for agent in (first, replace(then, name=first.name)):
            tx.agents.save(agent)
            assert tx.agents.get(first.name) == agent

    await _undone(store, body)


@sharing_a_store
@given(one=records(Ticket))
async def test_tickets_come_back_as_they_were(store: Store, one: Ticket) -> None:
    one = replace(
        one,
        comments=tuple(replace(c, id=f"{n}", source_id=f"{n}") for n, c in enumerate(one.comments)),
        files=tuple(replace(f, id=f"{n}", source_id=None) for n, f in enumerate(one.files)),
    )

    def body(tx: Tx) -> None:
        tx.tickets.add(one)
        assert tx.tickets.get(one.id) == one
        assert tx.tickets.search() == [one]

    await _undone(store, body)


@sharing_a_store
@given(first=records(TalkRecording), then=records(TalkRecording))
async def test_recordings_come_back_as_they_were(
    store: Store, first: TalkRecording, then: TalkRecording
) -> None:
    def body(tx: Tx) -> None:
        tx.recordings.add(first)
        assert tx.recordings.get(first.id) == first
        assert tx.recordings.with_status(first.status) == [first]
        # Which call and engine it belongs to, and whose talk it was, is said once.
        changed = replace(then, id=first.id, engine=first.engine, call_id=first.call_id)
        changed = replace(changed, agent=first.agent, started_at=first.started_at)
        tx.recordings.save(changed)
        assert tx.recordings.of_call(first.call_id) == [changed]

    await _undone(store, body)


@sharing_a_store
@given(first=records(Voicemail), then=records(Voicemail))
async def test_voicemails_come_back_as_they_were(store: Store, first: Voicemail, then: Voicemail) -> None:
    now = datetime(2199, 1, 2, tzinfo=UTC)

    def body(tx: Tx) -> None:
        changed = replace(then, id=first.id, attempts=min(then.attempts, 2**31 - 2))  # one more is counted
        tx.voicemails.add(first)
        assert tx.voicemails.due(first.engine, now, 10) == [first]
        tx.voicemails.save(changed)
        tx.voicemails.put_off(first.id, now + timedelta(days=1))
        assert tx.voicemails.due(changed.engine, now, 10) == []
        [late] = tx.voicemails.due(changed.engine, now + timedelta(days=2), 10)
        assert (late.attempts, late.kept) == (changed.attempts + 1, changed.kept)
        tx.voicemails.remove(first.id)
        assert tx.voicemails.due(changed.engine, now + timedelta(days=2), 10) == []

    await _undone(store, body)


@sharing_a_store
@given(record=records(ConsentRecord))
async def test_consents_come_back_as_they_were(store: Store, record: ConsentRecord) -> None:
    def body(tx: Tx) -> None:
        tx.consents.add(record)
        assert tx.consents.search(number=record.number) == [record]

    await _undone(store, body)


@sharing_a_store
@given(happenings=st.lists(st.one_of(*map(records, get_args(Happening))), max_size=5), at=_times)
async def test_events_come_back_as_they_were(store: Store, happenings: list[Happening], at: datetime) -> None:
    def body(tx: Tx) -> None:
        tx.events.add(at, "c", *happenings)
        events = tx.events.of_call("c")
        assert [event.what for event in events] == happenings
        assert all(event.at == at for event in events)

    await _undone(store, body)
