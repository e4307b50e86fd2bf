"""Reading the settings: every kind of mistake is reported with its file, its line and a way out."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr_engine.domain.consent import OfferRules
from ivr_engine.errors import ConfigError, ConfigErrors, Refused
from ivr_engine.site.loader import load, read_site
from ivr_engine.site.models import Site

EXAMPLE = Path(__file__).parents[2] / "config"

GOOD = """\
brand: Example Shop
country: DE
languages: [en, de]
default_language: en
sms:
  sender: +4915735990001
wait_time_sms:
  text:
    en: "{brand}: hello"
    de: "{brand}: hallo"
numbers:
  700:
    queue: support
queues:
  support:
    label: Support
agents:
  anna:
    label: Anna
    queues:
      - support
"""


def line_of(text: str, fragment: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), 1) if fragment in line)


def loaded(tmp_path: Path, text: str | bytes) -> Site:
    (tmp_path / "site.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load(tmp_path)


def mistakes(tmp_path: Path, text: str | bytes) -> tuple[ConfigError, ...]:
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, text)
    assert all(error.file.startswith(str(tmp_path)) for error in caught.value.errors)
    return caught.value.errors


def only_mistake(tmp_path: Path, text: str | bytes) -> ConfigError:
    (error,) = mistakes(tmp_path, text)
    return error


def test_the_example_is_what_the_journey_needs() -> None:
    site = load(EXAMPLE)
    assert site.numbers["700"].queue == "support"
    assert site.numbers["100"].flow == "main"
    assert (site.default_language, site.numbers["700"].language) == ("en", None)
    assert site.numbers["701"].language == "de"
    assert (site.interval("support"), site.first_announcement("support")) == (5, 5)
    assert site.queue("support").announce_position
    assert site.rules_for("support") == OfferRules(
        enabled=True, requires_over_capacity=False, maximum_plays=3, home_country="DE"
    )
    assert (site.interval("express"), site.first_announcement("express")) == (30, 0)
    assert not site.queue("express").announce_position
    assert site.queues_of() == {name: frozenset({"support", "sales", "express"}) for name in ("anna", "ben")}


@pytest.mark.parametrize(
    ("replace", "by", "at", "what", "remedy"),
    [
        ("brand:", "brnad:", "brnad:", "unknown setting 'brnad'", "did you mean 'brand'?"),
        (
            "    label: Support",
            "    lable: Support",
            "lable:",
            "'lable' in 'queues.support'",
            "mean 'label'?",
        ),
        (
            "  sender:",
            "  colour: red\n  sender:",
            "colour:",
            "'colour' in 'sms'",
            "known are: provider, sender",
        ),
        (
            "    label: Support\n",
            "    ring_time: 3\n",
            "support:",
            "'label' is missing",
            "below 'queues.support'",
        ),
        ("queue: support", "queue: suport", "queue: suport", "unknown queue 'suport'", "mean 'support'?"),
        (
            "      - support",
            "      - support\n      - sale",
            "- sale",
            "serves the unknown queue 'sale'",
            "support",
        ),
        (
            "  sender: +4915735990001",
            "  sender: 015735990001",
            "sender:",
            "'015735990001' is not an inter",
            "+49",
        ),
        (
            "  sender: +4915735990001",
            "  sender: +49157",
            "sender:",
            "'+49157' is not an international",
            "+49",
        ),
        (
            "  sender: +4915735990001",
            "  sender: +4912345678",
            "sender:",
            "is not a number that exists",
            "digits",
        ),
        ("  sender:", "  provider: twlio\n  sender:", "twlio", "'twlio' is not known", "mean 'twilio'?"),
        ("country: DE", "country: Germany", "country:", "'Germany' is not a country code", "DE"),
        ("country: DE", "country: XX", "country:", "there is no country 'XX'", "ISO 3166"),
        ("  text:", "  countries: [AT, QQ]\n  text:", "QQ", "there is no country 'QQ'", "ISO 3166"),
        ("[en, de]", "[en, german]", "languages:", "'german' is not a language", "en-GB"),
        ("[en, de]", "english", "languages:", "'english' must be a list", "[en, de]"),
        ("[en, de]", "[]", "languages:", "is empty", "at least 1"),
        (
            "default_language: en",
            "default_language: fr",
            "default_lang",
            "'fr' is not one of the site's",
            "languages",
        ),
        (
            "    queue: support",
            "    queue: support\n    language: fr",
            "language: fr",
            "'fr'",
            "known are: de, en",
        ),
        ('    de: "{brand}: hallo"\n', "", "  text:", "no text in language 'de'", "add 'de: …'"),
        ('"{brand}: hallo"', '"{marke}: hallo"', "{marke}", "unknown placeholder '{marke}'", "only {brand}"),
        ('"{brand}: hallo"', "", "    de:", "has no value", "text"),
        ('"{brand}: hallo"', '" "', "    de:", "is empty", "write a text"),
        ("  700:", "  7a0:", "7a0:", "'7a0' cannot be dialled", "digits"),
        (
            "  support:\n",
            "  Support Line:\n",
            "Support Line:",
            "'Support Line' is not a usable name",
            "small letters",
        ),
        (
            "    label: Support",
            "    label: Support\n    ring_time: soon",
            "soon",
            "'soon' is not a number",
            "30",
        ),
        (
            "    label: Support",
            "    label: Support\n    ring_time: 0",
            "ring_time",
            "is too small",
            "more than 0",
        ),
        (
            "    label: Support",
            "    label: Support\n    ring_time: .nan",
            "ring_time",
            "is not a number",
            "30",
        ),
        (
            "    label: Support",
            "    label: S\n    wrap_up: 90000",
            "wrap_up",
            "is too large",
            "86400 or less",
        ),
        (
            "    label: Support",
            "    label: S\n    in_call_sms: maybe",
            "maybe",
            "neither yes nor no",
            "yes or no",
        ),
        (
            "    queue: support",
            "    queue: support\n    priority: 1.5",
            "1.5",
            "is not a whole number",
            "like 3",
        ),
        (
            "  support:\n    label: Support",
            "  support: yes",
            "support: yes",
            "settings of its own",
            "indented",
        ),
        (
            "    label: Support",
            "    label: S\n    prompts: {consnt: mine}",
            "consnt",
            "replaces the unknown prompt 'consnt'",
            "mean 'consent'?",
        ),
    ],
)
def test_a_wrong_value_is_found_at_its_line(
    tmp_path: Path, replace: str, by: str, at: str, what: str, remedy: str
) -> None:
    assert GOOD.count(replace) == 1
    text = GOOD.replace(replace, by)
    line = line_of(text, at)
    (error,) = [error for error in mistakes(tmp_path, text) if error.line == line]
    assert what in error.what
    assert remedy in error.remedy
    assert error.file == str(tmp_path / "site.yaml")


@pytest.mark.parametrize(
    ("text", "line", "what", "remedy"),
    [
        ("a: 1\nb:\n\tc: 2\n", 3, "a tab is used", "blanks"),
        ("a: 1\nb: &x 2\n", 2, "the anchor &x", "write the value out"),
        ("a: 1\nb: *x\n", 2, "the alias *x", "write the value out"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "the tag tag:yaml.org", "delete it"),
        ("a: 1\n---\nb: 2\n", 2, "second document", "---"),
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice: first at", "keep one"),
        ("a:\n  b: 1\n  c: 2\n  b: 1\n", 4, "'b' is given twice", "keep one"),
        ("a: 1\nb: [1, 2\n", 3, "not valid YAML", "quotes"),
        ("a: 1\nb: {c: d: e}\n", 2, "not valid YAML", "quotes"),
        ("a: 1\n? [x]\n: 1\n", 2, "where a name must be", "quotes"),
        ("a:\n b: " + "[" * 30, 2, "nested deeper than 20", "brackets"),
        ("just words\n", 1, "holds no settings", "brand:"),
        ("- a\n- b\n", 1, "holds no settings", "brand:"),
        (b"a: 1\nb: caf\xe9\n", 2, "byte 0xe9 is not UTF-8", "save the file as UTF-8"),
        (b"a: 1\nb: \x00\n", 2, "U+0000", "delete it"),
        ("a: 1\nb: a\u2028b\n", 2, "U+2028", "delete it"),
        ("a: 1\nb: a\u202eb\n", 2, "U+202E", "delete it"),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused(
    tmp_path: Path, text: str | bytes, line: int, what: str, remedy: str
) -> None:
    error = mistakes(tmp_path, text)[0]
    assert what in error.what
    assert remedy in error.remedy
    assert error.line == line


def test_all_mistakes_are_reported_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        GOOD.replace("brand:", "brnad:")
        .replace("country: DE", "country: x")
        .replace("label: Anna", "label: []")
    )
    errors = mistakes(tmp_path, text)
    assert [error.line for error in errors] == [None, 1, 2, line_of(text, "label: []")]
    assert "'brand' is missing" in errors[0].what
    assert errors[0].file == str(tmp_path)


def test_the_same_key_in_two_files_names_both_places(tmp_path: Path) -> None:
    (tmp_path / "extra.yml").write_text("\n\nbrand: Other\n")
    error = only_mistake(tmp_path, GOOD)
    assert (error.file, error.line) == (str(tmp_path / "site.yaml"), 1)
    assert f"{tmp_path / 'extra.yml'}:3" in error.what


def test_settings_may_stand_in_any_file(tmp_path: Path) -> None:
    head, tail = GOOD.split("numbers:")
    (tmp_path / "a.yaml").write_text("\ufeff" + head)
    (tmp_path / "b.yml").write_text("numbers:" + tail)
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    (tmp_path / "notes.txt").write_text("not: [read")
    assert load(tmp_path).numbers["700"].queue == "support"


def test_values_mean_what_they_look_like(tmp_path: Path) -> None:
    text = GOOD.replace("  700:", "  0700:").replace(
        "label: Support", "label: 0x10\n    announce_position: off"
    )
    site = loaded(tmp_path, text.replace("brand: Example Shop", "brand: no"))
    assert (site.brand, site.sms.sender, set(site.numbers)) == ("no", "+4915735990001", {"0700"})
    assert (site.queue("support").label, site.queue("support").announce_position) == ("0x10", False)


def test_a_folder_without_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"holds no \.yaml file"):
        load(tmp_path)
    with pytest.raises(ConfigErrors, match="is not a folder"):
        load(tmp_path / "nowhere")


def test_what_is_not_a_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    errors = mistakes(tmp_path, GOOD)
    assert [error.what for error in errors] == ["cannot be read (No such file or directory)", "is not a file"]


@pytest.mark.parametrize(
    "bomb",
    [
        "brand: " + "x" * 1_000_001,
        "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{k}: &{k} [*a,*a,*a,*a]\n" for k in "bcdefgh"),
        "[" * 900_000,
        "{a: " * 200_000,
        "- " * 400_000,
        "? " * 400_000,
        "a: " + "'" * 900_001,
    ],
    ids=["large", "aliases", "brackets", "braces", "lists", "keys", "quotes"],
)
def test_bombs_are_refused_soon(tmp_path: Path, bomb: str) -> None:
    started = time.process_time()
    assert mistakes(tmp_path, bomb)
    assert time.process_time() - started < 5


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_config_errors(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "site.yaml").write_bytes(raw)
        with pytest.raises(ConfigErrors):
            load(Path(folder))


_WORDS = st.sampled_from(
    [
        "brand",
        "queues",
        "numbers",
        "700",
        "support",
        "wait_time_sms",
        "text",
        "en",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\t",
        "[",
        "]",
        "{",
        "}",
        ",",
        "#",
        "'",
        '"',
        "|",
        ">",
        "&a",
        "*a",
        "!x",
        "%",
        "?",
        "~",
        "---",
        "...",
        "<<",
        "{brand}",
        "\x85",
        "é",
    ]
)


@settings(max_examples=500)
@given(st.lists(_WORDS, max_size=60), st.integers(0, len(GOOD)))
def test_broken_settings_raise_nothing_but_config_errors(words: list[str], at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "site.yaml").write_text(GOOD[:at] + "".join(words) + GOOD[at:])
        errors = read_site(Path(folder)).errors
        assert all(error.what and error.remedy for error in errors)


@pytest.mark.parametrize(
    "switch",
    [
        "in_call_sms:\n  enabled: no\n",
        ("    label: Support", "    label: Support\n    in_call_sms: no"),
        ("wait_time_sms:", "wait_time_sms:\n  enabled: no"),
        ("    label: Support", "    label: Support\n    wait_time_sms:\n      enabled: no"),
    ],
)
def test_each_of_four_switches_turns_the_offer_off(tmp_path: Path, switch: str | tuple[str, str]) -> None:
    text = GOOD + switch if isinstance(switch, str) else GOOD.replace(*switch)
    assert loaded(tmp_path, GOOD).rules_for("support").enabled
    assert not loaded(tmp_path, text).rules_for("support").enabled


def test_a_queue_overrides_what_is_global(tmp_path: Path) -> None:
    own = """\
    label: Support
    announcement_interval: 7
    first_announcement: 0
    prompts:
      consent: consent-support
    wait_time_sms:
      text:
        de: "Hilfe von {brand}"
"""
    site = loaded(tmp_path, GOOD.replace("    label: Support\n", own))
    assert (site.interval("support"), site.first_announcement("support")) == (7, 0)
    assert site.prompt_name("support", "consent") == "consent-support"
    assert site.prompt_name("support", "goodbye") == "goodbye"
    assert site.sms_text("support", "de") == "Hilfe von Example Shop"
    assert site.sms_text("support", "en") == "Example Shop: hello"
    assert site.sms_text("support", "fr") == "Example Shop: hello"


def test_a_queue_that_is_gone_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="queue returns is not in the configuration"):
        load(EXAMPLE).rules_for("returns")
