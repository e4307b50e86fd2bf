"""The agents' side: signing in and out, and the SIP account of their phone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.domain.events import AgentChanged
from ivr_engine.errors import Refused
from ivr_engine.ports import Clock, Line, PhoneAccount, Store, Telephony, Tx
from ivr_engine.site.now import SiteNow


class AgentDesk:
    """What an agent can ask for. Raises ``Refused`` for an agent the site does not know."""

    def __init__(
        self,
        in_force: SiteNow,
        store: Store,
        clock: Clock,
        line: Line,
        password_of: Callable[[str], Awaitable[str]],
    ) -> None:
        self._in_force = in_force
        self._store = store
        self._clock = clock
        self._line = line
        self._password_of = password_of

    async def sign_in(self, name: str) -> Agent:
        """Available from now on; also the way back out of RONA."""
        agent = await self._change(name, lambda agent: agent.signed_in(self._clock.now()))
        self._line.agent_changed()
        return agent

    async def sign_out(self, name: str) -> Agent:
        return await self._change(name, lambda agent: agent.signed_out(self._clock.now()))

    async def account(self, name: str) -> PhoneAccount:
        """The SIP account for this agent's phone."""
        self._known(name)
        return PhoneAccount(name, await self._password_of(name))

    async def push_accounts(self, telephony: Telephony, known: Collection[str] = ()) -> None:
        """Make the phone account of every agent but the ``known`` known to the telephone system."""
        for name in self._in_force.current.site.agents:
            if name not in known:
                await telephony.put_account(await self.account(name))

    async def _change(self, name: str, change: Callable[[Agent], Agent]) -> Agent:
        self._known(name)

        def write(tx: Tx) -> Agent:
            now = self._clock.now()
            before = tx.agents.get(name) or Agent(name=name, state=AgentState.OFFLINE, since=now)
            after = change(before)
            if after != before:
                tx.agents.save(after)
                tx.events.add(now, None, AgentChanged(name, after.state))
            return after

        return await self._store.run(write)

    def _known(self, name: str) -> None:
        agents = self._in_force.current.site.agents
        if name not in agents:
            known = ", ".join(sorted(agents))
            raise Refused(f"no agent {name!r}: the site has {known}", missing=True)
