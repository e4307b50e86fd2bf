"""An Asterisk that runs ``AGI()`` for a caller: the other side of a FastAGI connection.

It keeps to what ``res_agi`` does: one command at a time, a new one stops what plays without a word, keys
between two commands are forgotten, ``HANGUP`` comes by itself.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

HEADERS: Mapping[str, str] = {
    "agi_network": "yes",
    "agi_network_script": "wait-sms?queue=support",
    "agi_request": "agi://127.0.0.1/wait-sms?queue=support",
    "agi_channel": "PJSIP/trunk-00000001",
    "agi_language": "en",
    "agi_uniqueid": "1790000000.1",
    "agi_callerid": "+4915112345678",
    "agi_calleridname": "unknown",
    "agi_callingpres": "0",
    "agi_dnid": "700",
    "agi_extension": "700",
    "agi_enhanced": "0.0",
}
SECONDS = "seconds-"
"""A sound named like this, and a number, is that long."""


@dataclass
class FakeAgi:
    """One run of ``AGI()``. ``variables`` are the channel's; ``played`` what the caller heard begin."""

    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)
    variables: dict[str, str] = field(default_factory=dict[str, str])
    played: list[str] = field(default_factory=list[str])
    lengths: Mapping[str, float] = field(default_factory=dict[str, float])
    """Of sounds, in seconds, by the last part of their names."""
    commands: list[str] = field(default_factory=list[str])
    mute: bool = False
    """Answers nothing."""
    up: bool = False
    interrupted: bool = False
    """Was given a command before it had answered the one before."""
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    _keys: asyncio.Queue[str] = field(default_factory=asyncio.Queue[str])
    _writer: asyncio.StreamWriter | None = None

    def press(self, key: str) -> None:
        self._keys.put_nowait(key)

    def hang_up(self) -> None:
        self.hung_up.set()

    async def run(self, port: int) -> None:
        """From the connection to its end: then the dialplan goes on."""
        await self.talk(*await asyncio.open_connection("127.0.0.1", port))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """On a connection that stands."""
        self._writer = writer
        writer.write("".join(f"{name}: {value}\n" for name, value in self.headers.items()).encode() + b"\n")
        ended = asyncio.create_task(self._say_that_they_hung_up())
        try:
            with suppress(ConnectionError, EOFError):
                await self._obey(reader)
        finally:
            ended.cancel()
            with suppress(asyncio.CancelledError):
                await ended
            writer.transport.abort()

    def drop(self) -> None:
        assert self._writer is not None
        self._writer.transport.abort()

    def say(self, line: bytes) -> None:
        assert self._writer is not None
        self._writer.write(line)

    async def _say_that_they_hung_up(self) -> None:
        await self.hung_up.wait()
        await asyncio.sleep(0)  # what plays is answered first
        await asyncio.sleep(0)
        self.say(b"HANGUP\n")

    async def _obey(self, reader: asyncio.StreamReader) -> None:
        coming = asyncio.create_task(reader.readline())
        try:
            while line := (await coming).decode().strip():
                self.commands.append(line)
                coming = asyncio.create_task(reader.readline())
                if self.mute:
                    continue
                answer = await self._do(shlex.split(line), coming)
                if answer is not None:
                    self.say(f"200 {answer}\n".encode())
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await coming

    async def _do(self, words: list[str], interrupted: asyncio.Task[bytes]) -> str | None:
        if self.hung_up.is_set() and words[0] in ("STREAM", "GET", "WAIT", "ANSWER"):
            return "result=-1"
        while not self._keys.empty():
            self._keys.get_nowait()  # between two commands
        match words:
            case ["SET", "VARIABLE", name, value]:
                self.variables[name] = value
                return "result=1"
            case ["ANSWER"]:
                self.up = True
                return "result=0"
            case ["HANGUP"]:
                self.hang_up()
                return "result=1"
            case ["WAIT", "FOR", "DIGIT", ms]:
                heard = await self._hear("0123456789*#", float(ms) / 1000, interrupted)
                return "result=1" if heard is None else f"result={heard}"
            case [("STREAM" | "GET"), ("FILE" | "OPTION"), sound, keys, *window]:
                return await self._play(sound, keys, window, interrupted)
            case _:
                return "result=0"

    async def _play(
        self, sound: str, keys: str, window: list[str], interrupted: asyncio.Task[bytes]
    ) -> str | None:
        self.played.append(sound)
        if "missing" in sound:
            return "result=-1 endpos=0"
        name = sound.rpartition("/")[2]
        seconds = self.lengths.get(name, 1.0)
        if name.startswith(SECONDS):
            seconds = float(name.removeprefix(SECONDS))
        heard = await self._hear(keys, seconds, interrupted)
        if heard == "0" and window:
            heard = await self._hear(keys, float(window[0]) / 1000, interrupted) or "0"
            heard = "0" if heard == "-1" else heard  # as res_agi has it
        return None if heard is None else f"result={heard} endpos=8000"

    async def _hear(self, keys: str, seconds: float, interrupted: asyncio.Task[bytes]) -> str | None:
        """The key as Asterisk names it, ``0`` for none, ``-1`` for a hang-up, ``None``: a new command."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            key = asyncio.create_task(self._keys.get())
            gone = asyncio.create_task(self.hung_up.wait())
            left = until - asyncio.get_running_loop().time()
            await asyncio.wait((key, gone, interrupted), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            pressed = key.result() if key.done() else None
            for task in (key, gone):
                task.cancel()
            await asyncio.gather(key, gone, return_exceptions=True)
            if self.hung_up.is_set():
                return "-1"
            if pressed is not None and pressed in keys:
                return str(ord(pressed))
            if interrupted.done():
                self.interrupted = True
                return None
            if pressed is None:
                return "0"
