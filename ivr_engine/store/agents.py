"""Agents as rows."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from ivr_engine.domain.agents import Agent, AgentState
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import agents

_c: Final = agents.c
_INSERT: Final = agents.insert()
_UPDATE: Final = agents.update().where(_c.name == bindparam("key"))
_GET: Final = select(agents).where(_c.name == bindparam("key")).with_for_update()
_ALL: Final = select(agents).order_by(_c.name)


class AgentTable:
    """``ports.Agents``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def get(self, name: str) -> Agent | None:
        row = self._db.row(_GET, {"key": name}, lock=True)
        return None if row is None else _agent(row)

    def save(self, agent: Agent) -> None:
        values = {
            "state": agent.state.value,
            "since": agent.since,
            "until": agent.until,
            "call_id": agent.call_id,
            "reason": agent.reason,
        }
        if not self._db.write(_UPDATE, {"key": agent.name, **values}):
            self._db.write(_INSERT, {"name": agent.name, **values})

    def all(self) -> list[Agent]:
        """By name."""
        return [_agent(row) for row in self._db.rows(_ALL)]


def _agent(row: Row[Any]) -> Agent:
    return Agent(
        name=row.name,
        state=AgentState(row.state),
        since=row.since,
        until=row.until,
        call_id=row.call_id,
        reason=row.reason,
    )
