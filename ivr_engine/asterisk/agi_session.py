"""Commands and replies of one FastAGI connection.

Asterisk answers each command with one line, but for what plays a sound: that is stopped, without a word, by
the next command. Beside that it says ``HANGUP`` on its own when the caller is gone, so the connection is read
all the time. Replies are parsed by panoramisk; its server is not used, which waits for ever, and reads
without limit, on what is no Asterisk.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from panoramisk.utils import parse_agi_result

from ivr_engine.asterisk.alive import Life
from ivr_engine.errors import Rejected, Unreachable
from ivr_engine.observability.rationed import RationedLog

NORMAL_CLEARING: Final = 16
_MOST_WAITING: Final = 4
"""Commands without an answer: one that is interrupted, and those that interrupt it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reply:
    """``result`` as Asterisk wrote it (``49``: key 1; ``-1``: it failed, or the caller is gone)."""

    code: int
    result: str
    played: bool
    """It is the answer to a command that plays a sound."""


@dataclass(slots=True)
class Sent:
    """A command on its way; ``plays``: it may stay without an answer."""

    plays: bool
    answer: asyncio.Future[Reply] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class AgiSession:
    """``listen`` runs as long as the connection; it ends ``life``."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, life: Life, deadline_s: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._life = life
        self._deadline_s = deadline_s
        self._sent: deque[Sent] = deque()
        self._rationed_log = RationedLog()

    async def listen(self) -> None:
        """Until the other side ends the connection: the caller has then gone on in the dialplan, unless it
        said before that they hung up."""
        try:
            while (line := await self._reader.readline()).endswith(b"\n"):
                self._hear(line)
        except (ValueError, Rejected, ConnectionError) as error:
            self._rationed_log.warning("agi.garbage", cause=type(error).__name__, error=str(error)[:100])
        self.close()

    def close(self) -> None:
        """The dialplan goes on."""
        cast(asyncio.Transport, self._writer.transport).abort()
        self._life.end(NORMAL_CLEARING, moved=True)
        for sent in self._sent:
            sent.answer.cancel()
        self._sent.clear()

    def send(self, *words: str, plays: bool = False) -> Sent:
        """Begin a command; its answer may be waited for, or not. Whatever plays is stopped by it."""
        if len(self._sent) >= _MOST_WAITING:
            self.close()
            raise Unreachable("Asterisk answers no AGI command")
        sent = Sent(plays)
        self._sent.append(sent)
        self._writer.write(f"{' '.join(map(_word, words))}\n".encode())
        return sent

    async def answer(self, sent: Sent, *, after_s: float = 0.0) -> Reply:
        """What Asterisk answers, at the latest ``after_s`` and the deadline from now. ``Unreachable``, and
        the connection is closed, when it does not; ``Rejected`` when it does not take the command."""
        try:
            async with asyncio.timeout(after_s + self._deadline_s):
                reply = await asyncio.shield(sent.answer)
        except TimeoutError:
            self.close()
            raise Unreachable("Asterisk did not answer an AGI command in time") from None
        if reply.code != 200:
            raise Rejected(f"Asterisk does not take an AGI command ({reply.code})")
        return reply

    async def command(self, *words: str) -> Reply:
        """One that is answered at once."""
        return await self.answer(self.send(*words))

    @property
    def playing(self) -> bool:
        """A command was begun and has no answer yet: the next one stops it."""
        return bool(self._sent)

    def _hear(self, line: bytes) -> None:
        text = line.decode("ascii", "replace").strip()
        if text == "HANGUP":
            self._life.end(NORMAL_CLEARING)
            return
        reply = _parsed(text)
        if reply.code == 100:
            return
        if self._sent and self._sent[0].plays and len(self._sent) > 1 and not reply.played:
            self._sent.popleft().answer.cancel()  # stopped, without a word
        if not self._sent:
            raise Rejected("an answer to nothing")
        answer = self._sent.popleft().answer
        if not answer.done():
            answer.set_result(reply)


def _parsed(line: str) -> Reply:
    try:
        told = cast("dict[str, Any]", parse_agi_result(line))
    except (ValueError, TypeError):
        raise Rejected("a line that is no AGI answer") from None
    result = "-1" if told.get("error") in ("AGIAppError", "AGIResultHangup") else str(told["result"][0])
    code = 200 if result == "-1" else int(told.get("status_code") or 0)
    return Reply(code=code, result=result, played="endpos=" in line)


def _word(text: str) -> str:
    """Quoted where Asterisk would take it for several, or for none."""
    if not text.isprintable():
        raise ValueError("a control character in an AGI command")
    if text and not set(text) & set(' "\\'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
