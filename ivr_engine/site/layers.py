"""Boxes and arrows arranged on a plane, from left to right (Sugiyama, Tagawa and Toda, 1981).

The same graph always gives the same picture, so that a changed flow shows as a changed drawing and nothing
else does. The libraries there are do not: grandalf and fast-sugiyama differ from run to run, the one lays
boxes over each other, the other ends the process on a box with an arrow to itself.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from ivr_engine.errors import Refused

COLUMN_GAP: Final = 44.0
ROW_GAP: Final = 16.0
BACK_AT: Final = 12.0
"""Below the middle of a box arrows that lead back begin and end."""
SWEEPS: Final = 12
MOST_POINTS: Final = 5_000
"""Where arrows pass columns; a drawing with more could not be read by anybody."""


@dataclass(frozen=True, slots=True)
class Size:
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """``label``: the room for what is written on it, if anything."""

    source: str
    target: str
    label: Size | None = None


@dataclass(frozen=True, slots=True)
class Arranged:
    """``boxes``: their centres. ``lines``: of each arrow the points it passes, in pairs of the beginning and
    the end of a straight, horizontal piece; what lies between two pairs may be curved. ``labels``: their
    centres, where there is one. ``backwards``: the numbers of the arrows that lead back. ``size`` holds it
    all, from the origin."""

    boxes: Mapping[str, Point]
    lines: Sequence[Sequence[Point]]
    labels: Sequence[Point | None]
    backwards: frozenset[int]
    size: Size


@dataclass(slots=True)
class _Stop:
    """What takes room in a column: a box, a label, or an arrow passing by."""

    column: int
    size: Size
    before: list[_Stop] = field(default_factory=list["_Stop"])
    after: list[_Stop] = field(default_factory=list["_Stop"])
    place: int = 0
    y: float = 0.0


def arranged(boxes: Mapping[str, Size], arrows: Sequence[Arrow]) -> Arranged:
    """Boxes in columns, by how far they are from the first one. No arrow may lead to where it begins.

    Raises ``Refused`` for more than a picture can hold.
    """
    backwards = _backwards(boxes, arrows)
    columns_of = _columns_of(boxes, arrows, backwards)
    stops = {name: _Stop(columns_of[name], size) for name, size in boxes.items()}
    ways = _ways(stops, arrows, backwards)
    columns: dict[int, list[_Stop]] = defaultdict(list)
    for stop in _once([*stops.values(), *(stop for way in ways for stop in way)]):
        columns[stop.column].append(stop)
    ordered = [columns[number] for number in sorted(columns)]
    _order(ordered)
    _space(ordered)
    return _drawn(ordered, stops, arrows, ways, backwards)


def _backwards(boxes: Iterable[str], arrows: Sequence[Arrow]) -> set[int]:
    """The arrows that close a circle, met on the way from the first box."""
    leaving: dict[str, list[int]] = defaultdict(list)
    for number, arrow in enumerate(arrows):
        leaving[arrow.source].append(number)
    found: set[int] = set()
    seen: set[str] = set()
    for first in boxes:
        if first in seen:
            continue
        seen.add(first)
        trail, open_ones = [(first, iter(leaving[first]))], {first}
        while trail:
            here, rest = trail[-1]
            number = next(rest, None)
            if number is None:
                trail.pop()
                open_ones.discard(here)
            elif (target := arrows[number].target) in open_ones:
                found.add(number)
            elif target not in seen:
                seen.add(target)
                open_ones.add(target)
                trail.append((target, iter(leaving[target])))
    return found


def _columns_of(boxes: Iterable[str], arrows: Sequence[Arrow], backwards: set[int]) -> dict[str, int]:
    """Each box right of all that lead to it, with a column between for labels."""
    column = dict.fromkeys(boxes, 0)
    missing = dict.fromkeys(column, 0)
    following: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for number, arrow in enumerate(arrows):
        source, target = _ends(arrow, number in backwards)
        following[source].append((target, 2 if arrow.label else 1))
        missing[target] += 1
    ready = [name for name, count in missing.items() if count == 0]
    for name in ready:
        for target, steps in following[name]:
            column[target] = max(column[target], column[name] + steps)
            missing[target] -= 1
            if missing[target] == 0:
                ready.append(target)
    return column


def _ends(arrow: Arrow, backwards: bool) -> tuple[str, str]:
    return (arrow.target, arrow.source) if backwards else (arrow.source, arrow.target)


def _ways(stops: Mapping[str, _Stop], arrows: Sequence[Arrow], backwards: set[int]) -> list[list[_Stop]]:
    """Of each arrow the stops it passes from the left to the right, both ends included."""
    ways: list[list[_Stop]] = []
    passed = 0
    for number, arrow in enumerate(arrows):
        left, right = (stops[name] for name in _ends(arrow, number in backwards))
        between = [_Stop(column, Size(0, 0)) for column in range(left.column + 1, right.column)]
        passed += len(between)
        if passed > MOST_POINTS:
            raise Refused("this flow is too large for a picture: draw its parts as flows of their own")
        if arrow.label and between:
            # Near its beginning.
            at = -1 if number in backwards else 0
            between[at] = _Stop(between[at].column, arrow.label)
        way = [left, *between, right]
        for one, next_one in pairwise(way):
            one.after.append(next_one)
            next_one.before.append(one)
        ways.append(way)
    return ways


def _once(stops: Iterable[_Stop]) -> list[_Stop]:
    return list({id(stop): stop for stop in stops}.values())


# ── the order within columns ─────────────────────────────────────────────────────────────────────


def _order(columns: list[list[_Stop]]) -> None:
    """With few crossings: everything near the middle of what it is tied to, forth and back."""
    _number(columns)
    best, fewest = [list(column) for column in columns], _crossings(columns)
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        for column in columns if forth else reversed(columns):
            middles = {id(stop): _middle(stop.before if forth else stop.after, stop) for stop in column}
            column.sort(key=lambda stop, middles=middles: middles[id(stop)])
            _number([column])
        _swap_neighbours(columns)
        crossings = _crossings(columns)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    columns[:] = best
    _number(columns)


def _number(columns: list[list[_Stop]]) -> None:
    for column in columns:
        for place, stop in enumerate(column):
            stop.place = place


def _middle(tied: Sequence[_Stop], stop: _Stop) -> float:
    return sum(one.place for one in tied) / len(tied) if tied else stop.place


def _swap_neighbours(columns: list[list[_Stop]]) -> None:
    """Where that alone makes arrows cross less."""
    for column in columns:
        for place in range(len(column) - 1):
            upper, lower = column[place], column[place + 1]
            if _crossed(upper, lower) > _crossed(lower, upper):
                column[place], column[place + 1] = lower, upper
                upper.place, lower.place = lower.place, upper.place


def _crossed(upper: _Stop, lower: _Stop) -> int:
    return sum(
        one.place > other.place
        for of_upper, of_lower in ((upper.before, lower.before), (upper.after, lower.after))
        for one in of_upper
        for other in of_lower
    )


def _crossings(columns: list[list[_Stop]]) -> int:
    found = 0
    for column in columns:
        ends = [end for stop in column for end in sorted(one.place for one in stop.after)]
        seen: list[int] = []
        for end in ends:
            found += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return found


# ── the places ───────────────────────────────────────────────────────────────────────────────────


def _space(columns: list[list[_Stop]]) -> None:
    """Each stop as near as its column allows to the middle of what it is tied to."""
    for column in columns:
        _settle(column, [0.0] * len(column))
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            _settle(column, [_wanted(stop) for stop in column])
    top = min(stop.y - stop.size.height / 2 for column in columns for stop in column)
    for column in columns:
        for stop in column:
            stop.y -= top


def _wanted(stop: _Stop) -> float:
    tied = [*stop.before, *stop.after]
    return sum(one.y for one in tied) / len(tied) if tied else stop.y


def _settle(column: list[_Stop], wanted: Sequence[float]) -> None:
    """In their order, apart by the gap, and together as little off as can be (least squares: neighbours that
    would overlap move as one block)."""
    offsets: list[float] = []
    height = 0.0
    for above, stop in zip([None, *column], column, strict=False):
        if above is not None:
            height += (above.size.height + stop.size.height) / 2 + ROW_GAP
        offsets.append(height)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            more, members = blocks.pop()
            total, count = total + more, count + members
        blocks.append((total, count))
    places = [total / count for total, count in blocks for _ in range(count)]
    for stop, place, offset in zip(column, places, offsets, strict=True):
        stop.y = place + offset


def _drawn(
    columns: list[list[_Stop]],
    stops: Mapping[str, _Stop],
    arrows: Sequence[Arrow],
    ways: Sequence[Sequence[_Stop]],
    backwards: set[int],
) -> Arranged:
    lefts: dict[int, float] = {}
    widths: dict[int, float] = {}
    x = 0.0
    for column in columns:
        number = column[0].column
        lefts[number], widths[number] = x, max(stop.size.width for stop in column)
        x += widths[number] + COLUMN_GAP
    lines = [_line(way, lefts, widths, number in backwards) for number, way in enumerate(ways)]

    def centre(stop: _Stop) -> Point:
        return Point(lefts[stop.column] + widths[stop.column] / 2, stop.y)

    labels = [
        centre(way[-2 if number in backwards else 1]) if arrow.label else None
        for number, (arrow, way) in enumerate(zip(arrows, ways, strict=True))
    ]
    bottom = max(stop.y + stop.size.height / 2 for column in columns for stop in column)
    return Arranged(
        {name: centre(stop) for name, stop in stops.items()},
        lines,
        labels,
        frozenset(backwards),
        Size(x - COLUMN_GAP, bottom),
    )


def _line(
    way: Sequence[_Stop], lefts: Mapping[int, float], widths: Mapping[int, float], backwards: bool
) -> list[Point]:
    first, *between, last = way
    points = [
        Point(lefts[first.column] + (widths[first.column] + first.size.width) / 2, first.y),
        Point(lefts[first.column] + widths[first.column], first.y),
    ]
    for stop in between:
        left = lefts[stop.column]
        points += [Point(left, stop.y), Point(left + widths[stop.column], stop.y)]
    points += [
        Point(lefts[last.column], last.y),
        Point(lefts[last.column] + (widths[last.column] - last.size.width) / 2, last.y),
    ]
    if not backwards:
        return points
    # Apart from those that come the other way.
    ends = {0: BACK_AT, 1: BACK_AT, len(points) - 2: BACK_AT, len(points) - 1: BACK_AT}
    return [Point(point.x, point.y + ends.get(at, 0.0)) for at, point in enumerate(points)][::-1]
