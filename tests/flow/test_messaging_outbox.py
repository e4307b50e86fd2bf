"""The outbox under everything a provider does, and an engine killed at every step, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from ivr_engine.domain.messages import Message, MessageStatus
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.messaging import settling
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.outbox import OutboxLimits
from ivr_engine.messaging.settling import SettlingPolicy
from ivr_engine.ports import StatusReport, Tx
from ivr_engine.sim import clock
from ivr_engine.sim.life import Life
from tests.figures import Figure
from tests.flow.databases import on_both
from tests.flow.sms_company import BUG, BUSY, ERROR, HANGS, LATE, LOST, OK, REFUSED, UNREACHABLE, Office

ACCEPTED, SENT, DELIVERED = MessageStatus.ACCEPTED, MessageStatus.SENT, MessageStatus.DELIVERED
UNKNOWN, FAILED, QUEUED = MessageStatus.UNKNOWN, MessageStatus.FAILED, MessageStatus.QUEUED

Story = Callable[[Office], Coroutine[Any, Any, None]]


def tell(story: Story, *, seed: int = 0) -> None:
    async def main() -> None:
        office = Office()
        try:
            await story(office)
        finally:
            await office.close()

    clock.run(main(), seed=seed)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_message_is_sent_once_and_every_move_is_told() -> None:
    async def story(office: Office) -> None:
        async with office.engine() as outbox:
            await asyncio.sleep(0.5)
            await office.queue()
            outbox.wake()
            began = now()
            await office.until(ACCEPTED)
            assert now() - began < 0.6  # woken, not found by the next look
        assert office.company.ledger == [("SM0", "m0")]
        message = await office.message()
        assert (message.provider_id, message.attempts, message.error_code) == ("SM0", 1, None)
        assert await office.moves() == ["sending", "accepted"]

    tell(story)


def test_without_a_wake_the_next_look_finds_it() -> None:
    async def story(office: Office) -> None:
        async with office.engine():
            await asyncio.sleep(0.5)
            await office.queue()
            await office.until(ACCEPTED, limit_s=2)

    tell(story)


@on_both
def test_many_are_sent_side_by_side_but_bounded() -> None:
    async def story(office: Office) -> None:
        await office.queue(100)
        async with office.engine(limits=OutboxLimits(sends_at_once=7)):
            await office.until(ACCEPTED)
            assert now() < 100 / 7 * 0.25 + 1
        assert office.company.most_under_way == 7
        assert sorted(ours for _, ours in office.company.ledger) == sorted(office.queued)

    tell(story)


@on_both
def test_a_lost_answer_is_settled_by_the_list() -> None:
    async def story(office: Office) -> None:
        office.company.says = [LOST]
        await office.queue()
        async with office.engine():
            await office.until(ACCEPTED)
        assert len(office.company.ledger) == 1
        assert (await office.message()).error_code is None
        assert await office.moves() == ["sending", "unsettled", "accepted"]

    tell(story)


def test_a_lost_answer_is_settled_by_the_callback_while_the_list_is_down() -> None:
    async def story(office: Office) -> None:
        office.company.says = [LOST]
        office.company.list_says = [ERROR] * 1000
        await office.queue()
        async with office.engine():
            await office.until(MessageStatus.UNSETTLED)
            await asyncio.sleep(5)
            await office.report(StatusReport("SM0", DELIVERED, "m0"))
            await asyncio.sleep(1000)
        assert await office.moves() == ["sending", "unsettled", "delivered"]
        assert len(office.company.requests) == 1

    tell(story)


def test_two_hundred_answers_lost_half_of_them_settled_by_callbacks(figure: Figure) -> None:
    """Every other one of 400. The list does not answer for a minute: until then only callbacks tell."""

    async def story(office: Office) -> None:
        office.company.says = [LOST, OK] * 200
        office.company.list_says = [ERROR] * 10_000
        await office.queue(400)
        async with office.engine():
            await asyncio.sleep(30)
            statuses = dict(zip(office.queued, await office.statuses(), strict=True))
            lost = [sent for sent in office.company.ledger if statuses[sent[1]] is MessageStatus.UNSETTLED]
            assert len(lost) == 200
            for provider_id, ours in lost[::2]:
                await office.report(StatusReport(provider_id, DELIVERED, ours))
            by_callback = (await office.statuses()).count(DELIVERED)
            await asyncio.sleep(30)
            office.company.list_says = []
            await office.until(ACCEPTED, DELIVERED)
        doubled = sum(office.company.taken(id) > 1 for id in office.queued)
        figure(
            20,
            "accepts, then resets the connection, 200 messages",
            by_callback=by_callback,
            by_list=(await office.statuses()).count(ACCEPTED) - 200,
            doubled=doubled,
        )
        assert (by_callback, doubled, len(office.company.ledger)) == (100, 0, 400)

    tell(story)


def test_an_error_is_looked_up_and_only_then_sent_again() -> None:
    async def story(office: Office) -> None:
        office.company.says = [ERROR]
        await office.queue()
        async with office.engine():
            await office.until(ACCEPTED)
        assert len(office.company.ledger) == 1
        assert await office.moves() == ["sending", "unsettled", "queued", "sending", "accepted"]
        first, second = (at for at, _ in office.company.requests)
        assert second - first >= SettlingPolicy().list_lag_s

    tell(story)


def test_a_list_that_is_down_leaves_it_unsettled_and_never_sends_twice() -> None:
    async def story(office: Office) -> None:
        office.company.says = [ERROR]
        office.company.list_says = [ERROR] * 100
        await office.queue()
        async with office.engine():
            await asyncio.sleep(300)
            assert len(office.company.requests) == 1
            await office.until(ACCEPTED)

    tell(story)


def test_a_minute_of_errors_with_a_thousand_messages_each_once_and_two_log_lines(figure: Figure) -> None:
    async def story(office: Office) -> None:
        office.company.down = True
        await office.queue(1000)
        async with office.engine():
            await asyncio.sleep(60)
            down_requests = len(office.company.requests)
            office.company.down = False
            await office.until(ACCEPTED, limit_s=120)
        taken = [office.company.taken(id) for id in office.queued]
        figure(
            19,
            "provider answers 500 for 60 s, 1,000 messages",
            sent=len(office.company.ledger),
            lost=taken.count(0),
            doubled=sum(count > 1 for count in taken),
        )
        assert taken == [1] * 1000
        assert down_requests < 120  # a provider that is down is not hammered

    with capture_logs() as logs:
        tell(story)
    assert [e["event"] for e in logs] == ["sms.provider_down", "sms.provider_back"]
    assert logs[0]["reason"] == "500"


def test_nobody_listens_at_the_provider_for_a_minute() -> None:
    async def story(office: Office) -> None:
        office.company.says = [UNREACHABLE] * 20
        await office.queue(50)
        async with office.engine():
            await office.until(ACCEPTED)
        assert sorted(ours for _, ours in office.company.ledger) == sorted(office.queued)

    with capture_logs() as logs:
        tell(story)
    assert [e["event"] for e in logs] == ["sms.provider_down", "sms.provider_back"]


def test_busy_is_waited_out(figure: Figure) -> None:
    async def story(office: Office) -> None:
        office.company.says = [BUSY]
        office.company.retry_after_s = 20
        await office.queue(3)
        async with office.engine(limits=OutboxLimits(sends_at_once=1)):
            await office.until(ACCEPTED)
        first, second = (at for at, _ in office.company.requests[:2])
        figure(21, "429 with Retry-After: 20", asked_again_after_s=f"{second - first:.1f}", messages=3)
        assert second - first >= 20  # the others waited too: the provider asked for patience, not one message
        assert [office.company.taken(m) for m in office.queued] == [1, 1, 1]

    tell(story)


def test_a_refusal_is_final() -> None:
    async def story(office: Office) -> None:
        office.company.says = [REFUSED]
        await office.queue()
        async with office.engine():
            await office.until(FAILED)
            await asyncio.sleep(1000)
        assert len(office.company.requests) == 1
        assert (await office.message()).error_code == "21610"
        assert await office.moves() == ["sending", "failed"]

    tell(story)


def test_a_provider_that_hangs_leaves_it_unknown_and_visible() -> None:
    async def story(office: Office) -> None:
        office.company.says = [HANGS]
        await office.queue()
        async with office.engine():
            began = now()
            await office.until(UNKNOWN)
            assert 60 <= now() - began <= 100
            await asyncio.sleep(1000)
        assert len(office.company.requests) == 1
        shown = await office.store.run(lambda tx: tx.messages.search(status=UNKNOWN))
        assert [(m.id, m.error_code) for m in shown] == [("m0", settling.NO_ANSWER)]

    with capture_logs() as logs:
        tell(story)
    assert [e["event"] for e in logs] == ["sms.unknown"]


def test_taken_after_the_time_out_but_while_being_settled() -> None:
    async def story(office: Office) -> None:
        office.company.says = [LATE]
        await office.queue()
        async with office.engine():
            await office.until(ACCEPTED)
        assert office.company.taken("m0") == 1
        assert len(office.company.requests) == 1

    tell(story)


@pytest.mark.parametrize("status", [ACCEPTED, SENT, DELIVERED])
def test_unknown_is_resolved_by_a_callback_that_comes_after_all(status: MessageStatus) -> None:
    async def story(office: Office) -> None:
        office.company.says = [HANGS]
        await office.queue()
        async with office.engine():
            await office.until(UNKNOWN)
            await office.report(StatusReport("SM9", status, "m0"))
        message = await office.message()
        assert (message.status, message.provider_id, message.error_code) == (status, "SM9", None)

    tell(story)


def test_an_admin_resends_or_drops_what_is_unknown_and_nothing_else() -> None:
    async def story(office: Office) -> None:
        office.company.says = [HANGS, HANGS]
        await office.queue(2)
        async with office.engine() as outbox:
            with pytest.raises(Refused):
                await outbox.resend("m0")
            await office.until(UNKNOWN)
            await outbox.resend("m0")
            await outbox.drop("m1")
            with pytest.raises(Refused):
                await outbox.drop("m1")
            await office.until(ACCEPTED, FAILED)
        assert await office.statuses() == [ACCEPTED, FAILED]
        assert (await office.message("m1")).error_code == settling.DROPPED
        assert office.company.ledger == [("SM0", "m0")]

    tell(story)


def test_a_message_that_was_unknown_for_days_can_still_be_resent() -> None:
    async def story(office: Office) -> None:
        office.company.says = [HANGS]
        await office.queue()
        async with office.engine(limits=OutboxLimits(poll_s=60)) as outbox:
            await office.until(UNKNOWN)
            await asyncio.sleep(2 * 86_400)
            await outbox.resend("m0")
            await office.until(ACCEPTED)
        assert office.company.taken("m0") == 1

    tell(story)


def test_callbacks_that_overtake_the_answer_reversed_and_ten_times() -> None:
    async def story(office: Office) -> None:
        async with office.engine(), asyncio.TaskGroup() as webhooks:
            office.company.tells = (DELIVERED, SENT)
            office.company.copies = 10
            office.company.told = lambda report: void(webhooks.create_task(office.report(report)))
            await office.queue()
            await office.until(DELIVERED)
            await asyncio.sleep(1000)
        assert await office.moves() == ["sending", "delivered"]
        message = await office.message()
        assert (message.provider_id, message.next_attempt_at) == ("SM0", None)

    tell(story)


@pytest.mark.parametrize("how", ["before the answer", "reversed", "ten times", "missing"])
def test_a_hundred_with_callbacks(how: str, figure: Figure) -> None:
    async def story(office: Office) -> None:
        company = office.company
        company.tells = {"missing": (), "reversed": (DELIVERED, SENT)}.get(how, (SENT, DELIVERED))
        company.copies = 10 if how == "ten times" else 1
        async with office.engine(), asyncio.TaskGroup() as webhooks:

            async def bring(report: StatusReport) -> None:
                await asyncio.sleep(0 if how == "before the answer" else 1)
                await office.report(report)

            company.told = lambda report: void(webhooks.create_task(bring(report)))
            await office.queue(100)
            await office.until(ACCEPTED if how == "missing" else DELIVERED)
            await asyncio.sleep(100)
        statuses = await office.statuses()
        wanted = ACCEPTED if how == "missing" else DELIVERED
        wrong = sum(status is not wanted for status in statuses)
        figure(23, f"callbacks {how}, 100 messages", wrong_at_the_end=wrong, sent=len(company.ledger))
        assert (wrong, len(company.ledger)) == (0, 100)

    tell(story)


def test_missing_callbacks_are_made_up_for_by_looking() -> None:
    async def story(office: Office) -> None:
        await office.queue()
        async with office.engine(limits=OutboxLimits(poll_s=60)):
            await office.until(ACCEPTED)
            await office.report(StatusReport("SM0", SENT, "m0"))
            assert (await office.message()).next_attempt_at is not None
            await asyncio.sleep(86_400)
        assert (await office.message()).next_attempt_at is None  # and one day it stops
        assert len(office.company.requests) == 1

    tell(story)


def _nothing_against(tx: Tx, message: Message) -> str | None:
    return None


def _opted_out(tx: Tx, message: Message) -> str | None:
    return "opted_out" if message.id == "m0" else None


def test_what_must_not_be_sent_any_more_is_not() -> None:
    async def story(office: Office) -> None:
        await office.queue(2)
        async with office.engine(rules=SendingRules(vetoes=(_nothing_against, _opted_out))):
            await office.until(ACCEPTED, FAILED)
        assert office.company.ledger == [("SM0", "m1")]
        assert (await office.message("m0")).error_code == "opted_out"

    tell(story)


def test_too_old_is_not_sent() -> None:
    async def story(office: Office) -> None:
        await office.queue()
        await asyncio.sleep(5 * 3600)
        async with office.engine():
            await office.until(FAILED)
        assert office.company.requests == []
        assert (await office.message()).error_code == settling.EXPIRED

    tell(story)


def test_one_id_for_two_messages_is_shown_not_hidden() -> None:
    async def story(office: Office) -> None:
        office.company.same_id = "SM7"
        await office.queue(2)
        async with office.engine(limits=OutboxLimits(sends_at_once=1)):
            await office.until(ACCEPTED, UNKNOWN)
        assert sorted(await office.statuses()) == [ACCEPTED, UNKNOWN]

    tell(story)


def test_a_fault_in_the_adapter_is_unclear_and_the_others_go_on() -> None:
    async def story(office: Office) -> None:
        office.company.says = [BUG]
        await office.queue(3)
        async with office.engine(limits=OutboxLimits(sends_at_once=1)):
            await office.until(ACCEPTED, UNKNOWN)
        assert sorted(await office.statuses()) == [ACCEPTED, ACCEPTED, UNKNOWN]

    tell(story)


def test_a_store_that_fails_for_a_while_loses_and_doubles_nothing() -> None:
    async def story(office: Office) -> None:
        await office.queue(5)
        faults = [ExternalError("disk full") for _ in range(7)]
        office.faults += faults
        async with office.engine():
            await office.until(ACCEPTED)
        assert sorted(ours for _, ours in office.company.ledger) == sorted(office.queued)

    tell(story)


def test_a_store_that_is_gone_when_the_answer_comes_is_made_up_for_by_the_list() -> None:
    async def story(office: Office) -> None:
        await office.queue()
        life = Life()
        async with office.engine(life):
            while not office.company.requests:  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.01)
            office.faults += [ExternalError("gone")] * 8
            await office.until(ACCEPTED)
        assert office.company.taken("m0") == 1

    tell(story)


def test_the_clock_jumps_an_hour_and_back() -> None:
    async def story(office: Office) -> None:
        office.company.says = [ERROR, BUSY, LOST]
        await office.queue(4)
        async with office.engine():
            await asyncio.sleep(2)
            office.clock.shift(3600)
            await asyncio.sleep(5)
            office.clock.shift(-3600)
            await office.until(ACCEPTED, limit_s=2 * 3600)
        assert all(office.company.taken(m) == 1 for m in office.queued)

    tell(story)


def void(_: object) -> None:
    """For lambdas that are called for their effect."""


# ── kill -9 at every step ────────────────────────────────────────────────────────────────────────

PLANS: dict[str, list[str]] = {
    "all is well": [],
    "an error, then well": [ERROR],
    "an answer lost": [LOST],
    "busy, then well": [BUSY],
    "taken late": [LATE],
    "everything": [LOST, ERROR, BUSY, LATE],
}


async def _live(office: Office, life: Life) -> None:
    """One engine, until all is settled or it is killed."""
    async with office.engine(life):
        settled = asyncio.ensure_future(office.until(ACCEPTED, SENT, DELIVERED, UNKNOWN, FAILED))
        killed = asyncio.ensure_future(life.dead.wait())
        try:
            await asyncio.wait((settled, killed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _ended(settled, killed)


async def _ended(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def killed_at(plan: list[str], last_step: int | None, outage_s: float) -> int:
    """Kill the engine right after ``last_step``, start another; the number of steps of the first."""
    steps = 0

    async def story(office: Office) -> None:
        nonlocal steps
        office.company.says = list(plan)
        office.company.late_s = 5.0
        await office.queue(2)
        first = Life(last_step)
        await _live(office, first)
        steps = len(first.steps)
        if first.dead.is_set():
            await asyncio.sleep(outage_s)
            await _live(office, Life())
        for id, status in zip(office.queued, await office.statuses(), strict=True):
            taken = office.company.taken(id)
            assert (status, taken) == (ACCEPTED, 1), f"{id} is {status} and was taken {taken} times"

    tell(story)
    return steps


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("outage_s", [0.0, 30.0])
def test_killed_at_every_step_ledger_and_outbox_agree(plan: str, outage_s: float) -> None:
    with capture_logs():
        steps = killed_at(PLANS[plan], None, 0.0)
        assert steps > 10
        for last_step in range(steps):
            killed_at(PLANS[plan], last_step, outage_s)


KINDS = (OK, OK, ERROR, LOST, BUSY, REFUSED, HANGS, LATE, UNREACHABLE)


@pytest.mark.parametrize("seed", range(25))
def test_any_mixture_of_troubles_and_deaths(seed: int) -> None:
    """Whatever happens: taken once and known to be, or certainly not taken, or shown as unknown."""

    async def story(office: Office) -> None:
        chance = clock.chance()
        office.company.says = [chance.choice(KINDS) for _ in range(40)]
        office.company.list_says = [chance.choice((OK, ERROR)) for _ in range(20)]
        await office.queue(20)
        for _ in range(3):
            await _live(office, Life(chance.randrange(5, 120)))
            await asyncio.sleep(chance.uniform(0, 20))
        await _live(office, Life())
        for id, status in zip(office.queued, await office.statuses(), strict=True):
            taken = office.company.taken(id)
            assert taken <= 1
            if status is ACCEPTED:
                assert taken == 1
            elif status is FAILED:
                assert taken == 0
            else:
                assert status is UNKNOWN

    with capture_logs():
        tell(story, seed=seed)


def test_a_row_in_sending_belongs_to_a_dead_engine_when_its_lease_is_over() -> None:
    """Also without a start: as another engine's would be on a shared database."""

    async def story(office: Office) -> None:
        life = Life()
        async with office.engine():
            await asyncio.sleep(1)  # its own look at start found nothing
            await office.queue()

            def claim(tx: Any) -> None:
                message = tx.messages.get("m0")
                tx.messages.save(settling.claimed(message, office.clock.now(), SettlingPolicy()))

            await office.store.run(claim)
            await office.until(ACCEPTED, limit_s=300)
        assert office.company.taken("m0") == 1
        assert not life.dead.is_set()

    tell(story)
