"""How things stand: who waits, who is free, who is there, and when that changes by itself.

Kept in memory, built anew from the store at any time; what is written is decided by the store alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from ivr_engine.acd.alarms import Alarms
from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.board import Board
from ivr_engine.domain.calls import Call
from ivr_engine.domain.leaving import Situation, maximum_wait_at, no_agents_at
from ivr_engine.domain.matching import Free, Waiting
from ivr_engine.domain.routing import need_of
from ivr_engine.domain.waiting import place
from ivr_engine.site.models import Site


class Standing:
    """``site`` is the one it was built for. ``turns``: who was offered each queue's last call."""

    def __init__(self, site: Site, turns: Mapping[str, str]) -> None:
        self.site = site
        self._profiles = site.profiles()
        self._rules = site.queue_rules()
        self._limits = {queue: site.leave_limits(queue) for queue in site.queues}
        self._able = {q: site.able_to_serve(q) for q, own in site.queues.items() if own.no_agents}
        orders = {name: profile.order for name, profile in self._profiles.items()}
        self.board = Board({queue: orders.get(agent, -1) for queue, agent in turns.items()})
        self.call_alarms = Alarms()
        self.agent_alarms = Alarms()
        self.queue_alarms = Alarms()
        self._calls: dict[str, Call] = {}
        self._agents: dict[str, Agent] = {}
        self._fans: defaultdict[str, set[str]] = defaultdict(set)

    # ── agents ───────────────────────────────────────────────────────────────────────────────────

    def agent(self, agent: Agent, now: datetime) -> None:
        """The agent as stored."""
        profile = self._profiles.get(agent.name)
        if profile is None:
            return
        was_in, known = self._is_in(agent.name), agent.name in self._agents
        self._agents[agent.name] = agent
        self.agent_alarms.set(agent.name, agent.until if agent.state is AgentState.WRAP_UP else None)
        if self._may_take(agent, now):
            self.board.set_free(Free(agent.name, profile, agent.idle_since or agent.since, agent.taken))
        else:
            self.board.set_busy(agent.name)
        if was_in != agent.is_signed_in or not known:
            self._came_or_went(agent.name, now)

    def _may_take(self, agent: Agent, now: datetime) -> bool:
        return agent.may_take_call(self.site.capacity(agent.name), now)

    def _is_in(self, name: str) -> bool:
        agent = self._agents.get(name)
        return agent is not None and agent.is_signed_in

    def _came_or_went(self, name: str, now: datetime) -> None:
        for call_id in tuple(self._fans[name]):
            self.call(self._calls[call_id], now)
        for queue, able in self._able.items():
            if name in able:
                self.queue_alarms.set(queue, no_agents_at(self._limits[queue], self._situation(queue, now)))

    def _situation(self, queue: str, joined_at: datetime) -> Situation:
        able = [self._agents[name] for name in self._able.get(queue, ()) if name in self._agents]
        left = [agent.since for agent in able if not agent.is_signed_in]
        return Situation(
            joined_at=joined_at,
            closed=False,
            staffed=len(left) < len(able),
            last_left=max(left, default=None),
        )

    def turn(self, queue: str, agent: str) -> None:
        """The queue's last call was offered to ``agent``: for round robin."""
        self.board.turn(queue, self._profiles[agent].order)

    # ── callers ──────────────────────────────────────────────────────────────────────────────────

    def call(self, call: Call, now: datetime) -> None:
        """A seated caller, as stored."""
        rules = self._rules.get(call.queue)
        if not call.may_be_offered or rules is None:
            self.gone(call.id)
            return
        need, changes_at = need_of(call.queue, rules, call.routing, now, self._is_in)
        self._forget_favourite(call.id)
        self._calls[call.id] = call
        if call.routing.favourite is not None:
            self._fans[call.routing.favourite].add(call.id)
        self.board.put(Waiting(call.id, place(call), need))
        self.call_alarms.set(call.id, _earliest(changes_at, self._leaves_at(call, now)))

    def _leaves_at(self, call: Call, now: datetime) -> datetime | None:
        limits, joined = self._limits[call.queue], call.routing.joined_at or now
        at = maximum_wait_at(limits, joined)
        if limits.no_agents_s is not None:
            at = _earliest(at, no_agents_at(limits, self._situation(call.queue, joined)))
        return None if at is None or at <= now else at

    def gone(self, call_id: str) -> None:
        """Not in a line, or not in a chair of ours; fine when that was so before."""
        self._forget_favourite(call_id)
        self._calls.pop(call_id, None)
        self.call_alarms.set(call_id, None)
        self.board.remove(call_id)

    def _forget_favourite(self, call_id: str) -> None:
        known = self._calls.get(call_id)
        if known is not None and known.routing.favourite is not None:
            self._fans[known.routing.favourite].discard(call_id)

    def waiting_in(self, queue: str | None) -> list[str]:
        """Who waits in that queue; ``None``: in any."""
        return [call.id for call in self._calls.values() if queue in (None, call.queue)]

    def is_as(self, call: Call | None, agent: Agent | None, now: datetime) -> bool:
        """Whether what is stored is still what a pair was found by."""
        if call is None or agent is None or not call.may_be_offered or not self._may_take(agent, now):
            return False
        known = self._calls.get(call.id)
        return known is not None and (known.queue, known.routing) == (call.queue, call.routing)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────

    def next_alarm(self) -> datetime | None:
        """When time itself changes something next."""
        return _earliest(self.call_alarms.next(), self.agent_alarms.next(), self.queue_alarms.next())

    def is_time(self, now: datetime) -> bool:
        at = self.next_alarm()
        return at is not None and at <= now


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((at for at in moments if at is not None), default=None)
