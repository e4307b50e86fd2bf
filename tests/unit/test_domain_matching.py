"""Who is offered to whom: by everybody's measure, and by the board's, which looks only at what changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr_engine.domain.board import Board
from ivr_engine.domain.matching import Free, Pair, Waiting, chosen, matches
from ivr_engine.domain.routing import (
    Need,
    OverflowStep,
    Profile,
    QueueRules,
    Routing,
    Strategy,
    fits,
    need_of,
)

NOW = datetime(2025, 1, 6, 8, tzinfo=UTC)
QUEUES = ("sales", "support", "vip")
SKILLS: tuple[str, ...] = ("french", "billing")
NAMES = tuple(f"a{n}" for n in range(6))


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def free(name: str, idle_s: float = 0, *queues: str, order: int = 0, taken: int = 0, **skills: int) -> Free:
    profile = Profile(queues=frozenset(queues or QUEUES), skills=skills, order=order)
    return Free(name, profile, after(-idle_s), taken)


def need(strategy: Strategy = Strategy.LONGEST_IDLE, queue: str = "support", **skills: int) -> Need:
    return Need(
        queue=queue, queues=frozenset({queue}), strategy=strategy, skills=tuple(sorted(skills.items()))
    )


STAFF = [
    free("anna", 10, order=0, taken=5, french=2),
    free("ben", 30, order=1, taken=3, french=9),
    free("cleo", 20, order=2, taken=4, french=5),
]


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        (Strategy.LONGEST_IDLE, "ben"),
        (Strategy.LINEAR, "anna"),
        (Strategy.FEWEST_CALLS, "ben"),
        (Strategy.BEST_SKILL, "ben"),
    ],
)
def test_strategies(strategy: Strategy, name: str) -> None:
    found = chosen(STAFF, need(strategy, french=1), -1)
    assert found is not None
    assert found.name == name


def test_round_robin_goes_round() -> None:
    turn, order = -1, list[str]()
    for _ in range(5):
        agent = chosen(STAFF, need(Strategy.ROUND_ROBIN), turn)
        assert agent is not None
        turn = agent.profile.order
        order.append(agent.name)
    assert order == ["anna", "ben", "cleo", "anna", "ben"]


def test_agents_of_the_own_queue_come_before_those_who_help() -> None:
    helper, own = free("anna", 90, "sales"), free("ben", 1, "support")
    both = Need(queue="support", queues=frozenset({"support", "sales"}))
    assert chosen([helper, own], both, -1) == own


def test_overflow_steps_add_queues_and_lower_levels_with_time() -> None:
    rules = QueueRules(
        skills={"billing": 3},
        overflow=(
            OverflowStep(after_s=30, queues=frozenset({"sales"})),
            OverflowStep(after_s=60, skills={"billing": 1, "french": 0}),
        ),
    )
    routing = Routing().requiring({"french": 2, "billing": 5}).joining(NOW)
    first, then = need_of("support", rules, routing, NOW, lambda _: True)
    assert (first.queues, first.skills, then) == (
        frozenset({"support"}),
        (("billing", 5), ("french", 2)),
        after(30),
    )
    second, then = need_of("support", rules, routing, after(30), lambda _: True)
    assert (second.queues, second.skills, then) == ({"support", "sales"}, first.skills, after(60))
    last, then = need_of("support", rules, routing, after(60), lambda _: True)
    assert (last.skills, then) == ((("billing", 1),), None)


def test_the_agent_last_spoken_to_is_waited_for_while_signed_in() -> None:
    routing = Routing().joining(NOW).preferring("anna", after(20))
    alone, then = need_of("support", QueueRules(), routing, NOW, lambda _: True)
    assert (alone.only, alone.favourite, then) == ("anna", "anna", after(20))
    open_to_all, then = need_of("support", QueueRules(), routing, after(20), lambda _: True)
    assert (open_to_all.only, open_to_all.favourite, then) == (None, "anna", None)
    gone, _ = need_of("support", QueueRules(), routing, NOW, lambda _: False)
    assert (gone.only, gone.favourite) == (None, None)
    found = chosen(STAFF, open_to_all, -1)
    assert found is not None
    assert found.name == "anna"


def test_who_declined_is_not_offered_the_same_call_for_a_while() -> None:
    routing = Routing().joining(NOW).declined_by("anna", after(30))
    barred, then = need_of("support", QueueRules(), routing, NOW, lambda _: True)
    assert not fits(STAFF[0].profile, barred, "anna")
    assert fits(STAFF[1].profile, barred, "ben")
    assert then == after(30)
    assert need_of("support", QueueRules(), routing, after(30), lambda _: True)[0].barred == frozenset()


@st.composite
def needs(draw: st.DrawFn) -> Need:
    queue = draw(st.sampled_from(QUEUES))
    levels = draw(st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 3)))
    return Need(
        queue=queue,
        queues=draw(st.frozensets(st.sampled_from(QUEUES))) | {queue},
        strategy=draw(st.sampled_from(list(Strategy))),
        skills=tuple(sorted(levels.items())),
        only=draw(st.none() | st.none() | st.sampled_from(NAMES)),
        favourite=draw(st.none() | st.sampled_from(NAMES)),
        barred=draw(st.frozensets(st.sampled_from(NAMES), max_size=1)),
    )


@st.composite
def a_caller(draw: st.DrawFn) -> Waiting:
    number, priority = draw(st.integers(0, 30)), draw(st.integers(-1, 1))
    return Waiting(f"c{number}", (-priority, after(number), f"c{number}"), draw(needs()))


@st.composite
def an_agent(draw: st.DrawFn) -> Free:
    profile = Profile(
        queues=draw(st.frozensets(st.sampled_from(QUEUES))),
        skills=draw(st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 3))),
        order=draw(st.integers(0, 5)),
    )
    idle_since = after(-draw(st.integers(0, 5)))
    return Free(draw(st.sampled_from(NAMES)), profile, idle_since, draw(st.integers(0, 3)))


callers, agents = a_caller(), an_agent()
left: st.SearchStrategy[str] = st.integers(0, 30).map("c{}".format)
steps: st.SearchStrategy[list[tuple[str, object]]] = st.lists(
    st.one_of(
        st.tuples(st.just("come"), callers),
        st.tuples(st.just("leave"), left),
        st.tuples(st.just("free"), agents),
        st.tuples(st.just("busy"), st.sampled_from(NAMES)),
        st.just(("match", None)),
    ),
    max_size=60,
)


@given(steps)
@settings(max_examples=300)
def test_the_board_finds_what_looking_at_everybody_finds(happened: list[tuple[str, object]]) -> None:
    board, turns = Board(), dict[str, int]()
    for what, value in [*happened, ("match", None)]:
        match what, value:
            case "come", Waiting():
                board.put(value)
            case "leave", str():
                board.remove(value)
            case "free", Free():
                board.set_free(value)
            case "busy", str():
                board.set_busy(value)
            case _:
                expected = matches(board.waiting.values(), board.free.values(), turns)
                assert _carried_out(board, turns) == expected
                assert matches(board.waiting.values(), board.free.values(), turns) == []


def _carried_out(board: Board, turns: dict[str, int]) -> list[Pair]:
    found: list[Pair] = []
    for pair in board.pairs():
        queue = board.waiting[pair.call_id].need.queue
        turns[queue] = board.free[pair.agent].profile.order
        board.turn(queue, turns[queue])
        board.remove(pair.call_id)
        board.set_busy(pair.agent)
        found.append(pair)
    return found


@given(st.lists(callers, unique_by=lambda c: c.id), st.lists(agents, unique_by=lambda a: a.name))
def test_nobody_gets_two_nobody_is_overtaken_nobody_is_left_idle(
    waiting: list[Waiting], staff: list[Free]
) -> None:
    found = matches(waiting, staff, {})
    served, used = {p.call_id for p in found}, {p.agent for p in found}
    assert len(served) == len(used) == len(found)
    by_name, by_id = {a.name: a for a in staff}, {c.id: c for c in waiting}
    assert all(fits(by_name[p.agent].profile, by_id[p.call_id].need, p.agent) for p in found)
    for caller in waiting:
        if caller.id not in served:
            assert not [a for a in staff if a.name not in used and fits(a.profile, caller.need, a.name)]
    for one in waiting:
        behind = [c for c in waiting if c.need == one.need and c.place > one.place and c.id in served]
        assert one.id in served or not behind, "who stands behind with the same need was served first"
