"""What ``check`` finds in the answers to STOP, HELP and START, and in how long things are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr_engine.domain.sms_parts import parts
from ivr_engine.errors import ConfigErrors
from ivr_engine.site.check import Severity, check
from ivr_engine.site.loader import load
from ivr_engine.site.opt_outs import SHIPPED, Answer

ROOT = Path(__file__).parents[2]
SITE = """
brand: Example
country: DE
default_language: en
languages: [en, de]
numbers: {700: {queue: support}}
queues: {support: {label: Support}}
agents: {anna: {label: Anna, queues: [support]}}
sms: {sender: +4915735990001}
wait_time_sms: {enabled: no, text: {}}
"""


def written(folder: Path, settings: str, site: str = SITE) -> Path:
    (folder / "site.yaml").write_text(f"{site}{settings}\n")
    return folder


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ("opt_out: {confirmation: {it: x}}", "language 'it' is not one of the site's"),
        ("opt_out: {help: {en: 'Hello {name}'}}", "unknown placeholder '{name}'"),
        ("opt_out: {confirm: {en: x}}", "confirm"),
        ("retention: {messages: 30, calls: 400}", "files cannot be kept longer than the messages"),
        ("retention: {media: 200, calls: 100, messages: 200}", "files cannot be kept longer than the calls"),
        ("retention: {consents: 0}", "consents"),
    ],
)
def test_an_error_keeps_the_site_from_being_loaded(tmp_path: Path, settings: str, what: str) -> None:
    with pytest.raises(ConfigErrors) as found:
        load(written(tmp_path, settings))
    assert what in str(found.value)


@pytest.mark.parametrize(
    ("settings", "languages", "what"),
    [
        (
            "opt_out: {confirmation: {en: Bye}}",
            "[en, de]",
            "'opt_out.confirmation.en' does not name the brand",
        ),
        ("", "[en, pl]", "'opt_out.help' has no text in pl"),
        ("opt_out: {start: {pl: '{brand}: x'}}", "[en, pl]", "'opt_out.confirmation' has no text in pl"),
        (f"opt_out: {{start: {{en: 'Example {'x' * 160}'}}}}", "[en]", "2 messages are sent"),
    ],
)
def test_a_warning(tmp_path: Path, settings: str, languages: str, what: str) -> None:
    site = SITE.replace("[en, de]", languages)
    found = check(written(tmp_path, settings, site), ROOT / "prompts")
    assert any(what in str(problem) and problem.severity is Severity.WARNING for problem in found)


def test_what_is_built_in_is_complete_and_each_is_one_message(tmp_path: Path) -> None:
    site = load(written(tmp_path, "", SITE.replace("[en, de]", "[en, de, it, es, fr]")))
    assert [p for p in check(tmp_path, ROOT / "prompts") if "opt_out" in str(p)] == []
    for answer in Answer:
        assert SHIPPED[answer].keys() == {"en", "de", "it", "es", "fr"}
        for language in SHIPPED[answer]:
            text = site.answer(answer, language, "+4915735990001")
            assert text.startswith("Example: ")
            assert (parts(text).count, parts(text).forcing) == (1, None), text
            assert ("+4915735990001" in text) is (answer is Answer.HELP)


def test_which_text_is_taken(tmp_path: Path) -> None:
    site = load(written(tmp_path, "opt_out: {contact: +49 30 1234, start: {de: '{brand}: Moin. {contact}'}}"))
    assert site.answer(Answer.START, "de", "x") == "Example: Moin. +49 30 1234"
    assert site.answer(Answer.START, "fr", "x").startswith("Example: Vous recevez")
    assert site.answer(Answer.START, "pl", "x") == site.answer(Answer.START, "en", "x")
