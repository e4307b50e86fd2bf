"""The agents' side: in and out, breaks, wrap-up, and the SIP account of their phone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Final

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.events import AgentChanged, WrappedUp
from ivr_engine.errors import Refused
from ivr_engine.ports import Clock, PhoneAccount, Store, Telephony, Tx
from ivr_engine.site.models import Site
from ivr_engine.site.now import SiteNow

NO_REASON: Final = "break"
"""Stands for the reason where the site has none."""

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Since when somebody is out who was never in."""


class AgentDesk:
    """What an agent can ask for. Raises ``Refused`` for an agent the site does not know."""

    def __init__(
        self,
        in_force: SiteNow,
        store: Store,
        clock: Clock,
        password_of: Callable[[str], Awaitable[str]],
    ) -> None:
        self._in_force = in_force
        self._store = store
        self._clock = clock
        self._password_of = password_of

    async def sign_in(self, name: str) -> Agent:
        """Available from now on; also the way back out of RONA or a break."""
        return await self._change(name, lambda agent, now: agent.signed_in(now))

    async def sign_out(self, name: str) -> Agent:
        return await self._change(name, lambda agent, now: agent.signed_out(now))

    async def take_break(self, name: str, reason: str | None) -> Agent:
        """At once, or when the contact at hand is over; with one of the site's reasons, where it has any."""
        self._known(name)
        reasons = self._site.break_reasons
        _known_reason("break", reason, reasons)
        if reason is None and reasons:
            raise Refused(f"a break needs a reason: one of {', '.join(sorted(reasons))}")
        return await self._change(name, lambda agent, now: agent.on_break(reason or NO_REASON, now))

    async def come_back(self, name: str) -> Agent:
        """From a break or RONA."""
        return await self._change(name, lambda agent, now: agent.back(now))

    async def wrap_up(self, name: str, reason: str | None) -> Agent:
        """The wrap-up is over; with one of the site's reasons, or with none where none is required."""
        self._known(name)
        _known_reason("wrap-up", reason, self._site.wrap_up_reasons)
        return await self._change(
            name,
            lambda agent, now: agent.wrapped_up(reason, now),
            lambda agent: (agent.last_call_id, WrappedUp(name, reason)),
        )

    async def vanished(self, name: str) -> None:
        """The agent's phone is gone. Nothing happens for a name the site does not know."""
        if name in self._site.agents:
            await self._change(name, lambda agent, now: agent.vanished(now))

    async def account(self, name: str) -> PhoneAccount:
        """The SIP account for this agent's phone."""
        self._known(name)
        return PhoneAccount(name, await self._password_of(name))

    async def push_accounts(self, telephony: Telephony, known: Collection[str] = ()) -> None:
        """Make the phone account of every agent but the ``known`` known to the telephone system, and have it
        forget those of the ``known`` who are no agents any more."""
        agents = self._in_force.current.site.agents
        for name in agents:
            if name not in known:
                await telephony.put_account(await self.account(name))
        for name in known:
            if name not in agents:
                await telephony.remove_account(name)

    async def _change(
        self,
        name: str,
        change: Callable[[Agent, datetime], Agent],
        besides: Callable[[Agent], tuple[str | None, WrappedUp]] | None = None,
    ) -> Agent:
        """``besides``: what has happened too, and to which call, told by the agent as it was before."""
        self._known(name)

        def write(tx: Tx) -> Agent:
            now = self._clock.now()
            stored = tx.agents.get(name) or Agent(name=name, state=AgentState.OFFLINE, since=_NEVER)
            before = stored.settled(now)
            after = change(before, now)
            if after != stored:
                tx.agents.save(after)
            if (after.state, after.reason) != (stored.state, stored.reason):
                tx.events.add(now, None, AgentChanged(name, after.state, after.reason))
            if besides is not None:
                call_id, happening = besides(before)
                tx.events.add(now, call_id, happening)
            return after

        return await self._store.run(write)

    @property
    def _site(self) -> Site:
        return self._in_force.current.site

    def _known(self, name: str) -> None:
        agents = self._site.agents
        if name not in agents:
            known = ", ".join(sorted(agents))
            raise Refused(f"no agent {name!r}: the site has {known}", missing=True)


def _known_reason(kind: str, reason: str | None, reasons: Collection[str]) -> None:
    if reason is not None and reason not in reasons:
        known = f"the site has {', '.join(sorted(reasons))}" if reasons else "the site has none"
        raise Refused(f"no {kind} reason {reason!r}: {known}", missing=True)
