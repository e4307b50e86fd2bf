"""Callers who are called back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallbackAgreed:
    """The caller keeps the place and is called back there."""

    number: str


@dataclass(frozen=True, slots=True)
class CallbackNotAgreed:
    """No number was confirmed: the caller waits on."""


@dataclass(frozen=True, slots=True)
class CallbackDialled:
    attempt: int


@dataclass(frozen=True, slots=True)
class CallbackReached:
    """A person said that they are there."""

    attempt: int


@dataclass(frozen=True, slots=True)
class CallbackFailed:
    """``reason``: as in ``ports.DialResult``, ``no_person`` (nobody pressed 1), ``hung_up``,
    ``unclear`` (a crash came in between), or ``fault``, one of the engine's."""

    attempt: int
    reason: str


Happening = CallbackAgreed | CallbackNotAgreed | CallbackDialled | CallbackReached | CallbackFailed
