"""The waiting line: who is offered to whom is tried in ``test_domain_matching``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.waiting import line

NOW = datetime(2025, 1, 6, 8, tzinfo=UTC)


def call(number: int, chapter: Chapter = Chapter.WAITING, **changes: object) -> Call:
    at = NOW + timedelta(seconds=number)
    values: dict[str, object] = {
        "id": f"c{number}",
        "engine": "ivr-1",
        "channel_id": f"sip-{number}",
        "caller": None,
        "number": "700",
        "queue": "support",
        "language": "en",
        "started_at": at,
        "entered_at": at,
        "chapter": chapter,
    }
    return Call(**(values | changes))  # type: ignore[arg-type]


QUEUES = ("support", "sales")


@st.composite
def many_calls(draw: st.DrawFn) -> list[Call]:
    numbers = draw(st.lists(st.integers(0, 50), max_size=25, unique=True))
    return [
        call(
            number,
            draw(st.sampled_from(list(Chapter))),
            queue=draw(st.sampled_from(QUEUES)),
            priority=draw(st.integers(-2, 2)),
        )
        for number in numbers
    ]


def test_first_come_first_served_and_priority_before_that() -> None:
    waiting = [call(3), call(1), call(2), call(9, priority=5)]
    assert [c.id for c in line(waiting, "support")] == ["c9", "c1", "c2", "c3"]


def test_who_rings_still_holds_the_place_and_who_talks_does_not() -> None:
    waiting = [call(1, Chapter.RINGING), call(2, Chapter.TALKING), call(3)]
    assert [c.id for c in line(waiting, "support")] == ["c1", "c3"]


def test_queues_do_not_mix() -> None:
    waiting = [call(1, queue="sales"), call(2)]
    assert [c.id for c in line(waiting, "support")] == ["c2"]
    assert [c.id for c in line(waiting, "sales")] == ["c1"]


def test_at_the_same_moment_the_order_is_still_one() -> None:
    waiting = [call(n, entered_at=NOW) for n in (2, 1, 3)]
    assert line(waiting, "support") == line(waiting[::-1], "support")


@given(many_calls())
def test_everybody_in_line_stands_in_one_line(every: list[Call]) -> None:
    standing = [c.id for queue in QUEUES for c in line(every, queue)]
    assert sorted(standing) == sorted(c.id for c in every if c.in_line)
