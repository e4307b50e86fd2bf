"""``check`` finds in flows what a caller would otherwise find."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from ivr_engine.site.check import Problem, Severity, check
from ivr_engine.site.loader import load

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("config", "prompts"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    return tmp_path


def problems(folder: Path, replace: str, by: str, file: str = "flows.yaml") -> list[Problem]:
    config = folder / "config" / file
    text = config.read_text()
    assert replace in text
    config.write_text(text.replace(replace, by, 1))
    return check(folder / "config", folder / "prompts")


@pytest.mark.parametrize(
    ("replace", "by", "line", "what", "remedy"),
    [
        ("then: main-menu", "then: main-manu", "then: main-manu", "unknown node 'main-manu'", "'main-menu'"),
        ("1: support", "1: suport", "1: suport", "leads to the unknown node 'suport'", "'support'"),
        ("start: welcome", "start: welcom", "start: welcom", "unknown node 'welcom'", "'welcome'"),
        ("0: operator", "0: oprator", "0: oprator", "unknown node 'oprator'", "'operator'"),
        ("name: sales", "name: sale", "name: sale", "unknown queue 'sale'", "'sales'"),
        ("schedule: office", "schedule: ofice", "schedule: ofice", "unknown schedule 'ofice'", "'office'"),
        ("1: en,", "1: xx,", "keys: {1: xx", "language 'xx' is not one", "languages"),
        ("prompt: sales_menu", "prompt: sale_menu", None, "no prompt 'sale_menu'", "sales_menu"),
        ('back: "*"', "back: 2", "back: 2", "the key '2' is used twice: as back and as keys", "own key"),
        ('back: "*"', "back: x", "back: x", "is not a key", "0 to 9"),
        (
            "        queue:\n          name: sales",
            "        {}",
            "      sales:",
            "does nothing",
            "exactly one",
        ),
        ("      sales:\n", "      sales:\n        hang_up: {}\n", "      sales:", "hang_up", "exactly one"),
        (
            "otherwise: operator",
            "otherwise: opening-hours",
            "main-menu:",
            "presses nothing goes round for ever: main-menu → opening-hours → main-menu",
            "lead on",
        ),
        (
            "          then: support",
            "          then: support\n\n      lost:\n        play: {prompt: closed, then: lost}",
            "lost:",
            "goes round for ever: lost → lost",
            "lead on",
        ),
    ],
)
def test_an_error(folder: Path, replace: str, by: str, line: str | None, what: str, remedy: str) -> None:
    found = [p for p in problems(folder, replace, by) if p.severity is Severity.ERROR and what in p.what]
    assert found, problems(folder, by, by)
    assert remedy in found[0].remedy
    if line is not None:
        assert found[0].line is not None
        assert line in (folder / "config/flows.yaml").read_text().splitlines()[found[0].line - 1]


@pytest.mark.parametrize(
    ("number", "what"),
    [
        ("+4930901820", None),
        ("+498912345678", "is not allowed to be dialled"),
        ("+499001234567", "is a premium number"),
        ("+4911000000", "is not a number that exists"),
        ("030901820", "is neither an international phone number"),
    ],
)
def test_where_a_transfer_may_go(folder: Path, number: str, what: str | None) -> None:
    (folder / "config/trunk.yaml").write_text("transfers: {trunk: outside, allow: [+4930]}\n")
    node = f"transfer:\n          number: {number}\n          otherwise: operator"
    found = problems(folder, "queue:\n          name: sales", node)
    errors = [p.what for p in found if p.severity is Severity.ERROR]
    assert errors == [] if what is None else what in errors[0]


@pytest.mark.parametrize(
    ("replace", "by", "what"),
    [
        ("https://crm", "ftp://crm", "is not an address"),
        ("/caller", "/caller?x={caller}", "is not an address"),
        ("{caller}", "{caler}", "nothing is known as '{caler}'"),
        ("a.b", "a..b", "is not a path"),
        ("IVR_CRM", "PATH", "is not the name of a variable"),
        ("gold: support", "gold: suport", "unknown node 'suport'"),
    ],
)
def test_what_a_dip_may_ask(folder: Path, replace: str, by: str, what: str) -> None:
    node = """dip:
          url: https://crm.example.org/caller
          parameters: {phone: "{caller}"}
          token_from: IVR_CRM
          branch: a.b
          branches: {gold: support}
          then: operator
          otherwise: operator"""
    assert problems(folder, "queue:\n          name: sales", node)[0].severity is Severity.WARNING
    found = problems(folder, replace, by)
    assert what in next(p.what for p in found if p.severity is Severity.ERROR)


def test_a_transfer_needs_a_trunk(folder: Path) -> None:
    node = "transfer: {number: +4930901820, otherwise: operator}"
    found = problems(folder, "queue:\n          name: sales", node)
    assert any("the site has no trunk" in p.what for p in found)


def test_a_key_given_twice_in_one_menu(folder: Path) -> None:
    found = problems(folder, "            9: open-now", "            2: open-now")
    assert "given twice" in found[0].what


def test_a_dead_end(folder: Path) -> None:
    flow = {"start": "a", "nodes": {"a": {"play": {"prompt": "closed", "then": "a"}}}}
    (folder / "config/flows.yaml").write_text(yaml.safe_dump({"flows": {"main": flow}}))
    errors = [p.what for p in check(folder / "config", folder / "prompts") if p.severity is Severity.ERROR]
    assert any("'a' is a dead end" in what for what in errors), errors


@pytest.mark.parametrize(
    ("replace", "by", "what"),
    [
        ("2: order-status\n", "", "nobody comes to the node 'order-status'"),
        ("9: open-now", "7: open-now", "'main_menu' does not name the key 7"),
        ("2: de, 3: it", "3: de, 2: it", "'choose_language' does not name the key 3"),
    ],
)
def test_a_warning(folder: Path, replace: str, by: str, what: str) -> None:
    found = problems(folder, replace, by)
    assert {p.severity for p in found} == {Severity.WARNING}, found
    assert any(what in p.what for p in found), found


def test_a_flow_no_number_leads_into(folder: Path) -> None:
    found = problems(folder, "    flow: main", "    queue: sales", "numbers.yaml")
    assert [p.what for p in found] == ["no number leads into the flow 'main'"]


@pytest.mark.parametrize(
    ("by", "what"),
    [
        ("{}", "number '100' leads nowhere"),
        ("{queue: sales, flow: main}", "number '100' leads to a queue and to a flow"),
        ("{flow: mian}", "number '100' leads to the unknown flow 'mian'"),
    ],
)
def test_where_a_number_leads(folder: Path, by: str, what: str) -> None:
    found = problems(folder, "100:\n    flow: main", f"100: {by}", "numbers.yaml")
    assert [p.what for p in found if p.severity is Severity.ERROR] == [what]


def test_a_queue_with_hours_needs_its_words(folder: Path) -> None:
    text = (folder / "prompts/en/texts.yaml").read_text()
    (folder / "prompts/en/texts.yaml").write_text(text.replace("closed: >-", "close: >-"))
    found = problems(folder, "    # schedule: office", "    schedule: office", "queues.yaml")
    assert [p.what for p in found] == ["language 'en' has no prompt 'closed'"]


def test_the_example_flow_is_what_the_readme_says() -> None:
    site = load(PROJECT / "config")
    menu = site.flows["main"].nodes["main-menu"].menu
    assert menu is not None
    assert menu.keys == {"1": "support", "2": "sales-menu", "3": "message", "9": "open-now"}


@pytest.mark.parametrize(
    ("node", "what"),
    [
        ("{then: operator}", None),
        ("{prompt: closed}", "then"),
        ("{then: operator, prompt: mesage}", "language 'en' has no prompt 'mesage'"),
        ("{then: operator, longest: 3600}", "longest"),
    ],
)
def test_what_a_voicemail_needs(folder: Path, node: str, what: str | None) -> None:
    before = "        play:\n          prompt: order_status\n          then: support"
    found = problems(folder, before, f"        voicemail: {node}", "flows.yaml")
    errors = [p.what for p in found if p.severity is Severity.ERROR]
    assert not errors if what is None else what in " ".join(errors)


APP = """app_link:
          queue: support
          link: https://app.example.com/?call={call}
          text:
            en: "{brand}: {link}"
            de: "{brand}: {link}"
            it: "{brand}: {link}"
            es: "{brand}: {link}"
            fr: "{brand}: {link}"
          then: main-menu
          otherwise: operator
