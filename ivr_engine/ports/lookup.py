"""Asking somebody else's system about a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One HTTP request. ``parameters`` go into the query of a GET, or as JSON into the body of a POST;
    ``token_from`` names the environment variable with a bearer token, if one is sent; ``deadline_s`` is for
    all of it."""

    method: Literal["get", "post"]
    url: str
    parameters: Mapping[str, str]
    deadline_s: float
    token_from: str | None = None


class Lookup(Protocol):
    async def ask(self, question: Question) -> object:
        """The JSON of the answer. ``ExternalError`` for everything else: no answer in time, a redirect, any
        status but 2xx, too large, no JSON, nested too deep."""
        ...

    async def close(self) -> None: ...
