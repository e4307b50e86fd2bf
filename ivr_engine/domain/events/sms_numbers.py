"""Numbers of ours: whether they may be used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SmsNumberCodeSent:
    """``by`` asked for it."""

    number: str
    by: str


@dataclass(frozen=True, slots=True)
class SmsNumberVerified:
    """``how`` as in ``number_verification.How``."""

    number: str
    how: str
    by: str


@dataclass(frozen=True, slots=True)
class SmsNumberLost:
    """It was verified, and is so no longer."""

    number: str
    why: str


Happening = SmsNumberCodeSent | SmsNumberVerified | SmsNumberLost