"""
"""In place of the node that tells whoever pressed 2 in the menu for sales something."""

TOLD = "play:\n          prompt: order_status\n          then: support\n"


@pytest.mark.parametrize(
    ("replace", "by", "what"),
    [
        ("queue: support", "queue: suport", "node 'order-status': unknown queue 'suport'"),
        (
            '            fr: "{brand}: {link}"\n',
            "",
            "node 'order-status': the SMS has no text in language 'fr'",
        ),
        ('en: "{brand}: {link}"', 'en: "{brand}"', "node 'order-status': the SMS does not hold the link"),
        ("{call}", "{caller}", "node 'order-status': nothing is known as '{caller}'"),
        ("https:", "http:", "is not a link that can be sent"),
        ('de: "{brand}', 'de: "{brnad}', "unknown placeholder '{brnad}'"),
        ("then: main-menu", "then: order-status", "callers come here who pressed no key for the text"),
    ],
)
def test_what_a_text_with_a_link_needs(folder: Path, replace: str, by: str, what: str) -> None:
    assert [p for p in problems(folder, TOLD, APP) if p.severity is Severity.ERROR] == []
    config = folder / "config/flows.yaml"
    config.write_text(config.read_text().replace(APP, APP.replace(replace, by, 1)))
    found = check(folder / "config", folder / "prompts")
    assert any(what in p.what for p in found if p.severity is Severity.ERROR), found


@pytest.mark.parametrize(
    ("before", "is_consent"),
    [
        ("set: {variables: {a: b}, then: order-status}", True),
        ("hours: {schedule: office, open: order-status, closed: order-status}", True),
        ("play: {prompt: closed_now, then: order-status}", False),
    ],
)
def test_a_key_is_consent_as_long_as_nothing_else_is_said(
    folder: Path, before: str, is_consent: bool
) -> None:
    config = folder / "config/flows.yaml"
    text = config.read_text().replace("2: order-status", "2: before", 1).replace(TOLD, APP, 1)
    config.write_text(
        text.replace("      order-status:\n", f"      before:\n        {before}\n      order-status:\n", 1)
    )
    found = check(folder / "config", folder / "prompts")
    assert any("pressed no key" in p.what for p in found) is not is_consent, found


def test_a_text_that_costs_more_is_worth_a_warning(folder: Path) -> None:
    long = APP.replace('en: "{brand}: {link}"', f'en: "{"words " * 30}{{link}}"')
    found = [p.what for p in problems(folder, TOLD, long) if p.severity is Severity.WARNING]
    assert any("order-status" in what and "messages are sent and paid" in what for what in found), found
    assert any("does not name the brand" in what for what in found)
