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
            if isinstance(node, ast.Call):
                yield from ((f"{file.relative_to(ROOT)}:{node.lineno}", name) for name in _names(node))


def _names(call: ast.Call) -> list[str]:
    match call:
        case ast.Call(func=ast.Attribute(value=logger, attr=level), args=[ast.Constant(str(name)), *_]):
            return [name] if level in LEVELS and "log" in ast.unparse(logger).lower() else []
        case ast.Call(func=ast.Name("Trouble"), args=[ast.Constant(str(begins)), ast.Constant(str(over))]):
            return [begins, over]
        case _:
            return []


def test_every_log_line_is_named_in_one_style() -> None:
    found = list(_lines())
    assert len(found) > 60
    wrong = [f"{where} {name}" for where, name in found if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name)]
    assert not wrong
