"""Virtual time: an event loop whose clock jumps to the next timer as soon as nothing is left to do.

No real sleeping, no threads, no sockets; so a run is fast and, for one seed, always the same. What would
hang for ever in real time ends here with an error that names who is waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextvars import Context
from datetime import UTC, datetime, timedelta
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, cast

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

T = TypeVar("T")

START: Final = datetime(2025, 1, 6, 8, 0, tzinfo=UTC)
"""When virtual time begins: a Monday morning."""

LONGEST_RUN_S: Final = 30 * 86_400.0
"""A run that gets this far in virtual time is taken for one that never ends."""


class Deadlock(RuntimeError):
    """Everybody waits and no timer is set: in real time this would hang for ever."""


class TooLong(RuntimeError):
    """Virtual time passed the limit of the run: something goes on for ever."""


class LeakedTasks(RuntimeError):
    """Tasks were still running, or had failed unseen, when the main coroutine returned."""


class SimClock:
    """``ports.Clock`` on the time of the running loop. ``shift`` moves the wall clock alone, as an
    operator or a time server does: timers are not touched."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=asyncio.get_running_loop().time())

    def shift(self, seconds: float) -> None:
        self._start += timedelta(seconds=seconds)


class _Task(asyncio.Task[T]):
    """A task whose hash is its number, so that a set of tasks is walked in the same order every run."""

    def __init__(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        number: int,
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        self._number = number
        super().__init__(coro, loop=loop, name=f"task {number}", context=context)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class _JumpingSelector(selectors.BaseSelector):
    """Instead of waiting ``timeout`` seconds for I/O, which there is not, lets that time pass."""

    def __init__(self, elapse: Callable[[float], None], stuck: Callable[[], NoReturn]) -> None:
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._elapse = elapse
        self._stuck = stuck

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = selectors.SelectorKey(fileobj, fd, events, data)
        self._keys[fd] = key
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            self._stuck()
        if timeout > 0:
            self._elapse(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop itself. ``random`` is the one source of chance of a run. ``inline``: what is given to a
    thread is done at once, in no time; else it is refused."""

    def __init__(self, *, seed: int = 0, limit_s: float = LONGEST_RUN_S, inline: bool = False) -> None:
        self.random = random.Random(seed)  # noqa: S311  a simulation wants to be repeatable
        self._time = 0.0
        self._limit_s = limit_s
        self._inline = inline
        self._tasks_made = 0
        self.unseen: list[str] = []
        super().__init__(_JumpingSelector(self._elapse, self._stuck))
        self.set_task_factory(_numbered)
        self.set_exception_handler(_note)

    def time(self) -> float:
        return self._time

    def next_task_number(self) -> int:
        self._tasks_made += 1
        return self._tasks_made

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """No thread: virtual time would jump ahead while it works."""
        if not self._inline:
            raise RuntimeError("no threads in virtual time: do the work inline")
        result: asyncio.Future[T] = self.create_future()
        try:
            result.set_result(func(*args))
        except Exception as error:
            result.set_exception(error)
        return result

    def _elapse(self, seconds: float) -> None:
        self._time += seconds
        if self._time > self._limit_s:
            raise TooLong(f"still running after {self._limit_s:.0f} virtual seconds:\n{self._who_waits()}")

    def _stuck(self) -> NoReturn:
        raise Deadlock(f"at {self._time:.3f} s everybody waits and no timer is set:\n{self._who_waits()}")

    def _who_waits(self) -> str:
        return "\n".join(sorted(f"  {_where(task)}" for task in asyncio.all_tasks(self)))


def _numbered(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
    *,
    context: Context | None = None,
    name: str | None = None,
) -> asyncio.Task[T]:
    number = _virtual(loop).next_task_number()
    task = _Task(cast(Coroutine[Any, Any, T], coro), number=number, loop=loop, context=context)
    if name is not None:
        task.set_name(name)
    return task


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _virtual(loop).unseen.append(f"{context.get('message')}: {context.get('exception')!r}")


def _where(task: asyncio.Task[Any]) -> str:
    inner: Any = task.get_coro()
    while isinstance(getattr(inner, "cr_await", None), CoroutineType):
        inner = inner.cr_await
    frame: FrameType | None = getattr(inner, "cr_frame", None)
    place = f" at {frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
    return f"{task.get_name()} in {getattr(inner, '__qualname__', '?')}{place}"


def _virtual(loop: asyncio.AbstractEventLoop) -> VirtualTimeLoop:
    if not isinstance(loop, VirtualTimeLoop):
        raise TypeError("only inside sim.clock.run()")
    return loop


def chance() -> random.Random:
    """The source of chance of the running loop."""
    return _virtual(asyncio.get_running_loop()).random


def run(
    main: Coroutine[Any, Any, T], *, seed: int = 0, limit_s: float = LONGEST_RUN_S, inline: bool = False
) -> T:
    """Run ``main`` in virtual time, from 0 s, and return what it returns. ``inline``: see the loop.

    Raises ``Deadlock``, ``TooLong`` after ``limit_s`` virtual seconds, and ``LeakedTasks`` when ``main``
    returned but left tasks running.
    """

    def loop() -> VirtualTimeLoop:
        return VirtualTimeLoop(seed=seed, limit_s=limit_s, inline=inline)

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_leaving_nothing(main))


async def _leaving_nothing(main: Coroutine[Any, Any, T]) -> T:
    loop = _virtual(asyncio.get_running_loop())
    result = await main
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left or loop.unseen:
        raise LeakedTasks("\n".join(sorted([*map(_where, left), *loop.unseen])))
    return result


async def settled() -> None:
    """Return once nobody has anything to do at this moment of virtual time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1e-9):
            await asyncio.get_running_loop().create_future()
