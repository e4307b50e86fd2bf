"""``check`` finds what would otherwise be found by a caller, and nothing in the example."""

from __future__ import annotations

import shutil
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from ivr_engine.errors import ConfigError
from ivr_engine.site.check import Problem, Severity, check
from ivr_engine.sms.twilio_account import problems

ROOT = Path(__file__).parents[2]


class Folder:
    """A copy of the example that a test spoils."""

    def __init__(self, root: Path) -> None:
        self.config = Path(shutil.copytree(ROOT / "config", root / "config"))
        self.prompts = Path(shutil.copytree(ROOT / "prompts", root / "prompts"))

    def change(self, name: str, old: str, new: str) -> None:
        file = self.config.parent / name
        text = file.read_text()
        assert text.count(old) == 1, (old, text.count(old))
        file.write_text(text.replace(old, new))

    def line(self, name: str, fragment: str) -> int:
        lines = (self.config.parent / name).read_text().splitlines()
        return next(i for i, line in enumerate(lines, 1) if fragment in line)

    def check(self, *, music_classes: set[str] | None = None) -> list[Problem]:
        return check(self.config, self.prompts, music_classes)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_example_has_no_problem(folder: Folder) -> None:
    assert folder.check(music_classes={"default"}) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "at", "what", "remedy"),
    [
        (
            "config/numbers.yaml",
            "queue: express",
            "queue: expres",
            "queue: expres",
            "unknown queue 'expres'",
            "'express'?",
        ),
        (
            "config/sms.yaml",
            "  provider: simulator",
            "  provider: simulater",
            "simulater",
            "not known",
            "'simulator'?",
        ),
        (
            "prompts/en/texts.yaml",
            "Press 1 to get",
            "Press any key to get",
            "consent:",
            "does not name the key 1",
            "1 allows",
        ),
        (
            "prompts/de/texts.yaml",
            "oder die 2, wenn",
            "oder warten Sie, wenn",
            "consent:",
            "does not name the key 2",
            "2 refuses",
        ),
        (
            "prompts/en/texts.yaml",
            "Wrong number selected.",
            "",
            "wrong_number:",
            "'wrong_number' is empty",
            "recording",
        ),
        (
            "prompts/en/texts.yaml",
            "{brand}. Goodbye",
            "{brant}. Goodbye",
            "goodbye:",
            "placeholder '{brant}'",
            "{brand}",
        ),
        (
            "prompts/en/texts.yaml",
            "You are number {number} in",
            "You are in",
            "  other:",
            "does not say the number",
            "{number}",
        ),
        (
            "config/queues.yaml",
            "      estimate: 300\n",
            "",
            "    over_capacity:",
            "no limit makes it so",
            "'nobody_signed_in'",
        ),
        (
            "config/queues.yaml",
            "        1: {wait: yes}\n        2: {flow: message}\n",
            "        {}\n",
            "    over_capacity:",
            "nothing follows from it",
            "'forced'",
        ),
        (
            "config/queues.yaml",
            "        1: {wait: yes}\n",
            "        1: {wait: yes, queue: support}\n",
            "1: {wait",
            "has wait and queue",
            "exactly one of",
        ),
        (
            "config/queues.yaml",
            "        1: {wait: yes}\n",
            "        1: {wait: no}\n",
            "1: {wait",
            "has nothing",
            "exactly one of",
        ),
        (
            "config/queues.yaml",
            "        1: {wait: yes}\n",
            "        1: {callback: yes}\n",
            "callback",
            "cannot be called back",
            "another option",
        ),
        (
            "config/queues.yaml",
            "        1: {wait: yes}\n",
            "        1: {queue: sales}\n",
            "queue: sales",
            "leads to the queue itself",
            "'wait: yes'",
        ),
        (
            "config/queues.yaml",
            "        2: {flow: message}\n",
            "        2: {flow: mesage}\n",
            "mesage",
            "unknown flow 'mesage'",
            "'message'?",
        ),
        (
            "config/queues.yaml",
            "      estimate: 300\n",
            "      estimate: 300\n      forced: {wait: yes}\n",
            "      forced: {wait",
            "nobody is asked for 'keys'",
            "one of the two",
        ),
        (
            "prompts/en/texts.yaml",
            "  more: It may",
            "  most: It may",
            "  most:",
            "'wait' has no 'most'",
            "'between_1'",
        ),
        (
            "prompts/en/texts.yaml",
            "between {low} and {high} minutes",
            "between {low} and more minutes",
            "  between:",
            "does not say {high}",
            "where the number belongs",
        ),
        (
            "prompts/de/texts.yaml",
            "als {high} Minuten",
            "als {high} {Minuten}",
            "  under:",
            "unknown placeholder '{Minuten}'",
            "{low}",
        ),
        (
            "config/sms.yaml",
            "  maximum_plays: 3",
            "  maximum_plays: 3\n  wait_minimum: 60\n  wait_maximum: 60",
            "wait_time_sms:",
            "'wait_minimum' is not below 'wait_maximum'",
            "leave one of them out",
        ),
        ("prompts/en/texts.yaml", "  1: You", "  21: You", "  21:", "'position' has no '21'", "1 to 20"),
        (
            "prompts/en/texts.yaml",
            "apology: We",
            "Apology!: x\napology: We",
            "Apology!",
            "not a prompt's name",
            "small letters",
        ),
        (
            "prompts/en/texts.yaml",
            "apology: We are",
            "apology: [We]\nx: We are",
            "apology:",
            "must be a text",
            "colon",
        ),
        (
            "prompts/en/texts.yaml",
            "apology: We are",
            "apology: We are\napology: We are",
            "apology: We",
            "given twice",
            "keep",
        ),
        ("prompts/en/texts.yaml", "We are sorry.", "x" * 1501, "apology:", "is too long", "1500"),
    ],
)
def test_an_error_is_found_at_its_line(
    folder: Folder, name: str, old: str, new: str, at: str, what: str, remedy: str
) -> None:
    folder.change(name, old, new)
    (problem,) = folder.check()
    line = folder.line(name, at) + (what == "given twice")
    assert (problem.severity, problem.file, problem.line) == (
        Severity.ERROR,
        str(folder.config.parent / name),
        line,
    )
    assert what in problem.what
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    ("name", "old", "new", "at", "what", "remedy"),
    [
        (
            "config/sms.yaml",
            '"{brand}: Thank',
            '"Thank',
            "Thank",
            "'wait_time_sms.text.en' does not name the brand",
            "{brand}",
        ),
        (
            "config/sms.yaml",
            "You keep your place",
            "You\u2019ll keep your place",
            "You\u2019ll",
            "(U+2019)",
            "plain",
        ),
        (
            "config/sms.yaml",
            "You keep your place",
            "Of course you keep your place in the line",
            "course",
            " characters: 2 messages",
            "160",
        ),
        (
            "config/sms.yaml",
            "non_domestic: no\n  countries:",
            "non_domestic: yes\n  countries:",
            "non_domestic: yes",
            "no country is listed",
            "AT",
        ),
        (
            "config/numbers.yaml",
            "queue: express",
            "queue: support",
            "  express:",
            "no number leads into",
            "delete",
        ),
        (
            "prompts/en/texts.yaml",
            "To withdraw later, answer with the word stop.",
            "Please choose.",
            "consent:",
            "how to withdraw",
            "stop",
        ),
    ],
)
def test_a_warning_is_found_at_its_line(
    folder: Folder, name: str, old: str, new: str, at: str, what: str, remedy: str
) -> None:
    folder.change(name, old, new)
    (problem,) = folder.check()
    place = "config/queues.yaml" if "express:" in at else name
    assert (problem.severity, problem.file, problem.line) == (
        Severity.WARNING,
        str(folder.config.parent / place),
        folder.line(place, at),
    )
    assert what in problem.what
    assert remedy in problem.remedy


