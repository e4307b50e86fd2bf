"""Writes ``scenarios/*.xml``: one SIPp file per thing a caller or an agent's phone can do.

``python -m tests.sipp.scenarios`` writes them anew; a test sees to it that they are up to date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ivr_engine.sipp.scenarios import LED, LONG_MS, AgentDoes, CallerDoes, Key, agent, caller, register

FOLDER: Final = Path(__file__).with_name("scenarios")

# With the example site the position is said 5 s after the answer, the consent message runs from about
# 7 s to 19 s, and its ten seconds of silence end at about 29 s.
CALLERS: Final = {
    "press-1": CallerDoes("allow the SMS, during the message", [Key("1", 10_000)], 20_000),
    "press-1-after": CallerDoes("allow the SMS, in the ten seconds after it", [Key("1", 25_000)], 20_000),
    "press-2": CallerDoes("refuse the SMS", [Key("2", 10_000)], 20_000),
    "press-other": CallerDoes("a wrong key, then 1", [Key("5", 10_000), Key("1", 7_000)], 20_000),
    "press-other-4": CallerDoes(
        "four wrong keys", [Key("5", 10_000), Key("0", 7_000), Key("*", 7_000), Key("#", 7_000)], 12_000
    ),
    "press-nothing": CallerDoes("do not answer", [], 45_000),
    "press-in-music": CallerDoes("a key during the music counts for nothing", [Key("1", 2_000)], 28_000),
    "hang-up-in-music": CallerDoes("leave before anything is said", [], 2_000),
    "hang-up-in-message": CallerDoes("leave during the consent message", [], 10_000),
    "hang-up-in-silence": CallerDoes("leave in the ten seconds", [], 25_000),
    "hang-up-after-1": CallerDoes("press 1 and leave at once", [Key("1", 10_000)], 1_500),
    # Number 100: "welcome" until about 2 s, then the languages, then the menu.
    "menu": CallerDoes("English, support", [Key("1", 5_000), Key("1", 4_000)], 10_000),
    "menu-nested": CallerDoes(
        "German; sales, back, opening hours, sales, order",
        [
            Key("2", 5_000),
            Key("2", 4_000),
            Key("*", 4_000),
            Key("9", 4_000),
            Key("2", 12_000),
            Key("1", 4_000),
        ],
        10_000,
    ),
    "menu-wrong": CallerDoes(
        "English, then four wrong keys: the operator",
        [Key("1", 5_000), *(Key(key, 7_000) for key in "758#")],
        10_000,
    ),
    "menu-silence": CallerDoes("press nothing until the operator's queue", [], 125_000),
    "led": LED,
    "wait": CallerDoes("wait, talk, until somebody hangs up (by hand: two minutes)", [], 120_000),
}
AGENTS: Final = {
    "agent-answers": AgentDoes("answer after a second; the caller hangs up", "200 OK"),
    "agent-hangs-up": AgentDoes("answer after a second, hang up after five", "200 OK", talk_ms=5_000),
    "agent-hangs-up-at-once": AgentDoes("answer and hang up at once", "200 OK", ring_ms=500, talk_ms=1),
    "agent-busy": AgentDoes("busy", "486 Busy Here", ring_ms=0),
    "agent-declines": AgentDoes("ring, then decline", "603 Decline"),
    "agent-no-answer": AgentDoes("ring for ever", None, ring_ms=LONG_MS),
}


def file(name: str) -> Path:
    """Where the scenario of that name is."""
    return FOLDER / f"{name}.xml"


def files() -> dict[str, str]:
    """Every scenario: file name and content."""
    return {
        **{f"{name}.xml": caller(does) for name, does in CALLERS.items()},
        **{f"{name}.xml": agent(does) for name, does in AGENTS.items()},
        "register.xml": register(600),
        "unregister.xml": register(0),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_text(content)
