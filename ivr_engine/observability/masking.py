"""The last line of defence of the log: no number, text or secret passes in the clear.

Code that logs is expected to mask what it knows to be a number; this catches what slips through:
exception texts, tracebacks, a library's own lines, a URL with a query. It errs on the side of hiding:
a long number that is not a phone number is hidden too. Ids, dates and IP addresses are let through,
because a log without them is of no use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, time, timedelta
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Final, cast

from ivr_engine.domain.numbers import masked

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

HIDDEN: Final = "[hidden]"

_SECRET_KEY: Final = re.compile(
    r"token|password|passwd|secret|authorization|cookie|api_?key|credential", re.I
)
_TEXT_KEYS: Final = frozenset({"text", "body", "wording", "message_text", "sms", "message_body", "content"})

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_PRIVATE: Final = re.compile(
    rf"""
    (?P<keep>
        \b[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}\b   # a UUID
      | \b(?=[0-9]*[a-f])[0-9a-f]{{32,64}}\b                                       # an id or a hash in hex
      | (?<![\d.+-])(?:19|20)\d\d-[01]\d-[0-3]\d(?:[T\ ][0-2]\d:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?)?(?![\d-])
      | (?<![\d.+-])1[6-9]\d{{8}}\.\d{{1,6}}(?![\d.])                           # a channel id of Asterisk
      | (?<![\d.+-]){_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}(?![\d-]|\.\d)              # an IPv4 address
    )
  | (?P<number>
        (?:(?:\+|%2b)[ ]?)?\(?\d(?:(?:%20|%2d|[\s\-./()\u2010-\u2015\u200b-\u200f\u2060]){{0,3}}\d){{6,}}
    )
    """,
    re.I | re.X,
)
_QUOTED: Final = r"""(?:b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'|\\+"(?:[^"\\]|\\+[^"\\])*\\+")"""
_SECRETS: Final = re.compile(
    rf"""
    (?P<scheme>\b(?:bearer|basic)\s+)(?!\[hidden)[^\s"',;]+
  | (?P<url>://)(?!\[hidden)[^/\s:@"']*:[^/\s@"']+(?=@)
  | (?P<named>(?:token|password|passwd|secret|authorization|cookie|api_?key)(?:\\*["'])?\s*[:=]\s*)
      (?!\[hidden)(?:{_QUOTED}|(?:(?:bearer|basic)\s+)?[^\s"',;&)}}\]]+)
  | (?P<words>\b(?:text|body|wording|content)(?:\\*["'])?\s*[:=]\s*)
      (?!\[hidden)(?:{_QUOTED}|(?<==)[^\s"'&,;)}}\]]+)
    """,
    re.I | re.X,
)
_ESCAPED: Final = re.compile(r"%[0-9a-f]{2}", re.I)

_HARMLESS: Final = re.compile(r"(?:[A-Za-z_.+…]*[0-9]){0,6}[A-Za-z_.+…]*|(?=[0-9]*[a-f])[0-9a-f]{32}")
"""Most values of most lines: names, ids and numbers masked already, too few digits for a number and no sign
before a secret. Told at a fraction of the cost."""

_known: set[str] = set()


def hide(secret: str) -> None:
    """Never let this exact string into the log, wherever it stands."""
    if len(secret) >= 6:
        _known.add(secret)


def clean(text: str) -> str:
    """``text`` with numbers, secrets and message texts masked; the same again when masked already."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    if _HARMLESS.fullmatch(text):
        return text
    return _PRIVATE.sub(_mask_number, _SECRETS.sub(_mask_secret, text))


def mask_event(_logger: object, _method: str, event: MutableMapping[str, object]) -> Mapping[str, object]:
    """The structlog processor: every value is plain and clean after it."""
    return {key: _value(key, value) for key, value in event.items()}


def _mask_number(match: re.Match[str]) -> str:
    if match["keep"]:
        return match["keep"]
    found = match["number"]
    digits = "".join(c for c in _ESCAPED.sub("", found) if c.isdigit())
    return masked(f"+{digits}" if found.lower().startswith(("+", "%2b")) else digits)


def _mask_secret(match: re.Match[str]) -> str:
    return next(kept for kept in match.groups() if kept is not None) + HIDDEN


@lru_cache(maxsize=1024)
def _hides(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None or key.lower() in _TEXT_KEYS


def _value(key: str, value: object) -> Plain:
    if value is None or isinstance(value, bool):
        return value
    if _hides(key):
        return HIDDEN
    if isinstance(value, int):
        return int(value) if abs(value) < 10_000_000 else clean(str(int(value)))
    if isinstance(value, float):
        return value
    if isinstance(value, Enum):
        return _value(key, value.value)
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (date, time, timedelta, PurePath)):
        return str(value)
    return _composed(key, value)


def _composed(key: str, value: object) -> Plain:
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {clean(str(name)): _value(str(name), item) for name, item in pairs}
    if isinstance(value, (Sequence, AbstractSet)) and not isinstance(value, (bytes, bytearray)):
        return [_value(key, item) for item in cast("Sequence[object] | AbstractSet[object]", value)]
    try:
        return clean(repr(value))
    except Exception as error:  # a broken __repr__ must not take the log line, or the call, with it
        return f"<{type(value).__name__}: {type(error).__name__} in repr>"
