"""A small site to begin with, from a few answers: one number, one queue, one agent, texts to be spoken."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import phonenumbers

from ivr_engine.domain.numbers import is_country, to_e164
from ivr_engine.errors import ConfigErrors, Refused
from ivr_engine.site import schema
from ivr_engine.site.loader import load
from ivr_engine.site.texts import read_texts
from ivr_engine.site.tree import read

EXAMPLE: Final = Path(__file__).parents[1] / "example"
"""``config`` and ``prompts`` of the example: in a checkout links, in an installed package files."""


@dataclass(frozen=True, slots=True)
class Answers:
    """``number``: what callers dial. ``agent``: how the first one is called."""

    brand: str
    country: str
    languages: Sequence[str]
    number: str
    agent: str


def known_languages() -> list[str]:
    """Those that the example has texts in."""
    return sorted(file.parent.name for file in EXAMPLE.glob("prompts/*/texts.yaml"))


def refuse_what_is_there(folder: Path) -> None:
    """``Refused`` where there is a site, or a part of one, already: nothing is overwritten."""
    for there in (folder / "config", folder / "prompts"):
        if there.exists():
            raise Refused(f"{there} is there already: name another folder")


def write(answers: Answers, folder: Path) -> list[Path]:
    """``folder/config`` and ``folder/prompts``; returns the files written.

    Raises ``Refused`` where something is there already, there is no such country, or a language has no texts
    yet, ``ConfigErrors`` for answers that make no site: then nothing is written.
    """
    refuse_what_is_there(folder)
    if not is_country(answers.country):
        raise Refused(
            f"there is no country '{answers.country}': write its two letters as in ISO 3166: DE, AT, US, GB"
        )
    unknown = [language for language in answers.languages if language[:2] not in known_languages()]
    if unknown or not answers.languages:
        raise Refused(
            f"there are no texts in {', '.join(unknown) or 'no language'}, but in "
            f"{', '.join(known_languages())}: begin with one of these, then add a folder in prompts/"
        )
    with tempfile.TemporaryDirectory(prefix="ivr-init-") as scratch:
        made = Path(scratch)
        _write_files(answers, made)
        _, errors = read_texts(load(made / "config"), made / "prompts")
        if errors:
            raise ConfigErrors(errors)
        for name in ("config", "prompts"):
            shutil.copytree(made / name, folder / name)
    return sorted(file for name in ("config", "prompts") for file in (folder / name).rglob("*.*"))


def _write_files(answers: Answers, folder: Path) -> None:
    config = folder / "config"
    config.mkdir()
    for name, text in _settings(answers).items():
        head = f"# yaml-language-server: $schema={schema.SITE_FILE}\n"
        (config / name).write_text(head + text, encoding="utf-8")
    schemas = schema.files()
    (config / schema.SITE_FILE).write_text(schemas[schema.SITE_FILE], encoding="utf-8")
    for language in answers.languages:
        to = folder / "prompts" / language
        to.mkdir(parents=True)
        shutil.copy(EXAMPLE / "prompts" / language[:2] / "texts.yaml", to / "texts.yaml")
    (folder / "prompts" / schema.TEXTS_FILE).write_text(schemas[schema.TEXTS_FILE], encoding="utf-8")


def _settings(answers: Answers) -> dict[str, str]:
    languages = ", ".join(answers.languages)
    label = _quoted(answers.agent)
    return {
        "site.yaml": f"""\
# Who you are and which languages you speak. Every setting is in docs/configuration.md.
brand: {_quoted(answers.brand)}
country: {_quoted(answers.country)}
languages: [{languages}]
default_language: {answers.languages[0]}
""",
        "numbers.yaml": f"""\
# The numbers that can be dialled, and where each one leads.
numbers:
  {_quoted(answers.number)}:
    queue: support
""",
        "queues.yaml": """\
# The lines that callers wait in.
queues:
  support:
    label: Support
    wait_time_sms:
      # no: everybody who waits is offered the SMS.
      requires_over_capacity: no
""",
        "agents.yaml": f"""\
# The people who answer. The name is also the name of their phone account.
agents:
  {_name(answers.agent)}:
    label: {label}
    queues: [support]
""",
        "sms.yaml": f"""\
# Text messages. "simulator" sends nothing; docs/twilio.md leads to real ones.
sms:
  provider: simulator
  sender: {_quoted(_sender(answers))}

wait_time_sms:
  maximum_plays: 3
  text:
{_sms_texts(answers.languages)}""",
    }


def _sms_texts(languages: Sequence[str]) -> str:
    tree, _ = read(EXAMPLE / "config" / "sms.yaml")
    wait_time_sms = tree.child("wait_time_sms")
    texts = wait_time_sms and wait_time_sms.node.child("text")
    lines: list[str] = []
    for language in languages:
        entry = texts and texts.node.child(language[:2])
        lines.append(f"    {language}: {_quoted(str(entry.node.value if entry else ''))}\n")
    return "".join(lines)


def _sender(answers: Answers) -> str:
    """The number callers dial, or a mobile number of the country that stands in for one."""
    own = to_e164(answers.number, answers.country)
    if own is not None:
        return own
    example = phonenumbers.example_number_for_type(answers.country, phonenumbers.PhoneNumberType.MOBILE)
    return phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164) if example else ""


def _name(label: str) -> str:
    name = re.sub("[^a-z0-9_-]+", "-", label.lower()).strip("-_")
    return name[:40] if name[:1].isalpha() else f"agent-{name}"[:40].rstrip("-")


def _quoted(text: str) -> str:
    """As YAML takes it, whatever it is: JSON is YAML."""
    return json.dumps(text, ensure_ascii=False)
