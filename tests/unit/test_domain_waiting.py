"""The waiting line, and who is offered to whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.waiting import line, matches

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


def agent(name: str, idle_s: int, state: AgentState = AgentState.AVAILABLE) -> Agent:
    return Agent(name=name, state=state, since=NOW - timedelta(seconds=idle_s))


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


@st.composite
def staff_and_queues(draw: st.DrawFn) -> tuple[list[Agent], dict[str, frozenset[str]]]:
    idle = draw(st.lists(st.integers(0, 100), max_size=12))
    agents = [agent(f"a{n}", s, draw(st.sampled_from(list(AgentState)))) for n, s in enumerate(idle)]
    return agents, {a.name: draw(st.frozensets(st.sampled_from(QUEUES))) for a in agents}


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


@given(many_calls(), staff_and_queues(), st.randoms(use_true_random=False))
def test_nobody_gets_two_and_nobody_is_overtaken(
    every: list[Call], people: tuple[list[Agent], dict[str, frozenset[str]]], dice: Random
) -> None:
    staff, queues_of = people
    found = matches(every, staff, queues_of, NOW)
    assert len({m.call.id for m in found}) == len(found)
    assert len({m.agent.name for m in found}) == len(found)
    matched = {m.call.id for m in found}
    used = {m.agent.name for m in found}
    for match in found:
        assert match.call.may_be_offered
        assert match.agent.is_free(NOW)
        assert match.call.queue in queues_of[match.agent.name]
    for queue in QUEUES:
        waiting = [c for c in line(every, queue) if c.may_be_offered]
        served = [c.id in matched for c in waiting]
        assert served == sorted(served, reverse=True), "whoever is served stood before who is not"
        if not all(served):
            idle = [a for a in staff if a.is_free(NOW) and a.name not in used]
            assert not [a for a in idle if queue in queues_of[a.name]], "an agent is left idle"

    shuffled_calls, shuffled_staff = list(every), list(staff)
    dice.shuffle(shuffled_calls)
    dice.shuffle(shuffled_staff)
    again = matches(shuffled_calls, shuffled_staff, queues_of, NOW)
    assert [(m.call.id, m.agent.name) for m in again] == [(m.call.id, m.agent.name) for m in found]


def test_the_agent_longest_idle_comes_first() -> None:
    staff = [agent("new", 5), agent("old", 500), agent("busy", 900, AgentState.ON_CONTACT)]
    queues = {name: frozenset({"support"}) for name in ("new", "old", "busy")}
    found = matches([call(1), call(2), call(3)], staff, queues, NOW)
    assert [(m.call.id, m.agent.name) for m in found] == [("c1", "old"), ("c2", "new")]


def test_an_agent_without_the_queue_is_not_used() -> None:
    staff = [agent("anna", 5), agent("nobody", 50)]
    found = matches([call(1)], staff, {"anna": frozenset({"support"})}, NOW)
    assert [m.agent.name for m in found] == ["anna"]


def test_wrap_up_that_is_over_counts_as_free() -> None:
    over = Agent(name="anna", state=AgentState.WRAP_UP, since=NOW - timedelta(seconds=60), until=NOW)
    queues = {"anna": frozenset({"support"})}
    assert len(matches([call(1)], [over], queues, NOW)) == 1
    assert matches([call(1)], [over], queues, NOW - timedelta(seconds=1)) == []
