"""What every store promises of calls, messages, agents, tickets, consents and events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain import waiting
from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.events import CallStarted, ConsentGiven, Happening, QueueEntered
from ivr_engine.domain.messages import Direction, MediaStatus, MessageStatus, Urgency
from ivr_engine.domain.pace import SenderPace
from ivr_engine.domain.records import replace
from ivr_engine.domain.wait_watch import Staffing, WaitWatch
from ivr_engine.errors import Refused
from ivr_engine.ports import Store, Tx
from tests.contract.store_examples import (
    KINDS,
    NOW,
    Undo,
    adding,
    call,
    comment,
    consent,
    kept_file,
    media,
    message,
    requested,
    sharing_a_store,
    ticket,
    writing,
)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with requested(request, tmp_path) as store:
        yield store


# ── calls ────────────────────────────────────────────────────────────────────────────────────────


async def test_an_unknown_call_is_missing(store: Store) -> None:
    transactions: list[Callable[[Tx], object]] = [
        lambda tx: tx.calls.get("?"),
        lambda tx: tx.calls.save(call()),
    ]
    for transaction in transactions:
        with pytest.raises(Refused) as caught:
            await store.run(transaction)
        assert caught.value.missing


async def test_a_channel_has_one_open_call(store: Store) -> None:
    first = call(channel_id="c", chapter=Chapter.WAITING)
    again = call(channel_id="c")
    await store.run(adding(first))
    with pytest.raises(Refused):
        await store.run(adding(again))
    assert await store.run(lambda tx: tx.calls.open_on("c")) == first
    await store.run(lambda tx: tx.calls.save(first.ended(EndReason.CALLER_HUNG_UP, NOW)))
    assert await store.run(lambda tx: tx.calls.open_on("c")) is None
    await store.run(adding(again))
    assert await store.run(lambda tx: tx.calls.open_on("c")) == again


async def test_open_calls_oldest_first(store: Store) -> None:
    late = call(started_at=NOW + timedelta(seconds=2))
    early = call(started_at=NOW)
    sales = call(started_at=NOW + timedelta(seconds=1), queue="sales")
    over = call().ended(EndReason.CALLER_HUNG_UP, NOW)
    await store.run(adding(late, early, sales, over))
    assert await store.run(lambda tx: tx.calls.open()) == [early, sales, late]
    assert await store.run(lambda tx: tx.calls.open(queue="support")) == [early, late]


async def test_search_calls_newest_first(store: Store) -> None:
    calls = [call(started_at=NOW + timedelta(seconds=n)) for n in range(3)]
    calls[1] = calls[1].ended(EndReason.AGENT_HUNG_UP, NOW)
    hidden = call(caller=None)
    await store.run(adding(*calls, hidden))
    caller = calls[0].caller
    assert await store.run(lambda tx: tx.calls.search(caller=caller)) == calls[::-1]
    assert await store.run(lambda tx: tx.calls.search(caller=caller, limit=1)) == [calls[2]]
    assert await store.run(lambda tx: tx.calls.search(caller=caller, open_only=True)) == [calls[2], calls[0]]
    assert len(await store.run(lambda tx: tx.calls.search(open_only=True))) == 3
    assert len(await store.run(lambda tx: tx.calls.search())) == 4


@st.composite
def lines(draw: st.DrawFn) -> list[Call]:
    """Some calls, in the line or not, with many a tie."""
    entered = st.none() | st.integers(0, 3).map(lambda seconds: NOW + timedelta(seconds=seconds))
    return [
        call(
            queue=draw(st.sampled_from(["support", "sales"])),
            chapter=draw(st.sampled_from(Chapter)),
            priority=draw(st.integers(-1, 1)),
            entered_at=draw(entered),
        )
        for _ in range(draw(st.integers(0, 12)))
    ]


@sharing_a_store
@given(calls=lines())
async def test_who_is_ahead_agrees_with_the_line(store: Store, calls: list[Call]) -> None:
    def transaction(tx: Tx) -> None:
        adding(*calls)(tx)
        for one in calls:
            if one.in_line:
                assert tx.calls.ahead(one) == waiting.line(calls, one.queue).index(one)
        for queue in ("support", "sales"):
            places = [one.entered_at or one.started_at for one in waiting.line(calls, queue)]
            assert tx.calls.in_line(queue) == (len(places), min(places, default=None))
        raise Undo

    with pytest.raises(Undo):
        await store.run(transaction)


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


async def test_the_same_webhook_again_adds_nothing(store: Store) -> None:
    first = message(
        direction=Direction.INBOUND, status=MessageStatus.RECEIVED, provider_id="SM1", retry_of="m"
    )
    again = message(provider_id="SM1")
    elsewhere = message(provider="other", provider_id="SM1")
    assert await store.run(writing(first, again, elsewhere)) == [True, False, True]
    assert await store.run(writing(again)) == [False]
    assert await store.run(lambda tx: tx.messages.by_provider_id("simulator", "SM1")) == first
    assert await store.run(lambda tx: tx.messages.by_provider_id("simulator", "SM2")) is None


async def test_messages_without_provider_id_are_all_different(store: Store) -> None:
    assert await store.run(writing(message(), message())) == [True, True]


async def test_an_unknown_message_is_missing(store: Store) -> None:
    transactions: list[Callable[[Tx], object]] = [
        lambda tx: tx.messages.get("?"),
        lambda tx: tx.messages.save(message()),
    ]
    for transaction in transactions:
        with pytest.raises(Refused) as caught:
            await store.run(transaction)
        assert caught.value.missing


async def test_due_messages(store: Store) -> None:
    wanted = frozenset({MessageStatus.ACCEPTED, MessageStatus.UNSETTLED})
    now = message(next_attempt_at=NOW, status=MessageStatus.ACCEPTED)
    longer = message(next_attempt_at=NOW - timedelta(seconds=1), status=MessageStatus.UNSETTLED)
    others = [
        message(next_attempt_at=NOW + timedelta(microseconds=1), status=MessageStatus.ACCEPTED),
        message(next_attempt_at=None, status=MessageStatus.ACCEPTED),
        message(next_attempt_at=NOW),
        message(next_attempt_at=NOW, status=MessageStatus.SENDING),
        message(next_attempt_at=NOW, direction=Direction.INBOUND),
    ]
    await store.run(writing(now, longer, *others))
    assert await store.run(lambda tx: tx.messages.due(NOW, wanted, 10)) == [longer, now]
    assert await store.run(lambda tx: tx.messages.due(NOW, wanted, 1)) == [longer]
    assert await store.run(lambda tx: tx.messages.due(NOW, frozenset(), 10)) == []


async def test_messages_to_send_go_by_turn_then_urgency_then_age(store: Store) -> None:
    campaign = message(next_attempt_at=NOW, turn=2.0, urgency=Urgency.CAMPAIGN)
    conversation = message(next_attempt_at=NOW, turn=2.0, urgency=Urgency.CONVERSATION)
    later = message(next_attempt_at=NOW, turn=3.0, urgency=Urgency.CONVERSATION)
    caller = message(next_attempt_at=NOW, created_at=NOW + timedelta(seconds=1))
    before = message(next_attempt_at=NOW)
    elsewhere = message(next_attempt_at=NOW, sender="+493")
    waits = message(next_attempt_at=NOW + timedelta(seconds=5))
    others = [message(next_attempt_at=None), message(next_attempt_at=NOW, status=MessageStatus.SENDING)]
    await store.run(writing(later, campaign, caller, conversation, before, elsewhere, waits, *others))
    assert await store.run(lambda tx: sorted(tx.messages.senders_waiting())) == sorted(
        [caller.sender, elsewhere.sender]
    )
    expected = [before, caller, conversation, campaign, later]
    assert await store.run(lambda tx: tx.messages.to_send(caller.sender, 9)) == expected
    assert await store.run(lambda tx: tx.messages.to_send(caller.sender, 1)) == [before]
    assert await store.run(lambda tx: tx.messages.to_send("+499", 9)) == []


async def test_what_waited_for_a_moment_is_made_ready_when_it_has_come(store: Store) -> None:
    first, second = (message(next_attempt_at=NOW + timedelta(seconds=s)) for s in (1, 2))
    looked_for = message(next_attempt_at=NOW, status=MessageStatus.UNSETTLED)
    await store.run(writing(second, first, looked_for))
    now = NOW + timedelta(seconds=3)
    assert await store.run(lambda tx: tx.messages.make_ready(NOW, 9)) == 0
    assert await store.run(lambda tx: tx.messages.make_ready(now, 1)) == 1
    expected = replace(first, updated_at=now)
    assert await store.run(lambda tx: tx.messages.to_send(first.sender, 9)) == [expected]
    assert await store.run(lambda tx: tx.messages.make_ready(now, 9)) == 1
    assert await store.run(lambda tx: tx.messages.make_ready(now, 9)) == 0


async def test_what_an_engine_left_in_sending(store: Store) -> None:
    mine = message(status=MessageStatus.SENDING, engine="ivr-1")
    others = message(status=MessageStatus.SENDING, engine="ivr-2"), message(engine="ivr-1")
    await store.run(writing(mine, *others))
    assert await store.run(lambda tx: tx.messages.left_in_sending("ivr-1", 9)) == [mine]


async def test_the_last_of_a_stream_has_the_latest_turn(store: Store) -> None:
    last = message(stream="spring", turn=7.0, status=MessageStatus.DELIVERED)
    await store.run(writing(last, message(stream="spring", turn=6.0), message(stream="x", turn=9.0)))
    assert await store.run(lambda tx: tx.messages.last_of_stream("spring")) == last
    assert await store.run(lambda tx: tx.messages.last_of_stream("summer")) is None


async def test_the_pace_of_a_sender(store: Store) -> None:
    assert await store.run(lambda tx: (tx.paces.get("+491"), tx.paces.turn("+491"))) == (None, 0.0)
    for pace in (SenderPace("+491", NOW, 1.5), SenderPace("+491", NOW + timedelta(seconds=1), 2.0)):
        await store.run(lambda tx, pace=pace: tx.paces.save(pace))
        assert await store.run(lambda tx: tx.paces.get("+491")) == pace
        assert await store.run(lambda tx: tx.paces.turn("+491")) == pace.turn


async def test_messages_with_pending_media(store: Store) -> None:
    pending = message(media=(media(status=MediaStatus.STORED), media(id="2")))
    done = message(media=(media(status=MediaStatus.REFUSED, problem="too large"),))
    await store.run(writing(pending, done, message()))
    assert await store.run(lambda tx: tx.messages.with_pending_media(10)) == [pending]
    stored = replace(pending, media=tuple(replace(m, status=MediaStatus.STORED) for m in pending.media))
    await store.run(lambda tx: tx.messages.save(stored))
    assert await store.run(lambda tx: tx.messages.with_pending_media(10)) == []
    assert await store.run(lambda tx: tx.messages.get(pending.id)) == stored


async def test_messages_of_a_call_and_the_last_one_sent(store: Store) -> None:
    first = message(call_id="c1")
    second = message(call_id="c2", created_at=NOW + timedelta(seconds=1))
    answer = message(
        call_id="c1",
        direction=Direction.INBOUND,
        sender=first.recipient,
        recipient=first.sender,
        created_at=NOW + timedelta(seconds=2),
    )
    without_call = message(created_at=NOW + timedelta(seconds=3))
    await store.run(writing(answer, second, first, without_call))
    assert await store.run(lambda tx: tx.messages.of_call("c1")) == [first, answer]
    counts = await store.run(lambda tx: tx.messages.exchanged(["c1", "c2", "c3"]))
    assert counts == {"c1": (1, 1), "c2": (1, 0)}
    assert await store.run(lambda tx: tx.messages.exchanged([])) == {}
    last = await store.run(lambda tx: tx.messages.last_outbound_to(first.recipient, first.sender))
    assert last == second
    assert await store.run(lambda tx: tx.messages.last_outbound_to(first.recipient, "+49301")) is None


async def test_search_messages_newest_first(store: Store) -> None:
    sent = message(sender="+491", recipient="+492")
    answer = message(sender="+492", recipient="+491", created_at=NOW + timedelta(seconds=1))
    to_self = message(sender="+491", recipient="+491", created_at=NOW + timedelta(seconds=2))
    unknown = message(sender="+493", recipient="+494", status=MessageStatus.UNKNOWN)
    await store.run(writing(sent, answer, to_self, unknown))
    assert await store.run(lambda tx: tx.messages.search(number="+491")) == [to_self, answer, sent]
    assert await store.run(lambda tx: tx.messages.search(number="+492")) == [answer, sent]
    assert await store.run(lambda tx: tx.messages.search(number="+491", limit=1)) == [to_self]
    in_doubt = MessageStatus.UNKNOWN
    assert await store.run(lambda tx: tx.messages.search(status=in_doubt)) == [unknown]
    assert await store.run(lambda tx: tx.messages.search(status=in_doubt, number="+491")) == []
    assert await store.run(lambda tx: tx.messages.search(status=in_doubt, number="+494")) == [unknown]
    assert len(await store.run(lambda tx: tx.messages.search())) == 4


# ── agents, tickets, consents, events ────────────────────────────────────────────────────────────


async def test_agents(store: Store) -> None:
    berta = Agent(name="berta", state=AgentState.AVAILABLE, since=NOW)
    anna = Agent(name="anna", state=AgentState.WRAP_UP, since=NOW, until=NOW + timedelta(seconds=5))
    assert await store.run(lambda tx: tx.agents.get("anna")) is None
    for agent in (berta, anna):
        await store.run(lambda tx, agent=agent: tx.agents.save(agent))
    assert await store.run(lambda tx: tx.agents.all()) == [anna, berta]
    busy = berta.offered("c1", NOW)
    await store.run(lambda tx: tx.agents.save(busy))
    assert await store.run(lambda tx: tx.agents.get("berta")) == busy


async def test_of_two_offers_to_one_agent_the_second_loses(store: Store) -> None:
    await store.run(lambda tx: tx.agents.save(Agent(name="anna", state=AgentState.AVAILABLE, since=NOW)))

    def offering(call_id: str) -> Callable[[Tx], str]:
        def transaction(tx: Tx) -> str:
            agent = tx.agents.get("anna")
            assert agent is not None
            tx.agents.save(agent.offered(call_id, NOW))
            return call_id

        return transaction

    results = await asyncio.gather(*(store.run(offering(f"c{n}")) for n in range(20)), return_exceptions=True)
    winners = [result for result in results if isinstance(result, str)]
    assert len(winners) == 1
    agent = await store.run(lambda tx: tx.agents.get("anna"))
    assert agent is not None
    assert agent.call_id == winners[0]


async def test_one_comment_and_one_file_a_source(store: Store) -> None:
    one = ticket()

    def transaction(tx: Tx) -> None:
        tx.tickets.add(one)
        for number, source in enumerate(["s1", "s2", "s1", None, None]):
            tx.tickets.comment(one.id, comment(number, source))
            tx.tickets.attach(one.id, kept_file(number, source))

    await store.run(transaction)
    await store.run(lambda tx: tx.tickets.comment(one.id, comment(9, "s2")))
    found = await store.run(lambda tx: tx.tickets.get(one.id))
    assert [said.text for said in found.comments] == ["0", "1", "3", "4"]
    assert [file.id for file in found.files] == ["file-0", "file-1", "file-3", "file-4"]


async def test_the_same_source_on_two_tickets(store: Store) -> None:
    first, second = ticket(), ticket(opened_at=NOW + timedelta(seconds=1), caller="+491")
    await store.run(lambda tx: (tx.tickets.add(first), tx.tickets.add(second)))
    await store.run(lambda tx: tx.tickets.comment(first.id, comment(1, "s")))
    await store.run(lambda tx: tx.tickets.comment(second.id, comment(2, "s")))
    found = await store.run(lambda tx: tx.tickets.search())
    assert found == [
        replace(second, comments=(comment(2, "s"),)),
        replace(first, comments=(comment(1, "s"),)),
    ]
    assert await store.run(lambda tx: tx.tickets.search(caller="+491")) == found[:1]
    assert await store.run(lambda tx: tx.tickets.search(limit=1)) == found[:1]
    assert await store.run(lambda tx: tx.tickets.search(caller="+492")) == []


async def test_an_unknown_ticket_is_missing(store: Store) -> None:
    transactions: list[Callable[[Tx], object]] = [
        lambda tx: tx.tickets.get("?"),
        lambda tx: tx.tickets.comment("?", comment(1)),
        lambda tx: tx.tickets.attach("?", kept_file(1, "s")),
    ]
    for transaction in transactions:
        with pytest.raises(Refused) as caught:
            await store.run(transaction)
        assert caught.value.missing


async def test_the_consent_ledger(store: Store) -> None:
    records = [consent(1, "+491"), consent(2, "+492"), consent(3, "+491")]
    for record in records:
        await store.run(lambda tx, record=record: tx.consents.add(record))
    assert await store.run(lambda tx: tx.consents.search()) == records[::-1]
    assert await store.run(lambda tx: tx.consents.search(number="+491")) == [records[2], records[0]]
    assert await store.run(lambda tx: tx.consents.search(limit=1)) == [records[2]]


async def test_where_nothing_has_happened_there_is_no_newest_event(store: Store) -> None:
    assert await store.run(lambda tx: tx.events.newest_id()) == 0


async def test_events_in_order(store: Store) -> None:
    def transaction(tx: Tx) -> None:
        tx.events.add(NOW, "c1", CallStarted("+491", "700"), QueueEntered("support", 1))
        tx.events.add(NOW, "c2", CallStarted(None, "700"))
        tx.events.add(NOW, "c1")
        tx.events.add(NOW + timedelta(seconds=1), "c1", ConsentGiven("allowed", "1"))

    await store.run(transaction)
    events = await store.run(lambda tx: tx.events.of_call("c1"))
    assert [event.kind for event in events] == ["call_started", "queue_entered", "consent_given"]
    assert events[2].what == ConsentGiven("allowed", "1")
    everything = await store.run(lambda tx: tx.events.after(0))
    assert await store.run(lambda tx: tx.events.newest_id()) == everything[-1].id
    assert [event.id for event in everything] == sorted({event.id for event in everything})
    assert await store.run(lambda tx: tx.events.after(everything[1].id, limit=1)) == [everything[2]]
    assert await store.run(lambda tx: tx.events.after(everything[-1].id)) == []
    entered = [event for event in everything if isinstance(event.what, QueueEntered)]
    assert entered
    assert await store.run(lambda tx: tx.events.after(0, kinds=frozenset({QueueEntered}))) == entered
    either = frozenset[type[Happening]]({QueueEntered, CallStarted, ConsentGiven})
    assert await store.run(lambda tx: tx.events.after(0, kinds=either)) == everything


async def test_events_of_calls_that_have_a_ticket(store: Store) -> None:
    def transaction(tx: Tx) -> None:
        tx.calls.add(call(id="c1", channel_id="1", ticket_id="t"))
        tx.calls.add(call(id="c2", channel_id="2"))
        for call_id in ("c1", "c2", "gone", None):
            tx.events.add(NOW, call_id, CallStarted(call_id, "700"), QueueEntered("support", 1))

    await store.run(transaction)
    events = await store.run(lambda tx: tx.events.after(0, kinds=frozenset({CallStarted}), ticketed=True))
    assert [event.what for event in events] == [CallStarted("c1", "700")]
    assert len(await store.run(lambda tx: tx.events.after(0, ticketed=True))) == 2


async def test_of_each_engine_the_last_sign_of_life_is_kept(store: Store) -> None:
    later = NOW + timedelta(minutes=1)
    for name, at in (("ivr-1", NOW), ("ivr-2", NOW), ("ivr-1", later)):
        await store.run(lambda tx, name=name, at=at: tx.engines.lives(name, at))
    assert await store.run(lambda tx: tx.engines.last_signs()) == {"ivr-1": later, "ivr-2": NOW}


async def test_what_the_wait_estimates_have_learnt(store: Store) -> None:
    assert await store.run(lambda tx: tx.waits.load()) is None
    watch = WaitWatch(through=7)
    watch.staff(Staffing({"anna": {"support"}}, {"support": 240.0}))
    await store.run(lambda tx: tx.waits.save(watch))
    watch.through = 9
    await store.run(lambda tx: tx.waits.save(watch))
    assert await store.run(lambda tx: tx.waits.load()) == watch
