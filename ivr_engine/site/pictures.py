"""A flow drawn as text: Mermaid, which code hosts, wikis and editors show as a picture."""

from __future__ import annotations

from collections.abc import Iterator

from ivr_engine.site.flows import Flow, Node
from ivr_engine.site.way import Way

_ENDS = ("queue", "sms", "hang_up")


def mermaid(name: str, flow: Flow) -> str:
    """The flow from its start, a box a node, an arrow a way."""
    ids = {node: f"n{number}" for number, node in enumerate(flow.nodes)}
    lines = [f"flowchart TD\n    start(({_label(name)})) --> {ids[flow.start]}"]
    lines += [f"    {ids[node]}{_box(node, doing)}" for node, doing in flow.nodes.items()]
    for node in flow.nodes:
        for word, to in arrows_from(flow, node):
            if to in ids:
                lines.append(f"    {ids[node]} {f'-- {_label(word)} -->' if word else '-->'} {ids[to]}")
    return "\n".join(lines) + "\n"


def arrows_from(flow: Flow, node: str) -> Iterator[tuple[str, str]]:
    """Everything that leads from ``node`` to the same target in one: the words for it, and the target."""
    by_target: dict[str, list[str]] = {}
    for _, way in flow.ways(node):
        by_target.setdefault(way.target, []).append(_word(way))
    for target, words in by_target.items():
        yield ", ".join(word for word in words if word), target


def what_it_does(node: Node) -> str:
    """In one line: ``menu: main_menu``."""
    doing = node.doing
    what = getattr(doing, "prompt", None) or getattr(doing, "schedule", None) or getattr(doing, "name", None)
    return f"{node.kind}: {what}" if what else node.kind


def _word(way: Way) -> str:
    """What leads that way: the key, or the setting; nothing for the ordinary way on."""
    return "" if way.setting == ("then",) else way.setting[-1]


def _box(name: str, node: Node) -> str:
    text = _label(name, what_it_does(node))
    if node.kind in _ENDS:
        return f"([{text}])"
    return f"{{{{{text}}}}}" if node.kind in ("menu", "language", "hours", "dip") else f"[{text}]"


def _label(*lines: str) -> str:
    """Quoted, with nothing in it that Mermaid would take for its own."""
    kept = ("".join(c if c.isalnum() or c in " .,:-_" else f"#{ord(c)};" for c in line) for line in lines)
    return f'"{"<br/>".join(kept)}"'
