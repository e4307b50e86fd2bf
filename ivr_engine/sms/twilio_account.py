"""The Twilio account of a site: credentials from the environment, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

from ivr_engine.errors import ConfigError
from ivr_engine.settings import TWILIO_VARIABLES as VARIABLES

TWILIO_URL: Final = "https://api.twilio.com"

SEND_S: Final = 10.0
"""For the answer to a sent message; when it runs out Twilio may still be at work."""
LIST_S: Final = 10.0
"""For one page of the list."""
MEDIA_BYTES: Final = 16 * 1024 * 1024
"""The largest picture or video fetched."""

_NEEDED: Final = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
_ACCOUNT = re.compile(r"AC[0-9a-fA-F]{32}")
_KEY = re.compile(r"SK[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioAccount:
    """``user`` and ``password`` sign requests in: the account and its token, or an API key and its secret.

    ``url`` without a slash at its end. Seconds and bytes.
    """

    sid: str
    auth_token: str = field(repr=False)
    user: str
    password: str = field(repr=False)
    url: str = TWILIO_URL
    max_media_bytes: int = MEDIA_BYTES
    send_s: float = SEND_S
    list_s: float = LIST_S


def account_from_environ(environ: Mapping[str, str], *, numbers: tuple[str, ...] = ()) -> TwilioAccount:
    """Raises ``ConfigError`` naming the variable; its value is never repeated."""
    given = _given(environ)
    sid = _needed(given, "TWILIO_ACCOUNT_SID")
    if not _ACCOUNT.fullmatch(sid):
        raise ConfigError(
            "TWILIO_ACCOUNT_SID", None, "is no account SID", "copy it from Twilio's console: AC…"
        )
    token = _needed(given, "TWILIO_AUTH_TOKEN")
    user, password = sid, token
    if "TWILIO_API_KEY" in given or "TWILIO_API_SECRET" in given:
        user, password = _needed(given, "TWILIO_API_KEY"), _needed(given, "TWILIO_API_SECRET")
        if not _KEY.fullmatch(user):
            raise ConfigError("TWILIO_API_KEY", None, "is no API key", "copy its SID from the console: SK…")
    url = _address(given.get("IVR_TWILIO_URL", TWILIO_URL))
    return TwilioAccount(sid=sid, auth_token=token, user=user, password=password, url=url)


def problems(environ: Mapping[str, str], public_url: str) -> list[ConfigError]:
    """What keeps texts from going out or coming in, all of it at once; ``public_url`` is where Twilio is told
    to reach the engine."""
    given = _given(environ)
    found = [_not_set(name) for name in _NEEDED if name not in given]
    if not found:
        try:
            account_from_environ(given)
        except ConfigError as error:
            found.append(error)
    if not public_url.startswith("https://"):
        what = f"is no https address ({public_url}): Twilio cannot bring delivery reports and answers"
        remedy = "set it to the address at which Twilio reaches this engine, like https://calls.example.org"
        found.append(ConfigError("IVR_PUBLIC_URL", None, what, remedy))
    return found


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    """An empty variable counts as not set."""
    return {name: value for name in VARIABLES if (value := environ.get(name, "").strip())}


def _needed(given: Mapping[str, str], name: str) -> str:
    if name not in given:
        raise _not_set(name)
    return given[name]


def _not_set(name: str) -> ConfigError:
    return ConfigError(name, None, "is not set", f"set it ({VARIABLES[name]}); see docs/twilio.md")


def _address(text: str) -> str:
    """Credentials go there: encrypted, or not off this machine."""
    try:
        url = URL(text.rstrip("/"))
        good = bool(url.host) and url.user is None and not url.query_string and not url.fragment
        good = good and (url.scheme == "https" or (url.scheme == "http" and _local(url.host)))
    except ValueError:
        good = False
    if not good:
        raise ConfigError("IVR_TWILIO_URL", None, "is no https address", f"write it like {TWILIO_URL}")
    return text.rstrip("/")


def _local(host: str | None) -> bool:
    return host in ("127.0.0.1", "::1", "localhost")
