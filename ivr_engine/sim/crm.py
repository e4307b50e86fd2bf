"""CRMs and directories of other people, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from ivr_engine.domain.contacts import Found
from ivr_engine.domain.crm import Kind, Posting
from ivr_engine.errors import ExternalError, Unreachable

HANGS_S = 3600.0
"""Longer than anybody waits."""


class SimCrm:
    """``ports.Crm``. ``ledger``: what it took, in order, each id once. ``trouble``: an error to raise for a
    posting, ``HANGS_S`` or other seconds to take for it, or ``None``; asked before it is taken."""

    at_once = 8

    def __init__(self, name: str = "sim", kinds: Collection[Kind] = frozenset(Kind)) -> None:
        self.name = name
        self.kinds = kinds
        self.ledger: list[Posting] = []
        self.tried: list[str] = []
        self.trouble: Callable[[Posting], Exception | float | None] = lambda _posting: None
        self.loses_answers = False
        self.closed = False

    async def post(self, posting: Posting) -> None:
        self.tried.append(posting.id)
        trouble = self.trouble(posting)
        if isinstance(trouble, Exception):
            raise trouble
        await asyncio.sleep(trouble or 0.02)
        if all(each.id != posting.id for each in self.ledger):
            self.ledger.append(posting)
        if self.loses_answers:
            raise Unreachable("the answer was lost")

    async def close(self) -> None:
        self.closed = True

    def told(self, kind: Kind) -> list[Posting]:
        return [each for each in self.ledger if each.kind is kind]


class SimDirectory:
    """``ports.ContactDirectory``. ``answer``: what it finds, whoever is asked for; an error is raised,
    seconds are taken."""

    system = "sim"

    def __init__(self, *found: Found) -> None:
        self.answer: list[Found] | ExternalError | float = list(found)
        self.asked: list[str] = []

    async def find(self, number: str) -> list[Found]:
        self.asked.append(number)
        if isinstance(self.answer, ExternalError):
            raise self.answer
        if isinstance(self.answer, list):
            await asyncio.sleep(0.05)
            return self.answer
        await asyncio.sleep(self.answer)
        return []

    async def close(self) -> None:
        """Nothing is open."""