def test_a_queue_nobody_serves_is_a_warning(folder: Folder) -> None:
    agents = folder.config / "agents.yaml"
    agents.write_text(agents.read_text().replace(", express", ""))
    (problem,) = folder.check()
    assert problem.what == "nobody serves the queue 'express'"
    assert problem.line == folder.line("config/queues.yaml", "  express:")
    assert str(problem).endswith(
        "warning: nobody serves the queue 'express'; add 'express' to the queues of an agent"
    )


def test_a_language_without_prompts_is_an_error(folder: Folder) -> None:
    shutil.rmtree(folder.prompts / "de")
    (problem,) = folder.check()
    assert problem.what == "language 'de' has no prompts"
    assert problem.file == str(folder.prompts / "de" / "texts.yaml")


def test_a_prompt_missing_in_one_language_is_an_error(folder: Folder) -> None:
    folder.change("prompts/de/texts.yaml", "apology:", "entschuldigung:")
    (problem,) = folder.check()
    assert problem.what == "language 'de' has no prompt 'apology'"


CHOICE = "        1: {wait: yes}\n        2: {flow: message}\n"


def test_queues_that_send_callers_round_are_found(folder: Folder) -> None:
    folder.change("config/queues.yaml", "      keys:\n" + CHOICE, "      forced: {queue: express}\n")
    folder.change(
        "config/queues.yaml",
        "    first_announcement: 0\n",
        "    first_announcement: 0\n    over_capacity: {waiting: 5, forced: {queue: sales}}\n",
    )
    errors = [problem for problem in folder.check() if problem.severity is Severity.ERROR]
    assert [(p.line, p.what) for p in errors] == [
        (
            folder.line("config/queues.yaml", "forced: {queue: express}"),
            "callers of queue 'sales' can be sent round for ever, back to 'sales'",
        ),
        (
            folder.line("config/queues.yaml", "forced: {queue: sales}"),
            "callers of queue 'express' can be sent round for ever, back to 'express'",
        ),
    ]


