"""What a transaction wrote that matching must know of, and who is told after the commit.

Told by what was written, nobody who changes a call or an agent can forget to say so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ivr_engine.domain.calls import Call
from ivr_engine.ports import Changes

NOTHING: Final = Changes()


class Noted:
    """Of one transaction."""

    __slots__ = ("_agents", "_calls")

    def __init__(self) -> None:
        self._calls: set[str] = set()
        self._agents: set[str] = set()

    def call(self, before: Call | None, after: Call) -> None:
        """Only what decides who is offered it: the chapters of waiting change many times a call."""
        if before is None or _offerable(before) != _offerable(after):
            self._calls.add(after.id)

    def agent(self, name: str) -> None:
        self._agents.add(name)

    @property
    def changes(self) -> Changes:
        if not self._calls and not self._agents:
            return NOTHING
        return Changes(frozenset(self._calls), frozenset(self._agents))


def _offerable(call: Call) -> tuple[object, ...]:
    return (call.may_be_offered, call.queue, call.priority, call.entered_at, call.routing, call.offer_id)


class Listeners:
    """Told of what was committed."""

    def __init__(self) -> None:
        self._heard: list[Callable[[Changes], None]] = []

    def add(self, heard: Callable[[Changes], None]) -> None:
        self._heard.append(heard)

    def tell(self, changes: Changes) -> None:
        if changes is not NOTHING:
            for heard in self._heard:
                heard(changes)
