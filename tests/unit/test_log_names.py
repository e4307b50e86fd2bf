"""Names of log lines are alike everywhere: what it is about, a dot, what happened (``call.taken``)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import ivr_engine

ROOT = Path(ivr_engine.__file__).parent
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def _lines() -> Iterator[tuple[str, str]]:
    for file in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=logger, attr=level), args=[ast.Constant(str(name)), *_]
                ):
                    if level in LEVELS and "log" in ast.unparse(logger).lower():
                        yield f"{file.relative_to(ROOT)}:{node.lineno}", name
                case _:
                    pass


def test_every_log_line_is_named_in_one_style() -> None:
    found = list(_lines())
    assert len(found) > 60
    wrong = [f"{where} {name}" for where, name in found if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name)]
    assert not wrong
