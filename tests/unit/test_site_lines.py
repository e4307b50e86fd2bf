"""Agents, teams, skills and lines in YAML: what they come to, and what ``check`` finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr_engine.domain.agents import Capacity
from ivr_engine.domain.routing import Strategy
from ivr_engine.site.check import check
from ivr_engine.site.loader import load
from tests.unit.test_site_check import Folder

STAFF = """
skills: {billing: Billing, french: French}
teams:
  first: {label: First line, sms_sessions: 4, blending: {sms_during_calls: yes}}
wrap_up_reasons: {sold: Sold}
agents:
  anna:
    label: Anna
    queues: [support, sales, express]
    skills: {billing: 5}
    team: first
  ben:
    label: Ben
    queues: [support, sales]
    team: first
    sms_sessions: 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    (folder.config / "agents.yaml").write_text(STAFF)
    return folder


def support(folder: Folder, *lines: str) -> None:
    """More settings of the queue ``support``."""
    folder.change(
        "config/queues.yaml", "    label: Support\n", "\n    ".join(["    label: Support", *lines, ""])
    )


def found(folder: Folder) -> list[tuple[str, str]]:
    return [(p.what, p.remedy) for p in check(folder.config, folder.prompts)]


def test_what_the_settings_come_to(folder: Folder) -> None:
    support(
        folder,
        "strategy: round_robin",
        "skills: {billing: 3}",
        "overflow:",
        "  - {after: 30, queues: [sales]}",
        "  - {after: 60, skills: {billing: 0}}",
        "maximum_wait: {after: 300}",
        "no_agents: {queue: sales}",
    )
    folder.change("config/agents.yaml", "skills: {billing: 5}", "skills: {billing: 5, french: 1}")
    site = load(folder.config)
    rules = site.queue_rules()["support"]
    assert (rules.strategy, dict(rules.skills)) == (Strategy.ROUND_ROBIN, {"billing": 3})
    assert [(s.after_s, s.queues, dict(s.skills)) for s in rules.overflow] == [
        (30, {"sales"}, {}),
        (60, frozenset(), {"billing": 0}),
    ]
    assert [(p.order, dict(p.skills)) for p in site.profiles().values()] == [
        (0, {"billing": 5, "french": 1}),
        (1, {}),
    ]
    assert site.capacity("anna") == Capacity(sms_sessions=4, sms_during_calls=True)
    assert site.capacity("ben").sms_sessions == 2
    assert site.capacity("gone") == Capacity()
    assert {(q, s, w.words) for q, s, w in site.ways_out()} == {
        ("support", ("maximum_wait",), "too_long"),
        ("support", ("no_agents",), None),
        ("sales", ("over_capacity", "keys", "2"), None),
    }
    assert found(folder) == []


@pytest.mark.parametrize(
    ("lines", "what", "remedy"),
    [
        (["skills: {biling: 3}"], "unknown skill 'biling'", "'billing'?"),
        (["overflow: [{after: 9, queues: [sale]}]"], "overflows to the unknown queue 'sale'", "'sales'?"),
        (["overflow: [{after: 9, skills: {x: 1}}]"], "unknown skill 'x'", "'skills'"),
        (["maximum_wait: {after: 9, queue: nowhere}"], "leads to the unknown queue 'nowhere'", "known are"),
        (["maximum_wait: {after: 9, flow: mian}"], "leads to the unknown flow 'mian'", "'main'?"),
        (["no_agents: {queue: sales, say: goodbye}"], "has queue and say", "keep one"),
        (["wrap_up_reason: required"], "'wrap_up' gives no time", "add it"),
        (["maximum_wait: {after: 9, say: nothing}"], "has no prompt 'nothing'", "add 'nothing"),
        (["skills: {billing: 6}"], "nobody can take the calls of queue 'support'", "lower the levels"),
        (["skills: {french: 1}"], "no agent has 'french' at 1", "give an agent"),
        (
            ["maximum_wait: {after: 9}", "overflow: [{after: 9, queues: [sales]}]"],
            "overflows after 9 s, when callers have left",
            "'maximum_wait.after' longer",
        ),
        (["maximum_wait: {after: 9}", "last_agent: {wait: 20}"], "waits for the last agent until", "shorter"),
        (["maximum_wait: {after: 9, queue: support}"], "round for ever: support → support", "elsewhere"),
    ],
)
def test_what_does_not_fit_together(folder: Folder, lines: list[str], what: str, remedy: str) -> None:
    support(folder, *lines)
    problems = found(folder)
    assert any(what in w and remedy in r for w, r in problems), problems


def test_a_step_of_the_overflow_may_make_a_requirement_possible(folder: Folder) -> None:
    support(folder, "skills: {billing: 9}", "overflow: [{after: 9, skills: {billing: 5}}]")
    assert found(folder) == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("team: first\n    sms", "team: frist\n    sms", "agent 'ben' is in the unknown team 'frist'"),
        ("sms_sessions: 2", "sms_sessions: 13", "'agents.ben.sms_sessions': '13' is too large"),
        ("sms_sessions: 4", "sms_sessions: 0", "'teams.first.sms_sessions': '0' is too small"),
        ("billing: 5", "billing: 11", "'agents.anna.skills.billing': '11' is too large"),
        ("billing: 5", "biling: 5", "'agents.anna.skills': unknown skill 'biling'"),
        ("queues: [support, sales]", "queues: [suport]", "agent 'ben' serves the unknown queue 'suport'"),
    ],
)
def test_staff_that_does_not_fit_together(folder: Folder, old: str, new: str, what: str) -> None:
    folder.change("config/agents.yaml", old, new)
    problems = [w for w, _ in found(folder)]
    assert any(what in w for w in problems), problems


def test_a_queue_without_agents_is_found(folder: Folder) -> None:
    folder.change("config/agents.yaml", ", express]", "]")
    assert ("nobody serves the queue 'express'", "add 'express' to the queues of an agent") in found(folder)


def test_access_points_are_checked_as_numbers_are(folder: Folder) -> None:
    (folder.config / "access.yaml").write_text(
        "access_points:\n  trunks: [ivr-trunk]\n  points:\n"
        "    vip: {queue: suport}\n    lost: {}\n    fine: {queue: sales, skills: {billing: 7}}\n"
    )
    problems = [w for w, _ in found(folder)]
    assert "access point 'vip' leads to the unknown queue 'suport'" in problems
    assert "access point 'lost' leads nowhere" in problems
    (folder.config / "access.yaml").write_text(
        "access_points:\n  trunks: [ivr-trunk]\n  header: Access\n  points: {}\n"
    )
    assert "'access_points.header': 'Access' is not the name of a header of ours" in [
        w for w, _ in found(folder)
    ]