def test_options_that_the_text_does_not_name_are_worth_a_warning(folder: Folder) -> None:
    folder.change("config/queues.yaml", CHOICE, CHOICE + "        5: {say: goodbye}\n")
    problems = folder.check()
    assert {(p.severity, p.what) for p in problems} == {
        (Severity.WARNING, "'over_capacity' does not name the key 5, which is an option")
    }
    assert len(problems) == 5


def test_an_offer_that_requires_what_never_happens_is_worth_a_warning(folder: Folder) -> None:
    folder.change(
        "config/queues.yaml",
        "    announce_position: no\n    wait_time_sms:\n      requires_over_capacity: no\n",
        "    announce_position: no\n",
    )
    [problem] = folder.check()
    assert (problem.severity, problem.line) == (
        Severity.WARNING,
        folder.line("config/queues.yaml", "  express:"),
    )
    assert "'express' are never offered the SMS" in problem.what


def test_waits_that_are_not_all_said_are_one_error(folder: Folder) -> None:
    folder.change("prompts/en/texts.yaml", "  under: Your", "  under_2: Your")
    [problem] = folder.check()
    assert problem.what == "'wait' does not say every wait, which a queue announces"
    assert "'between: … {low} … {high} …'" in problem.remedy
    assert "(missing: wait.under3, …)" in problem.remedy


def test_sentences_of_waits_are_needed_where_a_queue_says_them(folder: Folder) -> None:
    text = (folder.prompts / "fr" / "texts.yaml").read_text()
    begin, end = text.index("wait:\n"), text.index("\n# Quand une file est trop")
    (folder.prompts / "fr" / "texts.yaml").write_text(text[:begin] + text[end:])
    assert [problem.what for problem in folder.check()] == [
        "'wait' does not say every wait, which a queue announces"
    ]
    folder.change("config/queues.yaml", "    announce_wait: yes\n", "")
    assert folder.check() == []


def test_positions_that_are_not_all_said_are_one_error(folder: Folder) -> None:
    folder.change("prompts/de/texts.yaml", "  other: Sie sind an Position {number} der Warteschlange.\n", "")
    (problem,) = folder.check()
    assert problem.what == "'position' does not say every place in line"


def test_a_queues_own_prompt_is_needed_in_every_language(folder: Folder) -> None:
    folder.change(
        "config/queues.yaml",
        "    label: Express\n",
        "    label: Express\n    prompts: {consent: sms-offer}\n",
    )
    assert [p.what for p in folder.check()] == [
        f"language '{code}' has no prompt 'sms-offer'" for code in ("de", "en", "es", "fr", "it")
    ]
    for language in ("de", "en", "es", "fr", "it"):
        with (folder.prompts / language / "texts.yaml").open("a") as file:
            file.write("sms-offer: Press two to stop this.\n")
    assert {p.what for p in folder.check()} == {
        "'sms-offer' does not name the key 1",
        "'sms-offer' does not name the key 1 and 2",
    }


def test_an_unknown_music_class_is_an_error(folder: Folder) -> None:
    folder.change("config/queues.yaml", "    label: Express\n", "    label: Express\n    music: jaz\n")
    assert folder.check() == []
    (problem,) = folder.check(music_classes={"default", "jazz"})
    assert problem.what == "queue 'express' plays the unknown music 'jaz'"
    assert problem.remedy == "did you mean 'jazz'?"
    assert problem.line == folder.line("config/queues.yaml", "music: jaz")


