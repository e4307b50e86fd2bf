"""The wait estimates, as they are read off the events."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ivr_engine.domain.events import (
    AgentChanged,
    AgentConnected,
    AgentOffered,
    CallbackAgreed,
    CallbackFailed,
    CallFinished,
    Event,
    Happening,
    LineLeft,
    OfferMissed,
    QueueEntered,
    WaitAnnounced,
)
from ivr_engine.domain.wait_watch import Of, QueueWatch, Staffing, WaitWatch

NOON = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
STAFFING = Staffing(
    queues_of={"anna": {"support"}, "ben": {"support", "sales"}},
    handling_s={"support": 240.0, "sales": 120.0},
)


class Day:
    """Tells a watch what happens, at seconds after noon."""

    def __init__(self) -> None:
        self.watch = WaitWatch()
        self.watch.staff(STAFFING)
        self._ids = itertools.count(1)

    def at(self, seconds: float, call: str | None, *happenings: Happening) -> None:
        for what in happenings:
            event = Event(
                id=next(self._ids),
                at=NOON + timedelta(seconds=seconds),
                call_id=call,
                kind=type(what).__name__,
                what=what,
            )
            self.watch.tell(event, STAFFING)

    @property
    def support(self) -> QueueWatch:
        return self.watch.queues["support"]


@pytest.fixture
def day() -> Day:
    day = Day()
    day.at(0, None, AgentChanged("anna", "available"), AgentChanged("ben", "available"))
    return day


def test_a_caller_through_the_line(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1))
    assert day.support.meter.waiting == 1
    day.at(110, "a", AgentOffered("anna"))
    assert (day.support.meter.waiting, day.support.meter.starts_slow) == (0, 1)
    assert day.support.meter.exposure_slow == pytest.approx(200, rel=0.01)
    day.at(116, "a", AgentConnected("anna", "t"))
    assert day.support.meter.ring_time == 6
    assert day.support.app_queue.hold_s == 106 // 4
    assert day.support.entry.callers == 1
    assert day.support.entry.waited == 106
    assert day.watch.callers == {}


def test_who_finds_an_agent_free_teaches_only_how_long_phones_ring(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1))
    day.at(10.2, "a", AgentOffered("anna"))
    day.at(15, "a", AgentConnected("anna", "t"))
    assert (day.support.meter.starts_slow, day.support.entry.callers) == (0, 0)
    assert day.support.meter.rings > 0


def test_an_offer_missed_leaves_the_caller_in_line(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1))
    day.at(60, "a", AgentOffered("anna"))
    day.at(80, "a", OfferMissed("anna", "no_answer"))
    assert (day.support.meter.waiting, day.support.meter.starts_slow) == (1, pytest.approx(0, abs=1e-3))
    day.at(90, "a", CallFinished("caller_hung_up"))
    assert (day.support.meter.waiting, day.support.meter.abandons) == (0, 1)


def test_hanging_up_while_the_phone_rings_is_giving_up(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1))
    day.at(60, "a", AgentOffered("anna"))
    day.at(65, "a", CallFinished("caller_hung_up"))
    assert day.support.meter.waiting == 0
    assert day.support.meter.abandons == 1
    assert day.support.meter.starts_slow == pytest.approx(0, abs=1e-3)


def test_going_elsewhere_leaves_the_line(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1))
    day.at(20, "a", LineLeft("support", "over_capacity"), QueueEntered("sales", 1))
    assert day.support.meter.waiting == 0
    assert day.watch.queues["sales"].meter.waiting == 1
    day.at(30, "a", CallFinished("caller_hung_up"))
    assert day.watch.queues["sales"].meter.waiting == 0


def test_an_end_after_the_talk_is_no_abandonment(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1))
    day.at(60, "a", AgentOffered("anna"))
    day.at(65, "a", AgentConnected("anna", "t"))
    day.at(300, "a", CallFinished("agent_hung_up"))
    assert day.support.meter.abandons == 0


def test_agents_at_work_are_counted_for_each_of_their_queues(day: Day) -> None:
    def agents(queue: str) -> tuple[int, int]:
        waits = day.watch.waits(queue, STAFFING)
        assert waits is not None
        return waits.agents, waits.idle

    assert (agents("support"), agents("sales")) == ((2, 2), (1, 1))
    day.at(1, None, AgentChanged("ben", "on_contact"))
    assert (agents("support"), agents("sales")) == ((2, 1), (1, 0))
    day.at(2, None, AgentChanged("ben", "on_break", "lunch"))
    assert (agents("support"), agents("sales")) == ((1, 1), (0, 0))
    waits = day.watch.waits("sales", STAFFING)
    assert waits is not None
    assert waits.newcomer(0) is None  # unknown: nobody is at work
    assert day.watch.waits("elsewhere", STAFFING) is None


def test_with_agents_idle_a_newcomer_waits_for_the_ring_alone(day: Day) -> None:
    waits = day.watch.waits("support", STAFFING)
    assert waits is not None
    newcomer, waiting = waits.newcomer(0), waits.waiting(0)
    assert newcomer is not None
    assert waiting is not None
    assert newcomer.expected_s == waits.rates.ring_s
    assert waiting.expected_s > 100  # whoever waits with agents idle is none of theirs


def test_what_was_announced_is_held_against_what_came(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1))
    day.at(40, "a", WaitAnnounced("wait.1to3", 60, 100, 70, 20))
    day.at(70, "a", WaitAnnounced("wait.1to3", 5, 10, 7, 50))
    day.at(120, "a", AgentOffered("anna"))
    day.at(125, "a", AgentConnected("anna", "t"))
    told = day.support.accuracy(Of.ANNOUNCED)
    assert told.callers == pytest.approx(2)
    assert (told.within_p50, told.within_p80) == pytest.approx((0, 1))
    assert told.waited == pytest.approx(85 + 55)
    assert told.error == pytest.approx((70 - 85) + (7 - 55))
    assert told.relative(told.square) == pytest.approx(((15**2 + 48**2) / 2) ** 0.5 / 70)


def test_nothing_to_tell_before_anybody_waited(day: Day) -> None:
    assert day.support.entry.relative(day.support.entry.square) is None


def test_a_queue_taken_out_is_forgotten_and_its_callers_harm_nobody(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1))
    day.watch.staff(Staffing({"ben": {"sales"}}, {"sales": 120.0}))
    assert set(day.watch.queues) == {"sales"}
    day.at(30, "a", AgentOffered("ben"))
    day.at(31, "a", AgentConnected("ben", "t"))
    day.at(40, "b", QueueEntered("support", 1))
    day.at(41, "b", CallFinished("caller_hung_up"))
    assert day.watch.callers == {}


def test_handling_time_and_share_come_from_the_site() -> None:
    watch = WaitWatch()
    watch.staff(STAFFING)
    assert watch.queues["support"].meter.share == pytest.approx((1 + 1 / 2) / 2)
    assert watch.queues["sales"].meter.rates().taken == pytest.approx(1 / 2 / 120)


def test_what_is_stored_in_mid_line_goes_on_as_if_nothing_had_been(day: Day) -> None:
    other = Day()
    for each in (day, other):
        each.at(0, None, AgentChanged("anna", "available"), AgentChanged("ben", "available"))
        for caller in range(20):
            each.at(10 + caller, f"c{caller}", QueueEntered("support", caller + 1))
        each.at(200, "c0", AgentOffered("anna"))
    other.watch = msgspec.json.decode(msgspec.json.encode(other.watch), type=WaitWatch)
    for each in (day, other):
        each.at(205, "c0", AgentConnected("anna", "t"))
        each.at(300, "c1", CallFinished("caller_hung_up"))
    day.watch.through = other.watch.through  # the fixture told it two events more
    assert other.watch == day.watch


def test_a_wait_in_which_nothing_happens_counts_at_once(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1))
    before = day.support.meter.rates().taken
    day.watch.pass_until(NOON.timestamp() + 1810)
    assert day.support.meter.rates().taken < 0.8 * before
    assert day.support.meter.line == pytest.approx(1800, rel=0.02)


def test_a_callback_keeps_its_place_and_is_taken_like_a_caller_but_nobody_listens(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1), CallbackAgreed("+4930123456"))
    assert day.support.meter.waiting == 1
    day.at(110, "a", AgentOffered("anna"))
    day.at(150, "a", AgentConnected("anna", "t"))
    assert (day.support.meter.waiting, day.support.meter.starts_slow) == (0, 1)
    assert (day.support.meter.rings, day.support.entry.callers, day.support.app_queue.hold_s) == (0, 0, 0)
    assert day.support.ringing == 0


def test_a_callback_that_reached_nobody_holds_up_no_line_and_has_not_lost_patience(day: Day) -> None:
    day.at(10, "a", QueueEntered("support", 1), CallbackAgreed("+4930123456"))
    day.at(110, "a", AgentOffered("anna"))
    day.at(140, "a", CallbackFailed(1, "busy"))
    meter = day.support.meter
    assert (meter.waiting, meter.abandons, day.support.ringing) == (0, 0, 0)
    assert meter.starts_slow == pytest.approx(0, abs=1e-3)
    day.at(440, "a", AgentOffered("anna"))
    day.at(460, "a", AgentConnected("anna", "t"))
    assert (meter.waiting, day.support.ringing) == (0, 0)
