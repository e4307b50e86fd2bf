"""A flow drawn as SVG: one file that browsers, mail and printers show, with nothing outside it."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from xml.etree import ElementTree

from ivr_engine.errors import Refused
from ivr_engine.site.flows import Flow, Node
from ivr_engine.site.layers import Arrow, Point, Size, arranged
from ivr_engine.site.models import Site
from ivr_engine.site.pictures import arrows_from, what_it_does

START: Final = ""
"""The name of the box that the numbers stand in: no node has it."""

FONT_PX: Final = 13
LINE_PX: Final = 17
PADDING_PX: Final = 11
MARGIN_PX: Final = 24
LETTERS: Final = 34
"""In a line."""
LINES: Final = 3
"""Of what is said; more is cut."""

COLOURS: Final = {
    "menu": ("#e8f0fe", "#3367d6"),
    "language": ("#e8f0fe", "#3367d6"),
    "hours": ("#fef7e0", "#b06000"),
    "dip": ("#fef7e0", "#b06000"),
    "queue": ("#e6f4ea", "#137333"),
    "transfer": ("#e6f4ea", "#137333"),
    "voicemail": ("#f3e8fd", "#7627bb"),
    "sms": ("#f3e8fd", "#7627bb"),
    "app_link": ("#f3e8fd", "#7627bb"),
    "hang_up": ("#fce8e6", "#b3261e"),
}
"""Fill and line: asking blue, deciding yellow, to somebody green, message violet, the end red."""
PLAIN: Final = ("#f8f9fa", "#5f6368")

Said = Callable[[str], str | None]
"""The text of a prompt, if there is one."""

Lines = Sequence[tuple[str, str]]
"""What stands in a box: text and its style's name."""


def of_site(site: Site, name: str, said: Said) -> str:
    """The flow of that name. ``Refused(missing)`` when there is none."""
    if name not in site.flows:
        raise Refused(f"no flow {name!r}: there are {', '.join(sorted(site.flows)) or 'none'}", missing=True)
    numbers = [number for number, leading in site.numbers.items() if leading.flow == name]
    return svg(name, site.flows[name], said, numbers)


def svg(name: str, flow: Flow, said: Said = lambda _prompt: None, numbers: Sequence[str] = ()) -> str:
    """The flow from its start. ``said``: the texts of prompts, shown in short; ``numbers`` lead into it.

    Nothing in names and texts is taken for markup. Raises ``Refused`` for a flow too large to be read.
    """
    texts: dict[str, Lines] = {START: [(name, "name"), *((number, "text") for number in numbers)]}
    arrows = [Arrow(START, flow.start)]
    words = [""]
    for node in flow.nodes:
        here: list[str] = []
        for word, target in arrows_from(flow, node):
            if target == node:
                here.append(word)
            elif target in flow.nodes:
                arrows.append(Arrow(node, target, _label_size(word) if word else None))
                words.append(word)
        texts[node] = [
            *_about(node, flow.nodes[node], said),
            *((f"{w}: here again", "text") for w in here),
        ]
    sizes = {box: _box_size(lines) for box, lines in texts.items()}
    places = arranged(sizes, arrows)
    root = _canvas(name, places.size)
    for number, (arrow, word) in enumerate(zip(arrows, words, strict=True)):
        path = _arrow(root, places.lines[number], f"{arrow.source or name} to {arrow.target}")
        if number in places.backwards:
            path.set("stroke-dasharray", "5 3")
        if (at := places.labels[number]) is not None:
            _word(root, at, word)
    for box, lines in texts.items():
        kind = flow.nodes[box].kind if box in flow.nodes else ""
        _box(root, places.boxes[box], sizes[box], lines, COLOURS.get(kind, PLAIN), start=box == START)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _about(name: str, node: Node, said: Said) -> Iterator[tuple[str, str]]:
    yield name, "name"
    yield what_it_does(node), "text"
    if node.language:
        yield ", ".join(f"{key}: {language}" for key, language in node.language.keys.items()), "text"
    prompt = getattr(node.doing, "prompt", None)
    words = said(prompt) if prompt else None
    if words:
        lines = textwrap.wrap(_printable(words), LETTERS, max_lines=LINES, placeholder=" …")
        yield from ((line, "said") for line in lines)


