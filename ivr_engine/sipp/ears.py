"""The media end of one call: hears RTP, says what was heard, presses keys (RFC 4733) and speaks.

SIPp does the SIP; its SDP names the port an ``Ear`` listens on. The ear learns where to send to from the
first packet it gets, so it can press keys and speak from then on.

What was heard is a list of segments (see ``sounds``). ``hears`` goes through it in order::

    await ear.hears("consent")     # waits until the consent message is being played
    await ear.presses("1")         # returns when the key's end packet is on the wire
    await ear.hears("sms_sent")    # looks at what came after the consent message only
    await ear.hears(MUSIC)
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ivr_engine.sipp.sounds import PACKET, RATE, SURE, Clip, Kind, Library, Listener, Segment

MUSIC: Final = Kind.MUSIC
SILENCE: Final = Kind.SILENCE
NOTHING: Final = Kind.NOTHING

_ALAW: Final = 8
EVENT: Final = 96
"""The payload type of keys in the callers' scenarios: the one SIPp's ``play_dtmf`` uses."""
PHONE_EVENT: Final = 101
"""The one of phones that are rung: what Asterisk offers to them, and takes no other from."""
_EVENTS: Final = (EVENT, PHONE_EVENT)
_IP_RECVERR: Final = 11
"""ip(7): Linux tells a socket that sends to a port nobody has; Python does not name the option."""
_SO_TIMESTAMPNS: Final = 35
"""socket(7): when a packet came, which a busy program reads later; Python does not name this one either."""
_TIMESPEC: Final = struct.Struct("@ll")
_LONGEST: Final = 2048
"""Bytes of a packet."""
_FRAME_S: Final = PACKET / RATE
_KEYS: Final = "0123456789*#ABCD"
_PAUSE_AFTER_KEY: Final = 5
"""Packets left out after a key. Asterisk takes the same key pressed again without a pause for one."""
_TORN_S: Final = 1.0
"""So long without a packet, what was heard before is over."""


class NotHeard(Exception):
    """What was to be heard was not, in time; says what was heard instead."""


@dataclass(slots=True)
class _Press:
    key: str
    packets: int
    sent: int = 0
    done: asyncio.Future[float] | None = None


@dataclass(slots=True)
class Sender:
    """The RTP that leaves an ear: a voice, a key, or nothing, one packet every 20 ms."""

    ssrc: int
    seq: int = 1
    timestamp: int = 0
    voice: Clip | None = None
    at: int = 0
    event: int = EVENT
    keys: deque[_Press] = field(default_factory=deque[_Press])

    def frames(self, now: float) -> list[bytes]:
        """The packets due now, one tick of 20 ms after the last ones."""
        self.timestamp += PACKET
        if self.keys:
            return self._key(self.keys[0], now)
        if self.voice is None:
            return []
        payload = self.voice.part(self.at, PACKET)
        self.at += len(payload)
        if not self.voice.loop and self.at >= len(self.voice.data):
            self.voice = None
        return [self._packet(_ALAW, self.timestamp, payload)] if payload else []

    def skip(self, frames: int) -> None:
        """The clock of the stream runs also while nothing is sent."""
        self.timestamp += frames * PACKET

    def press(self, key: str, packets: int, done: asyncio.Future[float] | None = None) -> None:
        """Queue a key; ``done`` gets the time of its first end packet."""
        self.keys.append(_Press(key, packets, done=done))

    @property
    def idle(self) -> bool:
        return self.voice is None and not self.keys

    def _key(self, press: _Press, now: float) -> list[bytes]:
        """RFC 4733: all packets of a key carry the time stamp of its start; the end is sent three times."""
        press.sent += 1
        if press.sent > press.packets:
            if press.sent == press.packets + _PAUSE_AFTER_KEY:
                self.keys.popleft()
            return []
        ending = press.sent == press.packets
        start = self.timestamp - (press.sent - 1) * PACKET
        event = struct.pack("!BBH", _KEYS.index(press.key), (0x80 if ending else 0) | 10, press.sent * PACKET)
        packets = [
            self._packet(self.event, start, event, marker=press.sent == 1) for _ in range(3 if ending else 1)
        ]
        if ending and press.done is not None and not press.done.done():
            press.done.set_result(now)
        return packets

    def _packet(self, kind: int, timestamp: int, payload: bytes, *, marker: bool = False) -> bytes:
        self.seq = (self.seq + 1) & 0xFFFF
        return (
            struct.pack(
                "!BBHII", 0x80, kind | (0x80 if marker else 0), self.seq, timestamp & 0xFFFFFFFF, self.ssrc
            )
            + payload
        )


class Ear:
    """One call's media end. Open with ``Ear.open``; always ``close`` it."""

    def __init__(self, library: Library, listening: socket.socket) -> None:
        self.listener = Listener(library)
        self.keys_heard: list[str] = []
        self.port: int = listening.getsockname()[1]
        self.packets = 0
        self._library = library
        self._loop = asyncio.get_running_loop()
        self._socket = listening
        self._peer: tuple[str, int] | None = None
        self._sender = Sender(ssrc=id(self) & 0xFFFFFFFF)
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._loop.time()
        self._cursor = -1
        self._changed = asyncio.Event()
        self._event_stamp: int | None = None

    @classmethod
    async def open(cls, library: Library, port: int = 0, host: str = "127.0.0.1") -> Ear:
        """Listen on ``port`` (0: any free one, then ``ear.port``)."""
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            listening.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            listening.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            listening.setblocking(False)
            listening.bind((host, port))
        except OSError:
            listening.close()
            raise
        ear = cls(library, listening)
        asyncio.get_running_loop().add_reader(listening, ear._take)
        return ear

    def close(self) -> None:
        """Stop listening and sending."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    # ── hearing ──────────────────────────────────────────────────────────────────────────────────

    @property
    def segments(self) -> list[Segment]:
        """All that was heard so far."""
        return self.listener.segments

    @property
    def now(self) -> float:
        """The clock of the segments (seconds, the event loop's)."""
        return self._loop.time()

    async def hears(self, *what: str, within: float = 15.0, whole: bool = False) -> Segment:
        """The next segment that is one of ``what``: clips' names, ``MUSIC``, ``SILENCE`` or ``NOTHING``.

        ``whole``: wait until the clip was heard from beginning to end. Raises ``NotHeard``.
        """
        deadline = self.now + within
        while True:
            self._idle()
            for index in range(self._cursor + 1, len(self.segments)):
                segment = self.segments[index]
                if any(self._is(segment, one) for one in what) and (
                    segment.whole if whole else not segment.torn
                ):
                    self._cursor = index
                    return segment
            wanted = f"{' or '.join(what)}{' to its end' if whole else ''}"
            await self._change(deadline, f"{wanted} within {within:g} s")

    def forgets(self) -> None:
        """What was heard until now no longer counts for ``hears``."""
        self._idle()
        self._cursor = len(self.segments) - 1

    async def hears_past(self, segment: Segment, *, within: float = 30.0) -> None:
        """Wait until ``segment`` is over."""
        deadline = self.now + within
        while True:
            self._idle()
            last = self.segments[-1]
            torn = last.torn or (last.kind is Kind.NOTHING and last.seconds < _TORN_S)
            if last is not segment and not torn:
                return
            await self._change(deadline, f"the end of {segment.label} within {within:g} s")

    async def hears_keys(self, keys: str, *, within: float = 5.0) -> None:
        """Wait until the other side has pressed exactly these."""
        deadline = self.now + within
        while "".join(self.keys_heard) != keys:
            await self._change(deadline, f"keys {keys} (were {''.join(self.keys_heard)!r})")

    async def listens(self, seconds: float) -> None:
        """Just listen for a while (what comes is looked at afterwards)."""
        await asyncio.sleep(seconds)
        self._idle()

    def heard(self, shortest: float = 0.1) -> list[str]:
        """Labels of all segments of at least ``shortest`` seconds, same neighbours as one, and a torn clip
        too."""
        labels: list[str] = []
        for segment in self.segments:
            if segment.seconds >= shortest and labels[-1:] != [segment.label] and not segment.torn:
                labels.append(segment.label)
        return labels

    def longest(self, *kinds: Kind) -> float:
        """Seconds of the longest run of segments of these kinds: how long a caller heard silence."""
        best, begin = 0.0, None
        for segment in self.segments:
            begin = (segment.start if begin is None else begin) if segment.kind in kinds else None
            best = max(best, segment.end - begin) if begin is not None else best
        return best

    def story(self) -> str:
        """All of it in one line, for error messages."""
        return " ".join(map(str, self.segments)) or "no packet at all"

    def _is(self, segment: Segment, what: str) -> bool:
        if segment.kind is Kind.NOTHING:
            return what == NOTHING
        if segment.packets < SURE:
            return False
        if segment.kind is Kind.CLIP:
            return self._library.is_only(segment.names, what)
        return segment.kind == what

    async def _change(self, deadline: float, wanted: str) -> None:
        """Until something new is heard, half a second at most. Past the deadline one more look is taken."""
        if self.now >= deadline:
            raise NotHeard(f"not heard: {wanted}; heard: {self.story()}")
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(deadline - self.now, 0.5)):
                await self._changed.wait()

    # ── speaking ─────────────────────────────────────────────────────────────────────────────────

    async def presses(self, key: str, *, milliseconds: int = 100, within: float = 5.0) -> float:
        """Press a key; returns the time its first end packet was sent."""
        done: asyncio.Future[float] = self._loop.create_future()
        self._sender.press(key, max(1, milliseconds // 20), done)
        self._start_sending()
        async with asyncio.timeout(within):
            return await done

    def sends_to(self, peer: tuple[str, int]) -> None:
        """Where RTP goes from now on; needed only before the first packet was received."""
        self._peer = peer

    def sends_keys_as(self, event: int) -> None:
        """The payload type of keys, as the SDP says."""
        self._sender.event = event

    def speaks(self, clip: Clip | str) -> None:
        """Start saying a clip (for ever, if it loops)."""
        self._sender.voice = self._library.clips[clip] if isinstance(clip, str) else clip
        self._sender.at = 0
        self._start_sending()

    def hushes(self) -> None:
        """Stop speaking."""
        self._sender.voice = None

    def _start_sending(self) -> None:
        if self._timer is None:
            now = self._loop.time()
            self._sender.skip(max(0, round((now - self._due) / _FRAME_S)))
            self._due = now
            self._timer = self._loop.call_at(self._due, self._send)

    def _send(self) -> None:
        """Every 20 ms while there is something to say and somebody to say it to."""
        if self._socket.fileno() < 0:
            return
        if self._peer is not None:
            for packet in self._sender.frames(self._loop.time()):
                self._give(packet, self._peer)
        self._timer = None
        if not self._sender.idle:
            self._due += _FRAME_S
            self._timer = self._loop.call_at(self._due, self._send)

    def _give(self, packet: bytes, peer: tuple[str, int]) -> None:
        try:
            self._socket.sendto(packet, peer)
        except BlockingIOError:
            pass  # lost, as packets are
        except OSError:
            self._nobody_there()

    def _nobody_there(self) -> None:
        """At the other side's port: the call is over, and a phone falls silent with it. A voice that went on
        would reach whoever is given the port next, and their media would come here."""
        self.hushes()
        with suppress(OSError):  # nothing more is there, or the ear is closed
            while True:
                self._socket.recvmsg(0, 0, socket.MSG_ERRQUEUE)

    # ── what comes ───────────────────────────────────────────────────────────────────────────────

    def _take(self) -> None:
        """Everything that has come."""
        while self._socket.fileno() >= 0:
            try:
                data, control, _, addr = self._socket.recvmsg(_LONGEST, socket.CMSG_SPACE(_TIMESPEC.size))
            except BlockingIOError:
                return
            except OSError:
                self._nobody_there()
            else:
                self._received(data, addr, self._came_at(control))

    def _idle(self) -> None:
        # The clock first: what comes while we are kept waiting in between has not been taken yet.
        now = self.now
        self._take()
        self.listener.idle(now)

    def _came_at(self, control: Sequence[tuple[int, int, bytes]]) -> float:
        """By the loop's clock."""
        now = self._loop.time()
        for _, kind, value in control:
            if kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack(value)
                return now - max(0.0, time.time() - seconds - nanoseconds / 1e9)
        return now

    def _received(self, data: bytes, addr: tuple[str, int], at: float) -> None:
        if len(data) < 12 or data[0] >> 6 != 2:
            return
        self._peer = addr
        self.packets += 1
        kind = data[1] & 0x7F
        payload = data[12 + 4 * (data[0] & 15) :]
        if kind == _ALAW and payload:
            self._hear(payload, at)
        elif kind in _EVENTS and len(payload) >= 4:
            self._hear_key(payload, int.from_bytes(data[4:8], "big"))

    def _hear(self, payload: bytes, at: float) -> None:
        segment = self.listener.feed(payload, at)
        if segment.packets == SURE or segment.whole:
            self._changed.set()

    def _hear_key(self, payload: bytes, stamp: int) -> None:
        if payload[1] & 0x80 and stamp != self._event_stamp:
            self._event_stamp = stamp
            self.keys_heard.append(_KEYS[payload[0] & 15])
            self._changed.set()
