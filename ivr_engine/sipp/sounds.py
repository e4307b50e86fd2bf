"""What a stream of A-law packets is: a known clip, other sound (music), silence, or nothing at all.

Prompts are stored in the telephone's own coding and played without transcoding, so their bytes appear in
the RTP as they are in the file: recognition is exact, down to the offset, and cannot mistake one prompt
for another. Asterisk cuts files into packets of 160 bytes from their beginning; nothing here relies on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

RATE: Final = 8000
"""Bytes (samples) a second."""
PACKET: Final = 160
SILENT_BELOW: Final = 60
"""Mean absolute sample (of 32767) under which a packet counts as silence: about -55 dB."""
GAP_S: Final = 0.25
"""No packet for this long is "nothing": what a caller hears when nobody plays to them."""
SURE: Final = 3
"""Packets after which a segment is believed to be one."""

_GRAM: Final = 16
_ANCHORS: Final = (0, 48, 96, 128)


def _expand(byte: int) -> int:
    """One A-law byte as a linear sample (ITU-T G.711)."""
    byte ^= 0x55
    exponent, mantissa = (byte >> 4) & 7, byte & 15
    sample = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 0x108) << (exponent - 1)
    return sample if byte & 0x80 else -sample


LINEAR: Final = tuple(_expand(byte) for byte in range(256))
_LOUDNESS: Final = tuple(abs(sample) for sample in LINEAR)
_BY_SAMPLE: Final = sorted((sample, byte) for byte, sample in enumerate(LINEAR))


def to_alaw(sample: int) -> int:
    """The A-law byte nearest to a linear sample. Slow; for making test sounds."""
    return min(_BY_SAMPLE, key=lambda known: abs(known[0] - sample))[1]


def level(payload: bytes) -> float:
    """Mean absolute sample, 0 to 32767."""
    return sum(map(_LOUDNESS.__getitem__, payload)) / len(payload) if payload else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A known sound. ``loop``: it is repeated for as long as it is played (a test voice).

    ``voiced``: the offsets of its first and past its last packet that is not silence.
    """

    name: str
    data: bytes
    loop: bool = False
    voiced: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        packets = range(0, len(self.data), PACKET)
        first = next(filter(self._is_loud, packets), None)
        last = next(filter(self._is_loud, reversed(packets)), None)
        end = 0 if last is None else min(last + PACKET, len(self.data))
        object.__setattr__(self, "voiced", (first or 0, end))

    def part(self, start: int, size: int) -> bytes:
        """``size`` bytes from offset ``start``; shorter at the end, unless it loops."""
        if not self.loop:
            return self.data[start : start + size]
        start %= len(self.data)
        return (self.data[start:] + self.data * (1 + size // len(self.data)))[:size]

    def _is_loud(self, start: int) -> bool:
        return level(self.part(start, PACKET)) >= SILENT_BELOW


Place = tuple[Clip, int]


class Library:
    """The clips that can be recognised."""

    def __init__(self, clips: Mapping[str, bytes] | None = None) -> None:
        self.clips: dict[str, Clip] = {}
        self._grams: dict[bytes, list[Place]] = {}
        for name, data in (clips or {}).items():
            self.add(Clip(name, data))

    @classmethod
    def of_files(cls, files: Mapping[str, Path]) -> Library:
        """``files``: the clip's name and its ``.alaw`` file. Two names for one file are both kept."""
        return cls({name: file.read_bytes() for name, file in files.items()})

    def add(self, clip: Clip) -> None:
        self.clips[clip.name] = clip
        for offset in range(0, len(clip.data) - _GRAM + 1, _GRAM):
            gram = clip.data[offset : offset + _GRAM]
            if len(set(gram)) > 2:
                self._grams.setdefault(gram, []).append((clip, offset))

    def places(self, payload: bytes) -> frozenset[Place]:
        """Every clip and offset at which exactly these bytes are found; none for silence."""
        for anchor in _ANCHORS:
            found = frozenset(self._around(payload, anchor))
            if found:
                return found
        return frozenset()

    def is_only(self, names: frozenset[str], name: str) -> bool:
        """Whether a stretch that can be any of ``names`` is ``name`` (or another name of the same sound)."""
        return name in names and len({self.clips[one].data for one in names}) == 1

    def _around(self, payload: bytes, anchor: int) -> Iterator[Place]:
        for shift in range(anchor, min(anchor + _GRAM, len(payload) - _GRAM + 1)):
            for clip, offset in self._grams.get(payload[shift : shift + _GRAM], ()):
                start = (
                    offset - shift if offset >= shift or not clip.loop else offset - shift + len(clip.data)
                )
                if start >= 0 and clip.part(start, len(payload)) == payload:
                    yield clip, start


class Kind(StrEnum):
    CLIP = "clip"
    MUSIC = "music"
    SILENCE = "silence"
    NOTHING = "nothing"


@dataclass(slots=True)
class Segment:
    """A stretch of one kind of sound. Times are seconds on the listener's clock.

    ``names`` are the clips it can be (more than one only as long as they sound alike); ``first`` and
    ``last`` the offsets in the clip where it began and ended.
    """

    kind: Kind
    start: float
    end: float
    names: frozenset[str] = frozenset()
    first: int = 0
    last: int = 0
    packets: int = 1
    whole: bool = False
    """From the first voiced packet of the clip to its last."""
    torn: bool = False
    """No packets for a while, in the middle of a clip; or the clip, which then went on exactly there: who
    plays it had been kept waiting for a processor, and nothing was played anew."""

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def label(self) -> str:
        return "/".join(sorted(self.names)) if self.kind is Kind.CLIP else str(self.kind)

    def __str__(self) -> str:
        return f"{self.label}[{self.start:.2f}-{self.end:.2f}{' whole' if self.whole else ''}]"


@dataclass(slots=True)
class Listener:
    """Turns packets, as they come, into segments. Pure: time is an argument."""

    library: Library
    segments: list[Segment] = field(default_factory=list[Segment])
    _expected: frozenset[Place] = frozenset()

    def feed(self, payload: bytes, at: float) -> Segment:
        """Take one packet of audio that arrived ``at``; returns the segment it belongs to."""
        self.idle(at)
        places = self._following(payload) or self.library.places(payload)
        if places:
            return self._clip(places, len(payload), at)
        self._expected = frozenset()
        kind = Kind.SILENCE if level(payload) < SILENT_BELOW else Kind.MUSIC
        return self._extend(kind, at) or self._open(Segment(kind, at, at))

    def idle(self, at: float) -> None:
        """Note that it is ``at`` now: too long since the last packet is a segment of its own."""
        last = self.segments[-1] if self.segments else None
        if last is None:
            return
        if last.kind is Kind.NOTHING:
            last.end = at
        elif at - last.end >= GAP_S:
            self._open(Segment(Kind.NOTHING, last.end, at))

    def _following(self, payload: bytes) -> frozenset[Place]:
        """Where the running clip is now, if it goes on. This names also the pauses within a clip."""
        size = len(payload)
        return frozenset((clip, at) for clip, at in self._expected if clip.part(at, size) == payload)

    def _clip(self, places: frozenset[Place], size: int, at: float) -> Segment:
        segment = self._continued(places, at)
        if segment is None:
            segment = self._torn(places, at) or self._new(places, at)
        segment.last = max(offset for _, offset in places) + size
        segment.whole = any(_covers(segment, clip) for clip, _ in places)
        self._expected = frozenset((clip, offset + size) for clip, offset in places)
        return segment

    def _continued(self, places: frozenset[Place], at: float) -> Segment | None:
        """The running segment if these places go on with it, a lost packet or two left out."""
        running = self.segments[-1] if self.segments else None
        if running is None or running.kind is not Kind.CLIP:
            return None
        names = running.names & {clip.name for clip, _ in places}
        onward = any(clip.loop or 0 <= offset - running.last <= 3 * PACKET for clip, offset in places)
        if not names or not onward:
            return None
        running.names = names
        running.end = at
        running.packets += 1
        return running

    def _torn(self, places: frozenset[Place], at: float) -> Segment | None:
        """The rest of the clip before the last gap, if these places go on with it."""
        if len(self.segments) < 2 or self.segments[-1].kind is not Kind.NOTHING:
            return None
        before, gap = self.segments[-2:]
        onward = {place[0].name for place in places & self._expected if not place[0].loop}
        if not before.names & onward or (before.packets < SURE and not before.torn):
            return None
        rest = self._new(places, at)
        # Unless it says only now which of several clips that begin alike it is.
        gap.torn = rest.torn = self.library.is_only(before.names, min(before.names))
        if not before.whole:
            rest.first = before.first
        return rest

    def _new(self, places: frozenset[Place], at: float) -> Segment:
        first = min(offset for _, offset in places)
        return self._open(Segment(Kind.CLIP, at, at, frozenset(clip.name for clip, _ in places), first))

    def _extend(self, kind: Kind, at: float) -> Segment | None:
        running = self.segments[-1] if self.segments else None
        if running is None or running.kind is not kind:
            return None
        running.end = at
        running.packets += 1
        return running

    def _open(self, segment: Segment) -> Segment:
        self.segments.append(segment)
        return segment


def _covers(segment: Segment, clip: Clip) -> bool:
    start, end = clip.voiced
    return segment.first <= start and segment.last >= end
