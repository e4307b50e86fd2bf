"""Where a caller is in a flow, as stored with the call: an engine that comes back goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ivr_engine.domain.menu import MenuState
from ivr_engine.domain.records import replace

MENUS_KEPT = 20
"""How many menus can be gone back through."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller was asked last, by the name of the prompt, and which key they answered by."""

    prompt: str
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """``trail``: the menus behind the caller, the oldest first. ``variables`` are what the flow noted about
    the call; they stay when the caller goes on into a queue."""

    flow: str
    node: str
    menu: MenuState
    trail: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict[str, str])
    recording: str | None = None
    """What the caller's message is recorded as, while it is."""
    asked: Asked | None = None
    """Why a text is sent here: the key that was pressed for it."""
    texted: bool | None = None
    """Whether it was; ``None``: not decided."""

    def at(self, node: str, now: datetime) -> Visit:
        """On at another node, where nothing has been counted yet."""
        return replace(self, node=node, menu=MenuState(now), recording=None, asked=None, texted=None)

    def leaving_menu(self) -> Visit:
        """The menu at hand is one that can be gone back to."""
        return replace(self, trail=(*self.trail, self.node)[-MENUS_KEPT:])

    def arriving_at_menu(self) -> Visit:
        """Back in a menu of the trail, however the caller came there, what followed it is forgotten."""
        if self.node not in self.trail:
            return self
        return replace(self, trail=self.trail[: self.trail.index(self.node)])

    def noting(self, variables: Mapping[str, str]) -> Visit:
        return replace(self, variables={**self.variables, **variables})
