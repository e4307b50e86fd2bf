"""What is remembered of queues, as rows: emergency switches, and whose turn it was last."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, select

from ivr_engine.domain.switches import Switch
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import switches, turns

_SWITCHES: Final = select(switches).order_by(switches.c.queue)
_CLOSE: Final = switches.insert()
_CLOSE_ANEW: Final = switches.update().where(switches.c.queue == bindparam("key"))
_OPEN: Final = switches.delete().where(switches.c.queue == bindparam("key"))
_TURNS: Final = select(turns)
_FIRST_TURN: Final = turns.insert()
_NEXT_TURN: Final = turns.update().where(turns.c.queue == bindparam("key"))


class QueueTable:
    """``ports.Queues``."""

    __slots__ = ("_db", "_switches")

    def __init__(self, db: Statements) -> None:
        self._db = db
        self._switches: dict[str, Switch] | None = None
        """As this transaction has read them: whoever comes into a line asks twice."""

    def switches(self) -> dict[str, Switch]:
        if self._switches is None:
            rows = self._db.rows(_SWITCHES)
            self._switches = {
                row.queue: Switch(queue=row.queue, prompt=row.prompt, since=row.since) for row in rows
            }
        return self._switches

    def close(self, switch: Switch) -> None:
        self._switches = None
        values = {"prompt": switch.prompt, "since": switch.since}
        if not self._db.write(_CLOSE_ANEW, {"key": switch.queue, **values}):
            self._db.write(_CLOSE, {"queue": switch.queue, **values})

    def open(self, queue: str) -> bool:
        self._switches = None
        return bool(self._db.write(_OPEN, {"key": queue}))

    def turns(self) -> dict[str, str]:
        return {row.queue: row.agent for row in self._db.rows(_TURNS)}

    def keep_turn(self, queue: str, agent: str) -> None:
        if not self._db.write(_NEXT_TURN, {"key": queue, "agent": agent}):
            self._db.write(_FIRST_TURN, {"queue": queue, "agent": agent})
