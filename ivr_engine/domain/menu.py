"""A menu: what a key, or silence, means in it.

A wrong key is answered by "wrong number selected" and the prompt again, silence by the prompt again; each
has its own limit, and the caller's time in one menu has one too. Past a limit the call goes on by the
configured way. The choice of language is a menu whose ways are languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ivr_engine.domain.records import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuRules:
    """One menu as configured. ``keys``: where each key leads. ``back`` and ``repeat`` are keys, if there are
    any. The caller is asked again after at most ``wrong_keys`` wrong keys and after at most ``silences``
    silences; after ``longest_s`` seconds not at all."""

    keys: Mapping[str, str]
    wrong_keys: int
    silences: int
    longest_s: float
    back: str | None = None
    repeat: str | None = None


@dataclass(frozen=True, slots=True)
class MenuState:
    """A caller in a menu: since when, and what was counted so far. A prompt that is played again because
    an engine came back counts for nothing."""

    since: datetime
    wrong_keys: int = 0
    silences: int = 0


class Limit(StrEnum):
    """Which limit was passed."""

    WRONG_KEYS = "wrong_keys"
    SILENCES = "silences"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Chosen:
    """``way`` as in ``MenuRules.keys``."""

    way: str


@dataclass(frozen=True, slots=True)
class Back:
    """To the menu before this one."""


@dataclass(frozen=True, slots=True)
class Again:
    """The prompt again; ``wrong_key``: after "wrong number selected"."""

    wrong_key: bool = False


@dataclass(frozen=True, slots=True)
class GivenUp:
    """On by the configured way."""

    limit: Limit


Step = Chosen | Back | Again | GivenUp


def answered(state: MenuState, rules: MenuRules, key: str | None, now: datetime) -> tuple[MenuState, Step]:
    """Decide what ``key`` (one of ``0``-``9``, ``*``, ``#``; ``None`` for silence) means at ``now``."""
    if key is not None and key in rules.keys:
        return state, Chosen(rules.keys[key])
    if key is not None and key == rules.back:
        return state, Back()
    if (now - state.since).total_seconds() >= rules.longest_s:
        return state, GivenUp(Limit.TIME)
    if key is None:
        return _silent(state, rules)
    if key == rules.repeat:
        return state, Again()
    return _wrong(state, rules)


def _silent(state: MenuState, rules: MenuRules) -> tuple[MenuState, Step]:
    if state.silences >= rules.silences:
        return state, GivenUp(Limit.SILENCES)
    return replace(state, silences=state.silences + 1), Again()


def _wrong(state: MenuState, rules: MenuRules) -> tuple[MenuState, Step]:
    if state.wrong_keys >= rules.wrong_keys:
        return state, GivenUp(Limit.WRONG_KEYS)
    return replace(state, wrong_keys=state.wrong_keys + 1), Again(wrong_key=True)
