"""Agent states and the only legal moves between them.

``rona`` (redirect on no answer) is left only by the agent's own hand: whoever did not answer must say
that they are back before being offered the next caller. A call takes an agent whole; SMS sessions are held
beside, as many as the agent's ``Capacity`` allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused

NEW_SHIFT: Final = timedelta(hours=4)
"""Whoever was signed out for so long begins a new shift: their calls are counted anew."""

MOST_SESSIONS: Final = 12
"""SMS sessions that one agent may be given at once, at most."""

TIME_UP: Final = "time_up"
"""Stands for the wrap-up reason when the limit passed before the agent gave one."""


PHONE_GONE: Final = "phone_gone"
"""Why an agent was signed out by the engine."""


class AgentState(StrEnum):
    OFFLINE = "offline"
    AVAILABLE = "available"
    OFFERED = "offered"
    ON_CONTACT = "on_contact"
    WRAP_UP = "wrap_up"
    ON_BREAK = "on_break"
    RONA = "rona"


_WITH_CALL: Final = frozenset({AgentState.OFFERED, AgentState.ON_CONTACT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How many SMS sessions at once, and how calls and sessions mix."""

    sms_sessions: int = 1
    calls_during_sms: bool = True
    sms_during_calls: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """An SMS session of an agent: offered, then accepted."""

    id: str
    accepted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent as the store knows them. ``since`` is when ``state`` began; ``until`` when it ends by
    itself (wrap-up only). ``call_id`` is the call offered or being handled, ``queue`` where it came from:
    kept through the wrap-up, as ``last_call_id`` is. ``reason`` is that of the break or of RONA.

    ``idle_since``: since when nobody was served; an offer that led to nothing does not reset it. ``taken``:
    calls answered in this shift. ``next_break`` and ``rona_next``: what begins once the contact is
    over, by its reason.
    """

    name: str
    state: AgentState
    since: datetime
    until: datetime | None = None
    call_id: str | None = None
    reason: str | None = None
    queue: str | None = None
    last_call_id: str | None = None
    reason_required: bool = False
    idle_since: datetime | None = None
    taken: int = 0
    next_break: str | None = None
    rona_next: str | None = None
    sessions: tuple[Session, ...] = ()

    # ── by the agent's own hand ──────────────────────────────────────────────────────────────────

    def signed_in(self, now: datetime) -> Agent:
        """Available: also the way out of RONA, a break and a wrap-up whose reason may be left out. Refused
        while offered or on a contact."""
        self._must_be_done()
        if self.state is AgentState.AVAILABLE:
            return self
        if self.state is AgentState.WRAP_UP:
            return self.wrapped_up(None, now)
        new_shift = self.state is AgentState.OFFLINE and now - self.since >= NEW_SHIFT
        return replace(self._idle(now), taken=0 if new_shift else self.taken)

    def signed_out(self, now: datetime) -> Agent:
        """Refused while offered or on a contact, or while SMS sessions are open."""
        self._must_be_done()
        if self.sessions:
            raise Refused(f"agent {self.name} has open SMS sessions: they must end or be transferred first")
        return self if self.state is AgentState.OFFLINE else self._to(AgentState.OFFLINE, now)

    def on_break(self, reason: str, now: datetime) -> Agent:
        """At once, or when the contact (and its wrap-up) is over. Refused when signed out."""
        if self.state is AgentState.OFFLINE:
            raise Refused(f"agent {self.name} is signed out: sign in first")
        if self.state in _WITH_CALL or (self.state is AgentState.WRAP_UP and self.reason_required):
            return replace(self, next_break=reason)
        return self._to(AgentState.ON_BREAK, now, reason=reason)

    def back(self, now: datetime) -> Agent:
        """From a break or RONA; a break not begun yet is taken back. Refused in any other state."""
        if self.next_break is not None:
            return replace(self, next_break=None)
        if self.state not in (AgentState.ON_BREAK, AgentState.RONA):
            raise Refused(f"agent {self.name} is {self.state}: neither on a break nor in RONA")
        return self._idle(now)

    def wrapped_up(self, reason: str | None, now: datetime) -> Agent:
        """The wrap-up ends by hand; ``reason`` may be ``None`` where none is required."""
        if self.state is not AgentState.WRAP_UP:
            raise Refused(f"agent {self.name} is {self.state}, not in wrap-up")
        if reason is None and self.reason_required:
            raise Refused(f"agent {self.name} must give a wrap-up reason")
        return self._after_contact(now)

    # ── what happens to them ─────────────────────────────────────────────────────────────────────

    def offered(self, call_id: str, now: datetime, queue: str | None = None) -> Agent:
        """A call is reserved for the agent."""
        settled = self.settled(now)
        if settled.state is not AgentState.AVAILABLE:
            raise Refused(f"agent {self.name} is {settled.state}, not available")
        return settled._to(AgentState.OFFERED, now, call_id=call_id, queue=queue)

    def connected(self, now: datetime) -> Agent:
        """The offer was accepted."""
        if self.state is not AgentState.OFFERED:
            raise Refused(f"agent {self.name} is {self.state}: no offer to accept")
        talking = self._to(AgentState.ON_CONTACT, now, call_id=self.call_id, queue=self.queue)
        return replace(talking, taken=self.taken + 1, last_call_id=self.call_id)

    def missed(self, reason: str, now: datetime) -> Agent:
        """Did not take the offer (no answer, busy, declined, phone not reachable)."""
        if self.state not in _WITH_CALL:
            raise Refused(f"agent {self.name} is {self.state}: no offer to miss")
        return replace(self._to(AgentState.RONA, now, reason=reason), next_break=None)

    def released(self, now: datetime, wrap_up_s: float = 0.0, reason_required: bool = False) -> Agent:
        """The contact (or an offer that was no fault of the agent's) is over."""
        if self.state not in _WITH_CALL:
            return self
        if self.state is AgentState.OFFERED:
            return replace(self._after_contact(now), idle_since=self.idle_since)
        if wrap_up_s <= 0:
            return self._after_contact(now)
        wrapping = self._to(AgentState.WRAP_UP, now, queue=self.queue)
        return replace(wrapping, until=now + timedelta(seconds=wrap_up_s), reason_required=reason_required)

    def vanished(self, now: datetime) -> Agent:
        """The phone is gone: out, unless a call is at hand (that ends by itself) or sessions are open."""
        if self.state in _WITH_CALL or self.sessions or self.state is AgentState.OFFLINE:
            return self
        return self._to(AgentState.OFFLINE, now, reason=PHONE_GONE)

    def settled(self, now: datetime) -> Agent:
        """As of ``now``: a wrap-up whose time is up is over."""
        if self.state is AgentState.WRAP_UP and self.until is not None and self.until <= now:
            return self._after_contact(self.until)
        return self

    # ── SMS sessions ─────────────────────────────────────────────────────────────────────────────

    def session_offered(self, session_id: str, capacity: Capacity, now: datetime) -> Agent:
        if not self.may_take_session(capacity, now):
            raise Refused(f"agent {self.name} can take no further SMS session now")
        return replace(self.settled(now), sessions=(*self.sessions, Session(session_id)))

    def session_accepted(self, session_id: str) -> Agent:
        if Session(session_id) not in self.sessions:
            raise Refused(f"agent {self.name} was not offered session {session_id}")
        accepted = Session(session_id, accepted=True)
        return replace(self, sessions=tuple(accepted if s.id == session_id else s for s in self.sessions))

    def session_missed(self, session_id: str, reason: str, now: datetime) -> Agent:
        """RONA, at once or when the call at hand is over."""
        if Session(session_id) not in self.sessions:
            raise Refused(f"agent {self.name} was not offered session {session_id}")
        without = replace(self, sessions=tuple(s for s in self.sessions if s.id != session_id))
        if self.state in _WITH_CALL or self.state is AgentState.WRAP_UP:
            return replace(without, rona_next=reason)
        return replace(without._to(AgentState.RONA, now, reason=reason), next_break=None)

    def session_ended(self, session_id: str, now: datetime) -> Agent:
        """Also an offer withdrawn. Nothing happens when there is no such session."""
        left = tuple(s for s in self.sessions if s.id != session_id)
        had = Session(session_id, accepted=True) in self.sessions
        idle = had and not left and self.state is AgentState.AVAILABLE
        return replace(self, sessions=left, idle_since=now if idle else self.idle_since)

    # ── what may come next ───────────────────────────────────────────────────────────────────────

    @property
    def is_signed_in(self) -> bool:
        return self.state is not AgentState.OFFLINE

    def is_free(self, now: datetime) -> bool:
        """Available at ``now``; whether for calls, sessions or both is for the capacity to say."""
        return self.settled(now).state is AgentState.AVAILABLE

    def may_take_call(self, capacity: Capacity, now: datetime) -> bool:
        """One call, and none while a session waits to be accepted."""
        if not self.is_free(now) or any(not s.accepted for s in self.sessions):
            return False
        return capacity.calls_during_sms or not self.sessions

    def may_take_session(self, capacity: Capacity, now: datetime) -> bool:
        """One offer at a time, and never more than the capacity."""
        if len(self.sessions) >= capacity.sms_sessions or any(not s.accepted for s in self.sessions):
            return False
        return self.is_free(now) or (self.state is AgentState.ON_CONTACT and capacity.sms_during_calls)

    def _must_be_done(self) -> None:
        if self.state in _WITH_CALL:
            raise Refused(f"agent {self.name} is {self.state}: the contact must end first")

    def _idle(self, now: datetime) -> Agent:
        return replace(self._to(AgentState.AVAILABLE, now), idle_since=now)

    def _after_contact(self, now: datetime) -> Agent:
        if self.rona_next is not None:
            rona = self._to(AgentState.RONA, now, reason=self.rona_next)
            return replace(rona, next_break=None, rona_next=None)
        if self.next_break is not None:
            return replace(self._to(AgentState.ON_BREAK, now, reason=self.next_break), next_break=None)
        return self._idle(now)

    def _to(
        self,
        state: AgentState,
        now: datetime,
        *,
        call_id: str | None = None,
        reason: str | None = None,
        queue: str | None = None,
    ) -> Agent:
        return replace(
            self,
            state=state,
            since=now,
            until=None,
            call_id=call_id,
            reason=reason,
            queue=queue,
            reason_required=False,
        )
