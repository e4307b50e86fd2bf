"""What a transaction reads and writes about numbers of ours."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from ivr_engine.domain.number_verification import NumberState


class SmsNumbers(Protocol):
    def get(self, number: str, provider: str) -> NumberState:
        """Locked until the transaction ends; as of a number never seen when there is nothing."""
        ...

    def all(self, provider: str) -> list[NumberState]:
        """Also of numbers that the site lists no more."""
        ...

    def verified(self, numbers: Collection[str], provider: str) -> frozenset[str]:
        """Those of ``numbers`` that may be used."""
        ...

    def save(self, state: NumberState) -> None: ...
