"""What ``check`` finds in the settings of in-call SMS."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr_engine.errors import ConfigErrors
from ivr_engine.site.check import Severity, check
from ivr_engine.site.loader import load

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


def written(folder: Path, settings: str) -> Path:
    (folder / "site.yaml").write_text(f"{SITE}in_call_sms: {settings}\n")
    return folder


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ("{presets: {a: {label: A, text: {de: x}}}}", "no text in the default language 'en'"),
        ("{closing: {de: x}}", "'in_call_sms.closing' has no text in the default language"),
        ("{closing: {en: x, it: x}}", "language 'it' is not one of the site's"),
        ("{closing: {en: 'Hello {name}'}}", "unknown placeholder '{name}'"),
        ("{countries: [XX]}", "no country 'XX'"),
        ("{automatic_answer: {again_after: 5}}", "again_after"),
        ("{presets: {a: {text: {en: x}}}}", "'label' is missing"),
        (f"{{presets: {{a: {{label: A, text: {{en: {'x' * 919}}}}}}}}}", "918"),
    ],
)
def test_an_error_keeps_the_site_from_being_loaded(tmp_path: Path, settings: str, what: str) -> None:
    with pytest.raises(ConfigErrors) as found:
        load(written(tmp_path, settings))
    assert what in str(found.value)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ("{closing: {en: x}}", "'in_call_sms.closing' has no text in de"),
        ("{presets_only: yes}", "agents may send presets only, and there is none"),
        ("{non_domestic: yes}", "texts in a call, but no country is listed"),
        (
            f"{{closing: {{de: y, en: {'x' * 161}}}}}",
            "'in_call_sms.closing.en' has 161 characters: 2 messages",
        ),
        ("{closing: {de: y, en: '\u2019'}}", "the character '\u2019' (U+2019) leaves room for 70"),
        (
            f"{{presets: {{a: {{label: A, text: {{de: y, en: '{'x' * 155}{{brand}}'}}}}}}}}",
            "'in_call_sms.presets.a.text.en' has 162 characters",
        ),
    ],
)
def test_a_warning_is_for_people_to_judge(tmp_path: Path, settings: str, what: str) -> None:
    found = check(written(tmp_path, settings), ROOT / "prompts", None)
    assert any(problem.severity is Severity.WARNING and what in problem.what for problem in found), found


def test_a_preset_of_one_part_in_every_language_is_in_order(tmp_path: Path) -> None:
    site = written(tmp_path, "{presets: {a: {label: A, text: {en: '{brand}', de: '{brand}'}}}}")
    assert not [problem for problem in check(site, ROOT / "prompts", None) if "in_call" in problem.what]
