"""The page of promises names files that are there."""

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
