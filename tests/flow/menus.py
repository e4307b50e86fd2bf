"""A site with a greeting, a choice of language and nested menus, for the tests of flows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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


async def presses_when_asked(caller: Caller, key_for: Callable[[str, Caller], str]) -> None:
    """As people do: whenever a question begins, its key, half a second later."""
    answered = 0
    while True:
        asked = [h for h in caller.hears if h.what in ("choose_language", "main_menu", "sales_menu")]
        if len(asked) > answered:
            answered = len(asked)
            await asyncio.sleep(0.5)
            caller.press(key_for(asked[-1].what, caller))
        await asyncio.sleep(0.05)


def prompts(caller: Caller) -> list[str]:
    """What was said, in order."""
    return [s for s in caller.ears.sounds if s not in ("ringing", "silence", "music", "end")]
