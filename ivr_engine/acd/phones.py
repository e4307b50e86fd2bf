"""Agents whose phone has vanished are out: callers are not offered to a phone that cannot ring.

Asterisk is asked for all phones at once, every few seconds. Told by events it would have to be asked to send
those of each phone, and would then send every event of an agent's call twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from ivr_engine.errors import ExternalError
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Telephony

log = structlog.get_logger()

LOOK_EVERY_S: Final = 10.0
"""A phone missing at two looks in a row is gone: one that registers anew may be missing for a moment."""


class PhoneWatch:
    """``vanished`` is told the agent's name; only of phones that were there before. ``run`` is held by the
    engine's root task group."""

    def __init__(self, telephony: Telephony, vanished: Callable[[str], Awaitable[None]]) -> None:
        self._telephony = telephony
        self._vanished = vanished
        self._there = frozenset[str]()
        self._missing = frozenset[str]()
        self._trouble = Trouble("phones.not_looked_after", "phones.looked_after_again")

    async def run(self) -> None:
        while True:
            try:
                await self.look()
                self._trouble.over()
            except ExternalError as error:
                self._trouble.met(error, remedy=f"tried again every {LOOK_EVERY_S:g} s")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Once."""
        if not self._telephony.connected:
            self._there = self._missing = frozenset[str]()
            return
        now = await self._telephony.phones()
        missing = (self._there | self._missing) - now
        for name in sorted(missing & self._missing):
            log.warning("phone.gone", agent=name, meaning="signed out, unless a call is at hand")
            await self._vanished(name)
        self._missing = missing - self._missing
        self._there = now
