"""The waiting line, as one call sees it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol


class Seat(Protocol):
    """A caller's chair in the waiting room: through it they are called when an agent is reserved."""

    @property
    def called(self) -> bool:
        """An agent has been reserved (the call's row says who), or the caller may have to leave the line."""
        ...

    def heard(self) -> None:
        """The reservation is known now; the next one is a new one."""
        ...

    def interrupting(self) -> AbstractAsyncContextManager[None]:
        """Its body is left, quietly, the moment the caller is called."""
        ...


class Line(Protocol):
    """Matching callers and agents happens elsewhere; a call's coroutine takes a seat and waits. Who may be
    offered to whom, the store tells."""

    def seat(self, call_id: str) -> AbstractContextManager[Seat]:
        """Only seated callers are offered to agents. Takes the chair held for the call, if one is."""
        ...

    def hold(self, call_id: str) -> None:
        """Keep a chair for a call that is being taken over: its place counts from now on."""
        ...

    def give_up(self, call_id: str) -> None:
        """Nobody comes for the chair held."""
        ...

    def look(self, queue: str | None) -> None:
        """Call everybody who waits in that queue (``None``: in any): it was closed or opened."""
        ...
