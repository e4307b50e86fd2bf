"""A voice as SIPp plays it: A-law in RTP packets, in a capture file (``play_pcap_audio``)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

PACKET: Final = 160
"""Bytes, and samples: 20 ms."""
_ALAW: Final = 8
_ETHERNET: Final = 1
_FRAME: Final = bytes(12) + b"\x08\x00"


def write(alaw: bytes, to: Path) -> None:
    """Write ``alaw`` (8 kHz) as a capture of its packets; SIPp puts in addresses and ports."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, _ETHERNET)]
    for number in range(len(alaw) // PACKET):
        frame = _packet(number, alaw[number * PACKET :][:PACKET])
        seconds, rest = divmod(number * 20_000, 1_000_000)
        parts += [struct.pack("<IIII", seconds, rest, len(frame), len(frame)), frame]
    to.write_bytes(b"".join(parts))


def _packet(number: int, payload: bytes) -> bytes:
    rtp = struct.pack("!BBHII", 0x80, _ALAW, number & 0xFFFF, number * PACKET & 0xFFFFFFFF, 1) + payload
    udp = struct.pack("!HHHH", 4000, 4000, 8 + len(rtp), 0) + rtp
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), bytes(4))
    return _FRAME + ip + udp
