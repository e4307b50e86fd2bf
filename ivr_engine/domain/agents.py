"""Agent states and the only legal moves between them.

``rona`` (redirect on no answer) is left only by the agent's own hand: whoever did not answer must say
that they are back before being offered the next caller.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ivr_engine.errors import Refused


class AgentState(StrEnum):
    OFFLINE = "offline"
    AVAILABLE = "available"
    OFFERED = "offered"
    ON_CONTACT = "on_contact"
    WRAP_UP = "wrap_up"
    RONA = "rona"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent as the store knows them. ``since`` is when ``state`` began; ``until`` when it ends by
    itself (wrap-up only). ``call_id`` is the call offered or being handled."""

    name: str
    state: AgentState
    since: datetime
    until: datetime | None = None
    call_id: str | None = None
    reason: str | None = None

    def signed_in(self, now: datetime) -> Agent:
        """Also the way out of RONA. Refused while offered or on a contact."""
        if self.state in (AgentState.OFFERED, AgentState.ON_CONTACT):
            raise Refused(f"agent {self.name} is {self.state}: the contact must end first")
        if self.state is AgentState.AVAILABLE:
            return self
        return self._to(AgentState.AVAILABLE, now)

    def signed_out(self, now: datetime) -> Agent:
        """Refused while offered or on a contact."""
        if self.state in (AgentState.OFFERED, AgentState.ON_CONTACT):
            raise Refused(f"agent {self.name} is {self.state}: the contact must end first")
        return self if self.state is AgentState.OFFLINE else self._to(AgentState.OFFLINE, now)

    def offered(self, call_id: str, now: datetime) -> Agent:
        if not self.is_free(now):
            raise Refused(f"agent {self.name} is {self.state}, not available")
        return self._to(AgentState.OFFERED, now, call_id=call_id)

    def connected(self, now: datetime) -> Agent:
        if self.state is not AgentState.OFFERED:
            raise Refused(f"agent {self.name} is {self.state}: no offer to accept")
        return self._to(AgentState.ON_CONTACT, now, call_id=self.call_id)

    def missed(self, reason: str, now: datetime) -> Agent:
        """Did not take the offer (no answer, busy, declined, phone not reachable)."""
        if self.state not in (AgentState.OFFERED, AgentState.ON_CONTACT):
            raise Refused(f"agent {self.name} is {self.state}: no offer to miss")
        return self._to(AgentState.RONA, now, reason=reason)

    def released(self, now: datetime, wrap_up_s: float = 0.0) -> Agent:
        """The contact (or an offer that was no fault of the agent's) is over."""
        if self.state not in (AgentState.OFFERED, AgentState.ON_CONTACT):
            return self
        if wrap_up_s <= 0:
            return self._to(AgentState.AVAILABLE, now)
        return replace(self._to(AgentState.WRAP_UP, now), until=now + timedelta(seconds=wrap_up_s))

    def is_free(self, now: datetime) -> bool:
        """May be offered a contact at ``now``."""
        if self.state is AgentState.WRAP_UP:
            return self.until is not None and self.until <= now
        return self.state is AgentState.AVAILABLE

    def _to(
        self, state: AgentState, now: datetime, *, call_id: str | None = None, reason: str | None = None
    ) -> Agent:
        return Agent(name=self.name, state=state, since=now, call_id=call_id, reason=reason)
