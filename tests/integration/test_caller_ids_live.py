"""Who calls, as phones and carriers write it, through SIP and Asterisk: a number or nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ivr_engine.domain.numbers import shown_caller
from scripts.stack import Asterisk
from tests.integration.sip import Sipp, caller
from tests.integration.test_fallback import engine

NUMBER = "+4915133334444"
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'


def at(user: str, display: str = "") -> str:
    return f"{display}<sip:{user}@127.0.0.1>"


CASES = {
    "number": (at(NUMBER), "", NUMBER),
    "national": (at("015133334444"), "", NUMBER),
    "parameters": (at(f"{NUMBER};npdi;rn=+49199"), "", NUMBER),
    "extension": (at("4711"), "", "4711"),
    "anonymous": (ANONYMOUS, "", None),
    "anonymous-asserted": (ANONYMOUS, f"P-Asserted-Identity: <sip:{NUMBER}@127.0.0.1>", NUMBER),
    "asserted-tel": (at("4711"), f"P-Asserted-Identity: <tel:{NUMBER}>", NUMBER),
    "asserted-private": (
        ANONYMOUS,
        f"P-Asserted-Identity: <sip:{NUMBER}@127.0.0.1>\nPrivacy: id;critical",
        None,
    ),
    "private": (at(NUMBER), "Privacy: id", None),
    "private-user": (at(NUMBER), "Privacy: header; USER", None),
    "not-private": (at(NUMBER), "Privacy: none", NUMBER),
    "privacy-garbage": (at(NUMBER), 'Privacy: ")}?x:${SHELL(id)}', NUMBER),
    "private-header": (at(NUMBER), f"P-Asserted-Identity: <sip:{NUMBER}@127.0.0.1>\nPrivacy: user;id", None),
    "asserted-garbage": (at(NUMBER), "P-Asserted-Identity: <<;;>", NUMBER),
    "letters": (at("alice"), "", None),
    "long": (at("1" * 100), "", None),
    "long-letters": (at("a" * 100), "", None),
    "empty-user": ("<sip:127.0.0.1>", "", None),
    "utf-8": (at("J%C3%BCrgen", '"Jürgen ☎" '), "", None),
    "line-break": (at("+4915133334444%0d%0aX-Evil:%201"), "", None),
    "nul": (at("+4915133334444%00evil"), "", NUMBER),
    "dialplan": (at("$%7BSHELL(id)%7D", '"${EXTEN}" '), "", None),
    "markup": (at("%3Cscript%3E", '"<script>alert(1)</script>" '), "", None),
}


@pytest.mark.parametrize("name", CASES)
async def test_what_arrives_is_a_number_or_nobody(asterisk: Asterisk, tmp_path: Path, name: str) -> None:
    origin, headers, shown = CASES[name]
    scenario = (
        caller(30)
        .replace(at("[caller]"), origin)
        .replace("Max-Forwards: 70", f"Max-Forwards: 70\n{headers}".rstrip())
    )
    sipp = Sipp(asterisk.sip_port, tmp_path)
    async with engine(asterisk) as one, sipp.plays(scenario, caller="x", number="700", ear=9) as call:
        start = await one.seen("StasisStart")
        channel = start["channel"]
        assert start["args"] == ["700"]
        assert channel["state"] == ("Ring" if one.took_at_once else "Up"), "taken, and not answered yet"
        await one.ask("POST", f"channels/{channel['id']}/answer")
        await one.ask("DELETE", f"channels/{channel['id']}")
        await call.ended()
    assert shown_caller(channel["caller"]["number"], "DE") == shown
    if shown is None and "Privacy" in headers:
        assert "33334444" not in json.dumps(one.events)
