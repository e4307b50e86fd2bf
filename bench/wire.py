"""Watches the loopback while the bench runs: when a key ended, and when Asterisk told what.

The moment of a key's end packet and of the event on the engine's socket are the kernel's own time stamps of
those packets, so that neither side has to be asked and nothing is added to what is measured. A filter in the
kernel lets pass only what is looked at.
"""

from __future__ import annotations

import ctypes
import json
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Final

EVENT: Final = 101
"""Payload type of keys in the bench's SDP."""

_IPV4: Final = 0x0800
_RECEIVED: Final = 0
_ATTACH_FILTER: Final = 26
_RECEIVE_BUFFER_FORCE: Final = 33
_TIMESTAMP_NS: Final = 35
_BUFFER: Final = 64 << 20
_CHANNEL: Final = re.compile(r"channel:(.+)")


@dataclass
class Reaction:
    """One call's key. Seconds since 1970: its first end packet, Asterisk's event, the prompt's end."""

    ended: float
    told: float | None = None
    stopped: float | None = None


@dataclass
class _Stream:
    """The bytes of one direction of one TCP connection; frames once it is a WebSocket."""

    buffer: bytearray = field(default_factory=bytearray)
    is_socket: bool = False

    def frames(self, data: bytes) -> list[bytes]:
        self.buffer += data
        if not self.is_socket:
            return self._upgraded()
        frames: list[bytes] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _upgraded(self) -> list[bytes]:
        head, found, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        if not found or not head.startswith(b"HTTP/1.1 101"):
            self.buffer.clear()
            return []
        self.is_socket, self.buffer = True, bytearray()
        return self.frames(rest)

    def _next(self) -> bytes | None:
        """Asterisk's frames are not masked (RFC 6455, 5.1)."""
        data = self.buffer
        if len(data) < 2:
            return None
        size, at = data[1] & 0x7F, 2
        if size == 126:
            size, at = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10], "big"), 10
        if len(data) < at + size:
            return None
        frame = bytes(data[at : at + size])
        del data[: at + size]
        return frame


class Wire:
    """Listens from ``start`` to ``stop``; then ``reactions`` has an entry for each caller's port."""

    def __init__(self, ari_port: int, port_of_caller: dict[str, int]) -> None:
        self._port_of_caller = port_of_caller
        self._by_port: dict[int, Reaction] = {}
        self._by_channel: dict[str, Reaction] = {}
        self._streams: dict[tuple[int, int], _Stream] = {}
        self._socket = _tap(ari_port)
        self._thread = threading.Thread(target=self._read, name="wire", daemon=True)
        self._stopping = threading.Event()
        self.dropped = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        # struct tpacket_stats: packets, drops
        self.dropped = struct.unpack("II", self._socket.getsockopt(263, 6, 8))[1]
        self._socket.close()

    def forget(self) -> None:
        """Start anew, after the calls that were for warming up."""
        self._by_port.clear()
        self._by_channel.clear()

    @property
    def reactions(self) -> list[Reaction]:
        return list(self._by_port.values())

    def _read(self) -> None:
        self._socket.settimeout(0.2)
        while not self._stopping.is_set():
            try:
                packet, extra, _, _ = self._socket.recvmsg(70_000, 64)
            except TimeoutError:
                continue
            seconds, nanoseconds = struct.unpack("qq", extra[0][2])
            self._see(packet, seconds + nanoseconds / 1e9)

    def _see(self, packet: bytes, at: float) -> None:
        start = (packet[0] & 15) * 4
        if packet[9] == socket.IPPROTO_UDP:
            self._see_key(packet[start:], at)
        else:
            ports = struct.unpack("!HH", packet[start : start + 4])
            data = packet[start + (packet[start + 12] >> 4) * 4 :]
            for frame in self._streams.setdefault(ports, _Stream()).frames(data) if data else ():
                self._see_event(frame, at)

    def _see_key(self, udp: bytes, at: float) -> None:
        is_end = udp[8 + 12 + 1] & 0x80
        port = int.from_bytes(udp[:2], "big")
        if is_end and port not in self._by_port:
            self._by_port[port] = Reaction(at)

    def _see_event(self, frame: bytes, at: float) -> None:
        if b"ChannelDtmfReceived" in frame:
            self._told(json.loads(frame), at)
        elif b"PlaybackFinished" in frame:
            playback = json.loads(frame)["playback"]
            channel = _CHANNEL.fullmatch(playback["target_uri"])
            reaction = self._by_channel.get(channel[1]) if channel else None
            if reaction is not None and reaction.stopped is None:
                reaction.stopped = at

    def _told(self, event: dict[str, dict[str, dict[str, str]]], at: float) -> None:
        channel = event["channel"]
        reaction = self._by_port.get(self._port_of_caller.get(channel["caller"]["number"], 0))
        if reaction is not None and reaction.told is None:
            reaction.told = at
            self._by_channel[str(channel["id"])] = reaction


def _tap(ari_port: int) -> socket.socket:
    """A socket that gets the packets looked at, with the time each was received (on the loopback: sent)."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4))
    program = _filter(ari_port)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    tap.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))
    tap.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, _BUFFER)
    tap.setsockopt(socket.SOL_SOCKET, _TIMESTAMP_NS, 1)
    tap.bind(("lo", _IPV4))
    return tap


def _filter(ari_port: int) -> list[tuple[int, int, int, int]]:
    """Classic BPF. (code, jump if true, jump if false, operand); offsets begin at the IP header."""
    load_type, load_byte, load_indirect_byte, load_indirect_half = 0x30, 0x30, 0x50, 0x48
    header_length, equal, mask, give = 0xB1, 0x15, 0x54, 0x06
    return [
        (load_type, 0, 0, 0xFFFFF004),
        (equal, 0, 10, _RECEIVED),
        (header_length, 0, 0, 0),
        (load_byte, 0, 0, 9),
        (equal, 0, 3, socket.IPPROTO_UDP),
        (load_indirect_byte, 0, 0, 9),
        (mask, 0, 0, 0x7F),
        (equal, 3, 4, EVENT),
        (equal, 0, 3, socket.IPPROTO_TCP),
        (load_indirect_half, 0, 0, 0),
        (equal, 0, 1, ari_port),
        (give, 0, 0, 0xFFFF),
        (give, 0, 0, 0),
    ]