def _printable(text: str) -> str:
    """Without what XML forbids or what would turn the text around."""
    return "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)


def _width(text: str, style: str = "text") -> float:
    """Roughly, and rather too much: there is no font to measure with."""
    wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return wide * FONT_PX * (0.67 if style == "name" else 0.6)


def _box_size(lines: Lines) -> Size:
    width = max(_width(text, style) for text, style in lines)
    return Size(width + 2 * PADDING_PX, len(lines) * LINE_PX + 2 * PADDING_PX - 4)


def _label_size(word: str) -> Size:
    return Size(_width(word) + 8, LINE_PX)


# ── drawing ──────────────────────────────────────────────────────────────────────────────────────


def _canvas(name: str, size: Size) -> ElementTree.Element:
    width, height = size.width + 2 * MARGIN_PX, size.height + 2 * MARGIN_PX
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"{-MARGIN_PX} {-MARGIN_PX} {width:.0f} {height:.0f}",
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "role": "img",
            "font-family": "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif",
            "font-size": str(FONT_PX),
        },
    )
    ElementTree.SubElement(root, "title").text = f"Flow {_printable(name)}"
    _add(root, "rect", x=-MARGIN_PX, y=-MARGIN_PX, width=width, height=height, fill="#ffffff")
    marker = _add(
        _add(root, "defs"),
        "marker",
        id="tip",
        viewBox="0 0 8 8",
        refX=7,
        refY=4,
        markerWidth=8,
        markerHeight=8,
        orient="auto",
    )
    _add(marker, "path", d="M0 0 8 4 0 8z", fill="#5f6368")
    return root


def _add(parent: ElementTree.Element, tag: str, **attributes: str | float) -> ElementTree.Element:
    written = {
        key.replace("_", "-"): value if isinstance(value, str) else f"{value:.6g}"
        for key, value in attributes.items()
    }
    return ElementTree.SubElement(parent, tag, written)


def _arrow(root: ElementTree.Element, line: Sequence[Point], title: str) -> ElementTree.Element:
    path = _add(
        root, "path", d=_curve(line), fill="none", stroke="#5f6368", stroke_width=1.3, marker_end="url(#tip)"
    )
    ElementTree.SubElement(path, "title").text = title
    return path


def _word(root: ElementTree.Element, at: Point, word: str) -> None:
    size = _label_size(word)
    left, top = at.x - size.width / 2, at.y - size.height / 2
    _add(root, "rect", x=left, y=top, width=size.width, height=size.height, fill="#ffffff")
    _add(root, "text", x=at.x, y=at.y + 4.5, text_anchor="middle", fill="#202124").text = _printable(word)


def _curve(line: Sequence[Point]) -> str:
    """Straight within a pair of points, level at both ends of each curve between two pairs."""
    path = [f"M{line[0].x:.1f} {line[0].y:.1f}L{line[1].x:.1f} {line[1].y:.1f}"]
    for before, begin, end in zip(line[1::2], line[2::2], line[3::2], strict=False):
        if before != begin:
            middle = (before.x + begin.x) / 2
            path.append(
                f"C{middle:.1f} {before.y:.1f} {middle:.1f} {begin.y:.1f} {begin.x:.1f} {begin.y:.1f}"
            )
        path.append(f"L{end.x:.1f} {end.y:.1f}")
    return "".join(path)


def _box(
    root: ElementTree.Element, at: Point, size: Size, lines: Lines, colours: tuple[str, str], *, start: bool
) -> None:
    left, top = at.x - size.width / 2, at.y - size.height / 2
    _add(
        root,
        "rect",
        x=left,
        y=top,
        width=size.width,
        height=size.height,
        rx=size.height / 2 if start else 6,
        fill=colours[0],
        stroke=colours[1],
        stroke_width=1.3,
    )
    styles = {
        "name": {"font_weight": "bold", "fill": "#202124"},
        "text": {"fill": "#3c4043"},
        "said": {"fill": "#5f6368", "font_style": "italic"},
    }
    for number, (text, style) in enumerate(lines):
        y = top + PADDING_PX + number * LINE_PX + FONT_PX - 3
        line = (
            _add(root, "text", x=at.x, y=y, text_anchor="middle", **styles[style])
            if start
            else _add(root, "text", x=left + PADDING_PX, y=y, **styles[style])
        )
        line.text = _printable(text)
