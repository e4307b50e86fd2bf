"""The page of promises names files that are there, and every caller script."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "promises.md"


def _linked() -> set[Path]:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE.read_text())
    return {(PAGE.parent / link).resolve() for link in links}


def test_every_file_the_page_links_to_exists() -> None:
    assert {file for file in _linked() if not file.exists()} == set()


def test_every_caller_script_is_named() -> None:
    tests = PROJECT / "tests" / "callers"
    kinds = ("**/scripts/*.yaml", "**/virtual/*.yaml")
    scripts = {file.resolve() for kind in kinds for file in tests.glob(kind)}
    scripts |= set((PROJECT / "config" / "callers").resolve().glob("*.yaml"))
    assert scripts
    unnamed = sorted(str(file.relative_to(PROJECT)) for file in scripts - _linked())
    assert unnamed == [], "say on docs/promises.md what they show"
