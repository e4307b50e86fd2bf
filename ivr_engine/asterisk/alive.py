"""``async with WhileAlive(life)``: the block runs while a leg lives, and ends in ``CallEnded``.

Built like ``asyncio.timeout``: when the life ends, the task inside the block is interrupted and the
interruption becomes ``CallEnded`` at the block's edge. No task is made, so a verb costs nothing extra;
a cancellation from outside (the engine is stopping) passes through as what it is.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from types import TracebackType

from ivr_engine.errors import CallEnded, CallMoved


class Life:
    """Of one leg: ``cause`` is ``None`` until it ended."""

    def __init__(self) -> None:
        self.cause: int | None = None
        self.moved = False
        self.watchers: set[WhileAlive] = set()

    def over(self) -> CallEnded:
        """What to raise once it ended: ``CallMoved`` when the channel itself lives on elsewhere."""
        return (CallMoved if self.moved else CallEnded)(self.cause or 0)

    def end(self, cause: int, *, moved: bool = False) -> None:
        """Only the first end counts."""
        if self.cause is not None:
            return
        self.cause, self.moved = cause, moved
        for watcher in tuple(self.watchers):
            watcher.interrupt()


class WhileAlive:
    """``awaitable``, if given, is what the block will await: closed when the block never begins."""

    def __init__(self, life: Life, awaitable: Awaitable[object] | None = None) -> None:
        self._life = life
        self._awaitable = awaitable
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._interrupted = False

    async def __aenter__(self) -> None:
        if self._life.cause is not None:
            self._let_go()
            raise self._life.over()
        self._task = asyncio.current_task()
        if self._task is None:
            raise RuntimeError("a leg's verbs are awaited inside a task")
        self._cancelling = self._task.cancelling()
        self._life.watchers.add(self)

    def interrupt(self) -> None:
        """The life ended while the block runs."""
        self._interrupted = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        else:
            # Ended by what the block itself does: nothing to interrupt, it goes on to its end.
            self._interrupted = False

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._life.watchers.discard(self)
        if not self._interrupted or self._task is None:
            return
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self._life.over() from error

    def _let_go(self) -> None:
        """What will not be awaited is cancelled, or closed so that nothing warns about it."""
        if isinstance(self._awaitable, asyncio.Future):
            self._awaitable.cancel()
        elif inspect.iscoroutine(self._awaitable):
            self._awaitable.close()
