"""A caller script as a SIPp scenario: what it says, when, and what it cannot say."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ivr_engine.errors import Refused
from ivr_engine.rehearsal.headless import ANYBODY, play_headless
from ivr_engine.rehearsal.script_files import read_scripts
from ivr_engine.rehearsal.sipp_file import REACTION_S, scenario
from ivr_engine.rehearsal.written_prompts import estimated, names_of
from ivr_engine.sipp import pcap
from ivr_engine.site.loader import load

PROJECT = Path(__file__).parents[2]


def written(file: Path, *, config: Path = PROJECT / "config") -> str:
    site, prompts = load(config), config.parent / "prompts"
    [script] = read_scripts([file], site, names_of(site, prompts))
    played = play_headless(script, site, estimated(site, prompts), reaction_s=REACTION_S)
    return scenario(played, lambda words: f"{len(words)}.pcap")


def steps(text: str) -> list[str]:
    """What is executed, in order, with the wait before it."""
    root = ElementTree.fromstring(text)
    found: list[str] = []
    for step in root:
        if step.get("ontimeout", "").startswith(("key", "late-bye")) and step.get("request") == "BYE":
            found.append(f"wait {round(int(step.get('timeout') or 0), -2)}")
        found += [next(iter(act.attrib.values())) for act in step.iter("exec")]
    return found


def test_keys_come_a_second_after_what_they_answer() -> None:
    text = written(PROJECT / "config/callers/menu-support.yaml")
    assert "INVITE sip:100@[remote_ip]" in text
    assert f"From: <sip:{ANYBODY}@" in text
    assert "[field0]" not in text
    assert steps(text) == ["wait 3900", "1,100", "wait 1000", "1,100", "wait 1000"]
    assert "expects prompt: main_menu, state: menu, node: main-menu, language: en" in text


def test_words_are_said_from_a_capture_file() -> None:
    second = PROJECT / "tests/callers"
    text = written(second / "scripts/message-ended-by-key.yaml", config=second / "site")
    assert [step for step in steps(text) if "wait" not in step] == ["40.pcap", "#,100"]


def test_what_cannot_be_one_scenario_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has two calls"):
        written(PROJECT / "config/callers/language-kept.yaml")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("what: x\nsteps: [{dials: 700}, {expects: {state: talking, within: 1}}]\n")
    with pytest.raises(Refused, match=r"another way already in virtual time: .*wrong\.yaml:2"):
        written(wrong)


def test_what_staff_does_is_said_with_its_second() -> None:
    lines = PROJECT / "tests/callers/acd"
    text = written(lines / "scripts/hold-and-mute.yaml", config=lines)
    assert "needs eve at a phone, who answers" in text
    assert "needs staff after 3 s: resume" in text
    assert steps(text) == ["wait 6100"]


def test_comments_and_names_cannot_break_the_xml(tmp_path: Path) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(
        "what: a \"<b>\" -- 'c'\nsteps: [{dials: 700}, {expects: {sms_count: 0, sound: music}}]\n"
    )
    assert ElementTree.fromstring(written(file)).get("name") == "a \"<b>\" -- 'c'"


def test_a_capture_holds_the_packets_in_time(tmp_path: Path) -> None:
    pcap.write(bytes(range(160)) * 3, tmp_path / "v.pcap")
    raw = (tmp_path / "v.pcap").read_bytes()
    at, times = 24, list[int]()
    while at < len(raw):
        seconds, micros, size, _ = struct.unpack_from("<IIII", raw, at)
        times.append(seconds * 1_000_000 + micros)
        assert raw[at + 16 :][:size].endswith(bytes(range(160)))
        at += 16 + size
    assert times == [0, 20_000, 40_000]


def test_headers_are_sent_along(tmp_path: Path) -> None:
    file = tmp_path / "header.yaml"
    file.write_text(
        "what: x\nsteps: [{dials: {number: 700, headers: {X-IVR-Access: desk}}}, {expects: {sound: music}}]\n"
    )
    text = written(file)
    assert "INVITE sip:700@[remote_ip]" in text
    assert text.count("X-IVR-Access: desk\n") == 1
