"""The log: pretty on a terminal, JSON lines otherwise, to standard error.

The engine's own lines (structlog) and those of libraries (``logging``: uvicorn, aiohttp, asyncio) run
through the same processors, ``masking`` last. A line is rendered where it is logged and *written* by a
thread: a terminal that stands still or a full pipe must not stop the event loop, and with it every call.
"""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Protocol, cast

import structlog
from structlog.typing import EventDict, Processor

from ivr_engine.observability.masking import mask_event

PENDING_LINES: Final = 10_000
"""Lines that may wait for a reader of the log who stands still; later ones are counted and dropped."""

LINES_AT_ONCE: Final = 200
"""Lines written together at most."""

REST_S: Final = 0.05
"""Seconds the writing thread rests after it wrote: lines that come meanwhile are written together, and wake
nobody, which would cost more than writing them."""

LAST_LINES_S: Final = 2.0
"""Seconds a leaving process waits for its last lines to be written."""


class Stream(Protocol):
    """A text stream."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


class LineWriter:
    """Writes lines in its own thread; ``write`` never blocks and never raises."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | threading.Event | None] = queue.Queue(PENDING_LINES)
        self._dropped = 0
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    msg = debug = info = warning = error = critical = exception = log = fatal = failure = warn = write

    def flush(self, within_s: float = LAST_LINES_S) -> bool:
        """Wait until every line so far is written; false when it took too long."""
        written = threading.Event()
        self._hurry.set()
        try:
            self._lines.put(written, timeout=within_s)
        except queue.Full:
            return False
        return written.wait(within_s)

    def close(self) -> None:
        """Write what is left and end the thread."""
        self.flush()
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(LAST_LINES_S)

    def _work(self) -> None:
        going_on = True
        while going_on:
            items = self._waiting()
            going_on = None not in items
            self._put_out([item for item in items if isinstance(item, str)])
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()
            self._hurry.wait(REST_S)
            self._hurry.clear()

    def _waiting(self) -> list[str | threading.Event | None]:
        """Waits for one, then takes what else is there."""
        items = [self._lines.get()]
        with suppress(queue.Empty):
            while len(items) < LINES_AT_ONCE:
                items.append(self._lines.get_nowait())
        return items

    def _put_out(self, lines: Sequence[str]) -> None:
        if self._dropped:
            lines = [f"(log: {self._dropped} lines dropped, the reader was too slow)", *lines]
            self._dropped = 0
        try:
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()
        except (OSError, ValueError):
            return  # standard error is gone: there is nowhere left to say so


class _Library(logging.Handler):
    """Lines of libraries, on the same way as ours."""

    def __init__(self, processors: list[Processor], writer: LineWriter) -> None:
        super().__init__()
        self._processors = processors
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: EventDict = {"event": record.getMessage(), "logger": record.name}
            if record.exc_info:
                event["exc_info"] = record.exc_info
            result: object = event
            for processor in self._processors:
                result = processor(None, record.levelname.lower(), cast(EventDict, result))
            self._writer.write(str(result))
        except Exception as error:  # a library's broken line must not reach the code that logged it
            self._writer.write(f"(log: a line of {record.name} was lost: {type(error).__name__})")


def set_up(style: str = "auto", level: str = "info", stream: Stream | None = None) -> LineWriter:
    """Send every log line of this process to ``stream`` (standard error).

    ``style``: ``pretty``, ``json``, or ``auto`` (pretty on a terminal). ``level``: ``debug`` … ``error``;
    a call below it costs one attribute look-up. Libraries are heard from ``warning`` on, and from
    ``info`` on when ``level`` is ``debug``. May be called again: the last call counts.
    """
    to = stream or cast(Stream, sys.stderr)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    pretty = style == "pretty" or (style == "auto" and to.isatty())
    processors = _processors(_pretty(to) if pretty else _json())
    writer = LineWriter(to)
    atexit.register(writer.flush)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_args: writer,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Library(processors, writer)]
    root.setLevel(logging.INFO if threshold <= logging.DEBUG else max(threshold, logging.WARNING))
    logging.captureWarnings(capture=True)
    sys.excepthook = _last_words
    threading.excepthook = _thread_died
    return writer


def _processors(renderer: Processor) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _exception_as_text,
        cast(Processor, mask_event),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        renderer,
    ]


def _exception_as_text(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A plain traceback without the values of variables: those hold callers' numbers and texts."""
    info: object = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = cast("tuple[object, ...]", info)[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return event


def _json() -> Processor:
    import msgspec

    encode = msgspec.json.Encoder(order=None).encode

    def render(_logger: object, _method: str, event: MutableMapping[str, object]) -> str:
        first: Mapping[str, object] = {name: event.get(name) for name in ("timestamp", "level", "event")}
        return encode({**first, **event}).decode()

    return render


def _pretty(to: Stream) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=to.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
    )


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("process.ends_by_error", exc_info=(kind, error, trace))


def _thread_died(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        name = arguments.thread.name if arguments.thread else "?"
        structlog.get_logger().error("thread.died", thread=name, exc_info=arguments.exc_value)
