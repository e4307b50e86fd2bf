"""What Asterisk says first on a FastAGI connection, read with limits: callers write some of it themselves.

Asterisk writes what a phone calls itself into ``agi_calleridname`` as it came. So a header that comes twice
is refused: a line break in one value could otherwise put words into the others.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from ivr_engine.errors import Refused

LONGEST_LINE: Final = 4_096
"""Bytes; Asterisk itself writes no longer ones than 2 KiB."""
MOST_LINES: Final = 64
_MOST_PARAMETERS: Final = 16
_NAME: Final = re.compile(r"agi_[a-z0-9_]{1,40}")
_UNIQUE_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_PROHIBITED: Final = 0x20
"""Of the presentation's bits 5 and 6: the caller withholds the number."""
_PRESENTATION: Final = 0x60


@dataclass(frozen=True, slots=True, kw_only=True)
class AgiRequest:
    """``script`` is the path, ``parameters`` the query behind it."""

    script: str
    parameters: Mapping[str, str]
    unique_id: str
    caller: str
    """As signalled; empty when withheld."""
    number: str
    language: str

    def may_come_in(self, secret: str) -> bool:
        """Whether it brings the shared secret, where there is one."""
        return not secret or hmac.compare_digest(self.parameters.get("key", "").encode(), secret.encode())


async def read_headers(reader: asyncio.StreamReader) -> Mapping[str, str]:
    """Up to the empty line. ``Refused`` when it is not what an Asterisk writes."""
    headers: dict[str, str] = {}
    for _ in range(MOST_LINES):
        line = await _line(reader)
        if not line:
            return headers
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise Refused("a line that is no AGI header")
        if name in headers:
            raise Refused(f"{name} is there twice")
        headers[name] = value.strip()
    raise Refused(f"more than {MOST_LINES} headers")


def understood(headers: Mapping[str, str]) -> AgiRequest:
    """``Refused`` when something is missing, or is not what it should be."""
    unique_id = headers.get("agi_uniqueid", "")
    if not _UNIQUE_ID.fullmatch(unique_id):
        raise Refused("no usable agi_uniqueid")
    script, _, query = headers.get("agi_network_script", "").partition("?")
    return AgiRequest(
        script=script.strip("/"),
        parameters=_parameters(query),
        unique_id=unique_id,
        caller=_caller(headers),
        number=_known(headers, "agi_dnid") or _known(headers, "agi_extension"),
        language=_known(headers, "agi_language"),
    )


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        line = await reader.readline()
    except ValueError:
        raise Refused(f"a line longer than {LONGEST_LINE} bytes") from None
    if not line.endswith(b"\n"):
        raise Refused("it ended before its headers did")
    return line.decode("utf-8", "replace").rstrip("\r\n")


def _parameters(query: str) -> Mapping[str, str]:
    try:
        # A plus is a number's: dialplans put ${CALLERID(num)} there as it is.
        given = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise Refused(f"more than {_MOST_PARAMETERS} parameters") from None
    if len({name for name, _ in given}) < len(given):
        raise Refused("a parameter is there twice")
    return dict(given)


def _caller(headers: Mapping[str, str]) -> str:
    presentation = headers.get("agi_callingpres", "0")
    withheld = (
        len(presentation) < 4
        and presentation.isdecimal()
        and int(presentation) & _PRESENTATION == _PROHIBITED
    )
    return "" if withheld else _known(headers, "agi_callerid")


def _known(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    return "" if value == "unknown" else value
