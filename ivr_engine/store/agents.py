"""Agents as rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
from sqlalchemy import Row, bindparam, func, select

from ivr_engine.domain.agents import Agent, AgentState, Session
from ivr_engine.ports import Presence
from ivr_engine.store.connection import Statements, changed
from ivr_engine.store.noted import Noted
from ivr_engine.store.tables import agents

_c: Final = agents.c
_encode: Final = msgspec.json.Encoder().encode
_sessions: Final = msgspec.json.Decoder(tuple[Session, ...]).decode
_INSERT: Final = agents.insert()
_UPDATE: Final = agents.update().where(_c.name == bindparam("key"))
_GET: Final = select(agents).where(_c.name == bindparam("key"))
_ALL: Final = select(agents).order_by(_c.name)
_OUT: Final = _c.state == AgentState.OFFLINE.value
_OF_THESE: Final = _c.name.in_(bindparam("names", expanding=True))
_SIGNED_IN: Final = select(func.count()).where(_OF_THESE, ~_OUT)
_LAST_LEFT: Final = select(_c.since).where(_OF_THESE, _OUT).order_by(_c.since.desc()).limit(1)


class AgentTable:
    """``ports.Agents``. Of an agent that this transaction read (and so locked) only what changed is written
    back."""

    __slots__ = ("_db", "_locked", "_noted")

    def __init__(self, db: Statements, noted: Noted) -> None:
        self._db = db
        self._noted = noted
        self._locked: dict[str, Agent] = {}

    def get(self, name: str) -> Agent | None:
        row = self._db.row(_GET, {"key": name}, lock=True)
        if row is None:
            return None
        self._locked[name] = agent = _agent(row)
        return agent

    def save(self, agent: Agent) -> None:
        before = self._locked.get(agent.name)
        values = changed(_values(self._db, agent), before and _values(self._db, before))
        if values and not self._db.write(_UPDATE, {"key": agent.name, **values}):
            self._db.write(_INSERT, {"name": agent.name, **_values(self._db, agent)})
        self._noted.agent(agent.name)
        self._locked[agent.name] = agent

    def all(self) -> list[Agent]:
        """By name."""
        return [_agent(row) for row in self._db.rows(_ALL)]

    def presence(self, names: Collection[str]) -> Presence:
        values = {"names": sorted(names)}
        signed_in: int = self._db.scalar(_SIGNED_IN, values)
        return Presence(signed_in, None if signed_in else self._db.scalar(_LAST_LEFT, values))


def _values(db: Statements, agent: Agent) -> dict[str, Any]:
    return {
        "state": agent.state.value,
        "since": agent.since,
        "until": agent.until,
        "call_id": agent.call_id,
        "reason": agent.reason,
        "queue": agent.queue,
        "last_call_id": agent.last_call_id,
        "reason_required": agent.reason_required,
        "idle_since": agent.idle_since,
        "taken": agent.taken,
        "next_break": agent.next_break,
        "rona_next": agent.rona_next,
        "sessions": db.json(_encode, agent.sessions) if agent.sessions else None,
    }


def _agent(row: Row[Any]) -> Agent:
    return Agent(
        name=row.name,
        state=AgentState(row.state),
        since=row.since,
        until=row.until,
        call_id=row.call_id,
        reason=row.reason,
        queue=row.queue,
        last_call_id=row.last_call_id,
        reason_required=row.reason_required,
        idle_since=row.idle_since,
        taken=row.taken,
        next_break=row.next_break,
        rona_next=row.rona_next,
        sessions=_sessions(row.sessions) if row.sessions else (),
    )
