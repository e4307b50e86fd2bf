"""What other engines on the same PostgreSQL wrote about agents: NOTIFY with the commit, and LISTEN.

https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any, Final

import psycopg
import structlog
from sqlalchemy import URL, text

from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Changes
from ivr_engine.store import postgresql_failures
from ivr_engine.store.connection import Statements
from ivr_engine.store.noted import Listeners

AGAIN_S: Final = 1.0
"""Between two attempts to listen."""

LONGEST: Final = 7900
"""Bytes of one notice; the server takes less than 8000."""

_CHANNEL: Final = "ivr_agents"
_NOTIFY: Final = text(f"SELECT pg_notify('{_CHANNEL}', :notice)")

_log: Final = structlog.get_logger()


class Elsewhere:
    """One engine's voice and ear. ``tell`` is called in its transactions, ``hear`` is held by a task.

    ``reach``: how its connection notices a server that is gone.
    """

    def __init__(self, url: URL, place: str, reach: Mapping[str, Any]) -> None:
        self._conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._reach = reach
        self._place = place
        self._name = uuid.uuid4().hex
        self._trouble = Trouble("store.others_unheard", "store.others_heard")

    def tell(self, statements: Statements, changes: Changes) -> None:
        """The others hear it when the transaction is committed, and never if it is not."""
        if not changes.agents:
            return
        notice = "\n".join((self._name, *sorted(changes.agents)))
        if len(notice.encode()) > LONGEST:
            notice = self._name
        statements.scalar(_NOTIFY, {"notice": notice})

    async def hear(self, listeners: Listeners) -> None:
        """Until cancelled. Whatever was said while nobody listened is told as ``Changes(missed=True)``."""
        while True:
            try:
                await self._listen(listeners)
            except psycopg.Error as error:
                failure = postgresql_failures.postgresql(error, self._place, lost=True)
                self._trouble.met(failure, meaning="agents that other engines change are noticed late")
            await asyncio.sleep(AGAIN_S)

    async def _listen(self, listeners: Listeners) -> None:
        connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True, **self._reach)
        async with connection:
            await connection.execute(f"LISTEN {_CHANNEL}")
            self._trouble.over()
            listeners.tell(Changes(missed=True))
            async for notice in connection.notifies():
                self._heard(notice.payload, listeners)

    def _heard(self, notice: str, listeners: Listeners) -> None:
        who, *agents = notice.split("\n")
        if who != self._name:
            listeners.tell(Changes(agents=frozenset(agents), missed=not agents))
