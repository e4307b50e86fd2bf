"""The pure decisions of sending: moments of a sender, turns among those who wait, quiet hours."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.messages import Message, Urgency, outbound
from ivr_engine.domain.pace import AHEAD, MOST_PARTS, START, SenderPace, Slots
from ivr_engine.domain.quiet_hours import SOLICITATIONS, Hours, next_moment, zones_of
from ivr_engine.domain.records import replace
from ivr_engine.domain.schedules import Span
from ivr_engine.domain.turns import turn_of
from tests.figures import Figure

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SENDER = "+4930123456"
BERLIN, NEW_YORK, LOS_ANGELES = "+4915112345678", "+12125551234", "+13105551234"
ELSEWHERE = ZoneInfo("UTC")


def message(stream: str | None, urgency: Urgency, text: str = "Hello") -> Message:
    return outbound(
        id="m", sender=SENDER, recipient=BERLIN, text=text, provider="p", purpose="campaign", call_id=None,
        now=NOW, urgency=urgency, stream=stream,
    )  # fmt: skip


# ── moments ──────────────────────────────────────────────────────────────────────────────────────


def test_without_a_limit_every_moment_is_now() -> None:
    slots = Slots(SENDER, None, None, NOW)
    assert [slots.take(1, 0.0) for _ in range(100)] == [NOW] * 100
    assert slots.most is None


def test_a_long_message_keeps_its_sender_for_all_its_parts() -> None:
    slots = Slots(SENDER, None, 2.0, NOW)
    assert slots.take(3, 0.0) == NOW
    assert slots.next == NOW + timedelta(seconds=1.5) + START
    assert not slots.open
    assert slots.pace() == SenderPace(SENDER, slots.next)


def test_no_burst_after_a_pause() -> None:
    slots = Slots(SENDER, SenderPace(SENDER, NOW - timedelta(hours=1)), 1.0, NOW)
    assert slots.take(1, 0.0) == NOW
    assert slots.next == NOW + timedelta(seconds=1) + START


def test_a_clock_set_back_does_not_silence_a_sender() -> None:
    slots = Slots(SENDER, SenderPace(SENDER, NOW + timedelta(hours=1)), 1.0, NOW)
    assert slots.next == NOW
    believable = NOW + timedelta(seconds=MOST_PARTS)
    assert Slots(SENDER, SenderPace(SENDER, believable), 1.0, NOW).next == believable


@given(
    rate=st.floats(0.1, 200),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 10)), min_size=1, max_size=60),
)
def test_however_it_is_asked_the_rate_holds(rate: float, steps: Sequence[tuple[float, int]]) -> None:
    """Between any two messages there is the time that the parts from the first on take."""
    now, pace = NOW, None
    sent: list[tuple[datetime, int]] = []
    for wait_s, parts in steps:
        now += timedelta(seconds=wait_s)
        slots = Slots(SENDER, pace, rate, now)
        while slots.open:
            sent.append((slots.take(parts, 0.0), parts))
        pace = slots.pace()
    for (before, parts), (after, _) in itertools.pairwise(sent):
        assert (after - before).total_seconds() >= parts / rate - 1e-6
        assert before <= now + AHEAD


# ── turns ────────────────────────────────────────────────────────────────────────────────────────


def order(waiting: dict[str, tuple[Urgency, int]]) -> list[str]:
    """Whose messages are sent in which order, when all were put there at once."""
    queued: list[Message] = []
    for stream, (urgency, count) in waiting.items():
        last = None
        for _ in range(count):
            one = message(stream, urgency)
            last = replace(one, turn=turn_of(one, last, 0.0))
            queued.append(last)
    return [one.stream or "" for one in sorted(queued, key=lambda one: (one.turn, one.urgency))]


def test_two_campaigns_share() -> None:
    sent = order({"a": (Urgency.CAMPAIGN, 50), "b": (Urgency.CAMPAIGN, 50)})
    assert [sent[:20].count(name) for name in ("a", "b")] == [10, 10]


def test_a_conversation_goes_before_a_campaign_and_leaves_it_a_share() -> None:
    sent = order({"campaign": (Urgency.CAMPAIGN, 50), "talk": (Urgency.CONVERSATION, 50)})
    assert sent[0] == "talk"
    assert sent[:25].count("campaign") == 5


def test_callers_have_no_turn_to_wait_for() -> None:
    assert turn_of(message(None, Urgency.CALLER), None, 1000.0) == 0.0


def test_who_was_silent_goes_on_from_here_not_from_the_past() -> None:
    last = replace(message("a", Urgency.CAMPAIGN), turn=3.0)
    assert turn_of(message("a", Urgency.CAMPAIGN), last, 100.0) == 100.0
    assert turn_of(message("a", Urgency.CAMPAIGN), last, 2.0) == 4.0


# ── quiet hours ──────────────────────────────────────────────────────────────────────────────────


def at(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_a_number_tells_its_zone_or_several_or_none() -> None:
    assert [zone.key for zone in zones_of(BERLIN)] == ["Europe/Berlin"]
    assert [zone.key for zone in zones_of(LOS_ANGELES)] == ["America/Los_Angeles"]
    assert len(zones_of("+61412345678")) > 3
    assert zones_of("+88213000000") == zones_of("no number") == ()


@pytest.mark.parametrize(
    ("recipient", "now", "expected"),
    [
        (BERLIN, at("2026-01-15 07:59:59", "Europe/Berlin"), at("2026-01-15 08:00", "Europe/Berlin")),
        (BERLIN, at("2026-01-15 08:00", "Europe/Berlin"), None),
        (BERLIN, at("2026-01-15 20:59:59", "Europe/Berlin"), None),
        (BERLIN, at("2026-01-15 21:00", "Europe/Berlin"), at("2026-01-16 08:00", "Europe/Berlin")),
        (NEW_YORK, at("2026-01-15 08:00", "Europe/Berlin"), at("2026-01-15 08:00", "America/New_York")),
        # The night in which the clock leaps forward, and the one in which it falls back.
        (BERLIN, at("2026-03-28 23:00", "Europe/Berlin"), at("2026-03-29 08:00", "Europe/Berlin")),
        (BERLIN, at("2026-10-24 23:00", "Europe/Berlin"), at("2026-10-25 08:00", "Europe/Berlin")),
        (NEW_YORK, at("2026-03-08 01:30", "America/New_York"), at("2026-03-08 08:00", "America/New_York")),
        # All of Australia: from 8 in Perth; 21 o'clock on Lord Howe ends it.
        ("+61412345678", at("2026-06-15 09:00", "Australia/Sydney"), at("2026-06-15 08:00", "Indian/Cocos")),
        # From Guam's morning to Newfoundland's evening; and a number that tells nothing.
        ("+18005551234", at("2026-01-15 03:00", "UTC"), at("2026-01-16 08:00", "Pacific/Guam")),
        ("+88213000000", at("2026-01-15 03:00", "UTC"), at("2026-01-15 08:00", "UTC")),
    ],
)
def test_the_next_moment(recipient: str, now: datetime, expected: datetime | None) -> None:
    assert next_moment(recipient, SOLICITATIONS, now, ELSEWHERE) == (expected or now)


def test_zones_without_a_common_moment_count_as_the_one_given() -> None:
    morning = Span(8 * 60, 10 * 60)
    now = at("2026-01-15 03:00", "UTC")
    assert next_moment("+18005551234", morning, now, ELSEWHERE) == at("2026-01-15 08:00", "UTC")


def test_hours_past_midnight_and_hours_that_the_clock_skips() -> None:
    night = Span(22 * 60, 2 * 60)
    assert next_moment(BERLIN, night, at("2026-01-15 01:00", "Europe/Berlin"), ELSEWHERE) == at(
        "2026-01-15 01:00", "Europe/Berlin"
    )
    skipped = Span(2 * 60 + 30, 6 * 60)  # in that night half past two does not come
    found = next_moment(BERLIN, skipped, at("2026-03-29 01:00", "Europe/Berlin"), ELSEWHERE)
    assert found == at("2026-03-29 03:30", "Europe/Berlin")


def test_only_what_has_hours_waits() -> None:
    night = at("2026-01-15 03:00", "Europe/Berlin")
    assert Hours().next_moment("wait_time_sms", BERLIN, night) == night
    assert Hours().next_moment("campaign", BERLIN, night) > night


NUMBERS = (BERLIN, NEW_YORK, LOS_ANGELES, "+61412345678", "+79161234567", "+819012345678", "+3545551234")


@given(
    recipient=st.sampled_from(NUMBERS),
    now=st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
)
def test_wherever_and_whenever_it_is_between_eight_and_nine_in_the_evening(
    recipient: str, now: datetime
) -> None:
    moment = next_moment(recipient, SOLICITATIONS, now, ELSEWHERE)
    assert now <= moment < now + timedelta(days=1, hours=1)
    for zone in zones_of(recipient):
        assert 8 <= moment.astimezone(zone).hour < 21


def test_every_minute_around_the_changes_of_the_clock(figure: Figure) -> None:
    wrong = moments = 0
    for recipient in NUMBERS:
        for day in ("2026-03-07", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-10-31"):
            begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
            for minutes in range(0, 3 * 24 * 60, 7):
                now = begin + timedelta(minutes=minutes)
                moment = next_moment(recipient, SOLICITATIONS, now, ELSEWHERE)
                moments += 1
                wrong += any(not 8 <= moment.astimezone(z).hour < 21 for z in zones_of(recipient))
    figure(31, "quiet hours in seven zones around six changes of the clock", moments=moments, outside=wrong)
    assert wrong == 0
