"""Flows drawn as SVG: nothing lies over anything else, nothing written becomes markup, and the same flow is
always the same picture."""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import ivr_engine.cli
from ivr_engine.errors import Refused
from ivr_engine.site.drawing import svg
from ivr_engine.site.flows import Flow
from ivr_engine.site.layers import Arranged, Arrow, Point, Size, arranged
from ivr_engine.site.loader import load

ROOT = Path(__file__).parents[2]
TEXT = "{http://www.w3.org/2000/svg}text"


def written(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(TEXT)]


def flow_of(**nodes: object) -> Flow:
    return Flow.model_validate({"start": next(iter(nodes)), "nodes": nodes})


def test_every_node_and_every_key_of_the_example_is_in_the_picture() -> None:
    flow = load(ROOT / "config").flows["main"]
    words = written(svg("main", flow, {"greeting": "Welcome"}.get, ["100"]))
    assert set(flow.nodes) | {"main", "100", "Welcome", "1", "2", "9", "open", "closed"} <= set(words)


@pytest.mark.parametrize(
    "hostile", ["</text><script>alert(1)</script>", "&lt;b&gt; ]]>", "a\x00b\x1b\ud800c", "\u202egnp.exe"]
)
def test_what_is_written_stays_text(hostile: str) -> None:
    flow = (
        flow_of(
            ask={
                "dip": {
                    "url": "http://x/",
                    "branch": "a",
                    "branches": {hostile: "end"},
                    "then": "end",
                    "otherwise": "bye",
                }
            },
            end={"hang_up": {}},
            bye={"hang_up": {"prompt": "bye"}},
        )
        if hostile.isprintable()
        else flow_of(end={"hang_up": {}})
    )
    picture = svg("main", flow, lambda _prompt: hostile, [hostile])
    tags = {element.tag.partition("}")[2] for element in ElementTree.fromstring(picture).iter()}
    assert tags <= {"svg", "title", "rect", "defs", "marker", "path", "text"}
    assert not any(character in picture for character in "\x00\x1b\u202e")
    picture.encode()


def test_a_key_that_leads_back_to_its_own_menu_is_named_in_it() -> None:
    flow = flow_of(
        m={"menu": {"prompt": "ask", "keys": {"5": "m", "1": "end"}, "otherwise": "end"}}, end={"hang_up": {}}
    )
    assert "5: here again" in written(svg("main", flow))


def test_the_picture_refers_to_nothing_outside_itself() -> None:
    picture = svg("main", load(ROOT / "config").flows["main"])
    assert "href" not in picture
    assert "url(#tip)" in picture.replace("url(#tip)", "", 1)
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_a_flow_that_fills_a_wall_is_refused() -> None:
    nodes: dict[str, object] = {
        f"n{i}": {"menu": {"prompt": "p", "keys": {"1": "n0", "2": f"n{i + 1}"}, "otherwise": "n150"}}
        for i in range(150)
    }
    with pytest.raises(Refused, match="too large"):
        svg("main", flow_of(**nodes, n150={"hang_up": {}}))


def _graphs() -> st.SearchStrategy[tuple[dict[str, Size], list[Arrow]]]:
    sizes = st.builds(Size, st.floats(10, 200), st.floats(10, 90))
    boxes = st.lists(sizes, min_size=1, max_size=12).map(lambda all_: {str(n): s for n, s in enumerate(all_)})
    label = st.none() | st.builds(Size, st.floats(5, 60), st.just(17.0))

    def with_arrows(of: dict[str, Size]) -> st.SearchStrategy[tuple[dict[str, Size], list[Arrow]]]:
        name = st.sampled_from(sorted(of))
        arrow = st.builds(Arrow, name, name, label).filter(lambda one: one.source != one.target)
        some = st.lists(arrow, max_size=20) if len(of) > 1 else st.just(list[Arrow]())
        return st.tuples(st.just(of), some)

    return boxes.flatmap(with_arrows)


@given(_graphs())
def test_nothing_lies_over_anything_else(graph: tuple[dict[str, Size], list[Arrow]]) -> None:
    boxes, arrows = graph
    places = arranged(boxes, arrows)
    taken = [(places.boxes[name], size) for name, size in boxes.items()]
    taken += [
        (at, arrow.label)
        for at, arrow in zip(places.labels, arrows, strict=True)
        if at is not None and arrow.label is not None
    ]
    for one, other in itertools.combinations(taken, 2):
        assert not _overlap(one, other)
    for at, size in taken:
        assert at.x - size.width / 2 >= -0.01
        assert at.x + size.width / 2 <= places.size.width + 0.01
        assert at.y - size.height / 2 >= -0.01
        assert at.y + size.height / 2 <= places.size.height + 0.01
    _check_ends(boxes, arrows, places)
    assert arranged(boxes, arrows) == places


def _check_ends(boxes: dict[str, Size], arrows: list[Arrow], places: Arranged) -> None:
    for number, (arrow, line) in enumerate(zip(arrows, places.lines, strict=True)):
        back = -1 if number in places.backwards else 1
        begin, end = places.boxes[arrow.source], places.boxes[arrow.target]
        assert line[0].x == pytest.approx(begin.x + back * boxes[arrow.source].width / 2)
        assert line[-1].x == pytest.approx(end.x - back * boxes[arrow.target].width / 2)


def _overlap(one: tuple[Point, Size], other: tuple[Point, Size]) -> bool:
    (a, of_a), (b, of_b) = one, other
    apart_x = (of_a.width + of_b.width) / 2 - 0.01
    apart_y = (of_a.height + of_b.height) / 2 - 0.01
    return abs(a.x - b.x) < apart_x and abs(a.y - b.y) < apart_y


def test_the_command_writes_both_pictures_and_prints_either(tmp_path: Path) -> None:
    environment = {"IVR_CONFIG": str(ROOT / "config"), "IVR_PROMPTS": str(ROOT / "prompts")}
    runner = CliRunner()

    def picture(*arguments: str) -> str:
        done = runner.invoke(ivr_engine.cli.app, ["flow", "picture", *arguments], env=environment)
        assert done.exit_code == 0, done.output
        return done.output

    picture("--out", str(tmp_path))
    assert (tmp_path / "main.svg").read_text() == picture("main", "--svg")
    assert "Welcome to Example Shop." in written((tmp_path / "main.svg").read_text())
