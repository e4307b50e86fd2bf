"""Flows drawn in Mermaid: every node and way is there, and no name breaks out of its label."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

import ivr_engine.cli
from ivr_engine.site.flows import Flow
from ivr_engine.site.loader import load
from ivr_engine.site.pictures import mermaid

ROOT = Path(__file__).parents[2]


def test_every_node_and_every_way_of_the_example() -> None:
    for name, flow in load(ROOT / "config").flows.items():
        drawn = mermaid(name, flow)
        assert len(re.findall(r"^    n\d+[\[({]", drawn, re.MULTILINE)) == len(flow.nodes)
        pairs = {(node, way.target) for node in flow.nodes for _, way in flow.ways(node)}
        assert len(re.findall(r"-->", drawn)) == len(pairs) + 1


def test_a_flow_of_two_nodes() -> None:
    menu = {"prompt": "ask", "keys": {"*": "end", "1": "end"}, "back": None, "otherwise": "end"}
    flow = Flow.model_validate({"start": "end", "nodes": {"end": {"hang_up": {}}, "m": {"menu": menu}}})
    assert mermaid("main", flow).splitlines() == [
        "flowchart TD",
        '    start(("main")) --> n0',
        '    n0(["end<br/>hang_up: goodbye"])',
        '    n1{{"m<br/>menu: ask"}}',
        '    n1 -- "otherwise, #42;, 1" --> n0',
    ]


def test_the_command_writes_one_file_a_flow(tmp_path: Path) -> None:
    environment = {"IVR_CONFIG": str(ROOT / "config")}
    runner = CliRunner()
    done = runner.invoke(
        ivr_engine.cli.app, ["flow", "picture", "main", "--out", str(tmp_path)], env=environment
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "main.mmd").read_text().startswith("flowchart TD")
    assert runner.invoke(ivr_engine.cli.app, ["flow", "picture", "mian"], env=environment).exit_code == 1