def test_recordings_are_looked_at(folder: Folder) -> None:
    english = folder.prompts / "en"
    (english / "goodbye.wav").write_bytes(b"RIFF....WAVE")
    (english / "consnt.wav").write_bytes(b"never mind")
    with wave.open(str(english / "apology.wav"), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(struct.pack("<8000h", *([0] * 8000)))
    problems = {Path(problem.file).name: problem for problem in folder.check()}
    assert set(problems) == {"goodbye.wav", "apology.wav", "consnt.wav"}
    assert problems["goodbye.wav"].severity is Severity.ERROR
    assert problems["apology.wav"].what == "holds only silence"
    assert problems["consnt.wav"].severity is Severity.WARNING
    assert problems["consnt.wav"].remedy == "did you mean 'consent'?"


def test_a_recorded_consent_needs_its_wording_as_proof(folder: Folder) -> None:
    with wave.open(str(folder.prompts / "en" / "consent.wav"), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(struct.pack("<800h", *([9000, -9000] * 400)))
    assert folder.check() == []
    file = folder.prompts / "en" / "texts.yaml"
    text = file.read_text()
    begin = text.index("consent: >-")
    file.write_text(text[:begin] + text[text.index("# After the caller pressed 1") :])
    (problem,) = folder.check()
    assert problem.what == "'consent' has a recording but no text"


def test_two_recordings_of_one_prompt(folder: Folder) -> None:
    for suffix in ("wav", "WAV"):
        with wave.open(str(folder.prompts / "en" / f"goodbye.{suffix}"), "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes(struct.pack("<800h", *([9000, -9000] * 400)))
    (problem,) = [p for p in folder.check() if p.severity is Severity.ERROR]
    assert problem.what == "'goodbye' has two recordings: this one and goodbye.WAV"


def test_settings_that_do_not_fit_together_do_not_hide_what_is_wrong_with_the_prompts(folder: Folder) -> None:
    folder.change("config/numbers.yaml", "queue: express", "queue: expres")
    folder.change("prompts/de/texts.yaml", "Falsche Nummer gewählt.", "")
    assert [problem.what for problem in folder.check()] == [
        "number '710' leads to the unknown queue 'expres'",
        "'wrong_number' is empty: callers would hear silence",
    ]


def test_mistakes_of_settings_and_of_syntax_are_problems_too(folder: Folder) -> None:
    folder.change("config/site.yaml", "country: DE", "country: Germany")
    assert [problem.line for problem in folder.check()] == [
        folder.line("config/site.yaml", "country: Germany")
    ]
    folder.change("config/site.yaml", "country: Germany", "\tcountry: DE")
    assert folder.check()[0].what == "a tab is used for indentation"


# ── the SMS provider's part of the environment ───────────────────────────────────────────────────


def lacking(environ: dict[str, str], public_url: str) -> Callable[[str], list[ConfigError]]:
    return lambda name: problems(environ, public_url) if name == "twilio" else []


def test_the_simulator_needs_nothing(folder: Folder) -> None:
    assert check(folder.config, folder.prompts, provider=lacking({}, "http://127.0.0.1:8080")) == []


def test_what_twilio_lacks_is_named_and_is_no_error_of_the_files(folder: Folder) -> None:
    folder.change("config/sms.yaml", "provider: simulator", "provider: twilio")
    found = check(folder.config, folder.prompts, provider=lacking({}, "http://127.0.0.1:8080"))
    assert [(p.severity, p.file) for p in found] == [
        (Severity.WARNING, "IVR_PUBLIC_URL"),
        (Severity.WARNING, "TWILIO_ACCOUNT_SID"),
        (Severity.WARNING, "TWILIO_AUTH_TOKEN"),
    ]
    assert "no https address" in found[0].what
    assert "docs/twilio.md" in found[1].remedy


def test_a_wrong_account_is_named_and_a_right_one_is_in_order(folder: Folder) -> None:
    folder.change("config/sms.yaml", "provider: simulator", "provider: twilio")
    environ = {"TWILIO_ACCOUNT_SID": "SK1", "TWILIO_AUTH_TOKEN": "secret token"}
    [wrong] = check(folder.config, folder.prompts, provider=lacking(environ, "https://calls.example.org"))
    assert (wrong.severity, wrong.file) == (Severity.WARNING, "TWILIO_ACCOUNT_SID")
    environ["TWILIO_ACCOUNT_SID"] = "AC" + "0" * 32
    assert check(folder.config, folder.prompts, provider=lacking(environ, "https://calls.example.org")) == []
