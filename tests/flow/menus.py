"""A site with a greeting, a choice of language and nested menus, for the tests of flows."""

from __future__ import annotations

from typing import Any

from ivr_engine.sim.people import Caller
from tests.flow.centre import Centre

NODES: dict[str, Any] = {
    "welcome": {"play": {"prompt": "greeting", "then": "language"}},
    "language": {"language": {"keys": {"1": "en", "2": "de"}, "then": "main"}},
    "main": {
        "menu": {
            "prompt": "main_menu",
            "keys": {"1": "support", "2": "sales-menu", "8": "language", "9": "hours-told"},
            "repeat": "#",
            "otherwise": "operator",
        }
    },
    "sales-menu": {
        "menu": {"prompt": "sales_menu", "keys": {"1": "sales", "2": "deeper"}, "otherwise": "bye"}
    },
    "deeper": {"menu": {"prompt": "deep_menu", "keys": {"1": "sales", "2": "main"}, "otherwise": "bye"}},
    "hours-told": {"play": {"prompt": "opening_hours", "then": "main"}},
    "support": {"queue": {"name": "support"}},
    "sales": {"queue": {"name": "sales"}},
    "operator": {"queue": {"name": "support", "priority": 7}},
    "bye": {"hang_up": {"prompt": "goodbye"}},
}
FLOW: dict[str, Any] = {"start": "welcome", "everywhere": {"0": "operator"}, "nodes": NODES}
SITE: dict[str, Any] = {
    "numbers": {"100": {"flow": "main"}, "700": {"queue": "support"}},
    "queues": {name: {"label": name, "wait_time_sms": {"enabled": False}} for name in ("support", "sales")},
    "flows": {"main": FLOW},
}
"""Every prompt lasts two seconds, a wrong key's answer one and a half."""


def changed(**nodes: Any) -> dict[str, Any]:
    """The site with other nodes."""
    return SITE | {"flows": {"main": FLOW | {"nodes": NODES | nodes}}}


async def in_main_menu(centre: Centre, **called: str) -> Caller:
    caller = await centre.call("100", **called)
    await caller.hears_prompt("choose_language")
    caller.press("1")
    await caller.hears_prompt("main_menu")
    return caller


def prompts(caller: Caller) -> list[str]:
    """What was said, in order."""
    return [s for s in caller.ears.sounds if s not in ("ringing", "silence", "music", "end")]
