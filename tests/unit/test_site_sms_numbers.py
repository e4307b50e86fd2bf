"""What ``check`` and a reload find in the numbers for texts, and what follows from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr_engine.errors import ConfigErrors
from ivr_engine.site.check import Severity, check
from ivr_engine.site.loader import load
from ivr_engine.site.sms_numbers import country_of, senders

ROOT = Path(__file__).parents[2]
SITE = """
brand: Example
country: DE
default_language: en
languages: [en]
numbers: {700: {queue: support}, 701: {queue: sales}}
agents: {anna: {label: Anna, queues: [support, sales]}}
wait_time_sms: {text: {en: "Example: hello"}}
"""
IN = "{label: A, direction: inbound}"
OUT = "{label: A, direction: outbound}"
ONE, OTHER = "+4915735990001", "+4930123456"


def written(
    folder: Path,
    numbers: str,
    *,
    support: str = "[]",
    sales: str = "[]",
    sender: str = "+4930901820",
    more: str = "",
) -> Path:
    (folder / "site.yaml").write_text(
        f"{SITE}sms: {{sender: {sender}}}\n"
        f"sms_numbers: {{{numbers}}}\n"
        f"queues:\n  support: {{label: Support, sms_numbers: {support}}}\n"
        f"  sales:\n    label: Sales\n    sms_numbers: {sales}\n{more}"
    )
    return folder


@pytest.mark.parametrize(
    ("numbers", "support", "sales", "sender", "what"),
    [
        (f"+49157: {OUT}", "[]", "[]", "", "nothing that texts can be sent from"),
        (f"+4900000000: {OUT}", "[]", "[]", "", "not a number that exists"),
        (f"+491573599000123: {OUT}", "[]", "[]", "", "not a number that exists"),
        (f"Example Shop 24: {OUT}", "[]", "[]", "", "nothing that texts can be sent from"),
        (f"24 7 Example: {OUT}", "[]", "[]", "", "has 12 characters"),
        (f"EXAMPLE: {IN}", "[]", "[]", "", "nobody can write to the name 'EXAMPLE'"),
        (f"72000: {OUT}", "[]", "[]", "", "72000 has no country"),
        (f"{ONE}: {{label: A, direction: both}}", "[]", "[]", "", "'both' is not known"),
        (f"{ONE}: {{label: A}}", "[]", "[]", "", "'direction' is missing"),
        (f"{ONE}: {{direction: inbound}}", "[]", "[]", "", "'label' is missing"),
        (f"{ONE}: {{label: A, direction: inbound, country: AT}}", "[]", "[]", "", "whose begin with +43"),
        (f"{ONE}: {{label: A, direction: inbound, country: XX}}", "[]", "[]", "", "no country 'XX'"),
        (f"{ONE}: {{label: A, direction: outbound, sends: no}}", "[]", "[]", "", "it does nothing"),
        (f"{ONE}: {{label: A, direction: outbound, rate: 0}}", "[]", "[]", "", "write more than 0"),
        (f"{ONE}: {{label: A, direction: outbound, capabilities: [media]}}", "[]", "[]", "", "no texts"),
        (f"{ONE}: {{label: A, direction: outbound, use: voice}}", "[]", "[]", "", "'voice' is not known"),
        (f"{ONE}: {OUT}", f"[{OTHER}]", "[]", "", f"unknown number '{OTHER}'"),
        (f"{ONE}: {OUT}", f"[{ONE}, {ONE}]", "[]", "", "names +4915735990001 twice"),
        (f"{ONE}: {IN}", f"[{ONE}]", f"[{ONE}]", "", "belongs to queue 'support' already"),
        (f"{ONE}: {{label: A, direction: inbound, sends: no}}", f"[{ONE}]", "[]", ONE, "does not send"),
        (f"{ONE}: {{label: A, direction: outbound, use: sms_channel}}", "[]", "[]", ONE, "the SMS channel"),
    ],
)  # fmt: skip
def test_an_error_keeps_the_site_from_being_loaded(
    tmp_path: Path, numbers: str, support: str, sales: str, sender: str, what: str
) -> None:
    with pytest.raises(ConfigErrors) as found:
        load(written(tmp_path, numbers, support=support, sales=sales, sender=sender or "+4930901820"))
    assert what in str(found.value)
    assert len(found.value.errors) == 1
    assert all(error.line and error.remedy for error in found.value.errors)


def test_the_place_of_an_error_is_the_number_in_the_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as found:
        load(written(tmp_path, f"{ONE}: {IN}", support=f"[{ONE}]", sales=f"\n      - {ONE}"))
    [error] = found.value.errors
    assert error.line == (tmp_path / "site.yaml").read_text().splitlines().index(f"      - {ONE}") + 1


@pytest.mark.parametrize(
    ("numbers", "support", "sender", "more", "what"),
    [
        (f"{ONE}: {OUT}", "[]", "", "", f"no queue uses the number {ONE}"),
        (f"{ONE}: {IN}", f"[{ONE}]", ONE, "", "an inbound number: all queues without one write from it"),
        (f"EXAMPLE: {OUT}", "[EXAMPLE]", "", "", "callers cannot answer its wait-time SMS"),
        (f"{ONE}: {OUT}", f"[{ONE}]", "", "in_call_sms: {media: yes}\n", "no number of queue 'support'"),
    ],
)  # fmt: skip
def test_a_warning_is_for_people_to_judge(
    tmp_path: Path, numbers: str, support: str, sender: str, more: str, what: str
) -> None:
    folder = written(tmp_path, numbers, support=support, sender=sender or "+4930901820", more=more)
    found = [p for p in check(folder, ROOT / "prompts") if "number" in str(p) or "names" in str(p)]
    assert [what in problem.what for problem in found].count(True) == 1
    assert {problem.severity for problem in found} == {Severity.WARNING}


def test_what_follows_from_the_numbers(tmp_path: Path) -> None:
    numbers = f"""
  {ONE}: {{label: A, direction: inbound, rate: 2.5}}, {OTHER}: {{label: B, direction: inbound, sends: no}},
  +18005551234: {OUT}, +436641234567: {{label: C, direction: outbound, use: sms_channel}},
  72000: {{label: D, direction: outbound, country: DE}}, Example: {OUT}"""
    listed = f"[Example, 72000, {OTHER}, {ONE}, +436641234567]"
    more = "sending: {second_provider: {provider: twilio, sender: +4930111222}}\n"
    site = load(written(tmp_path, numbers, support=listed, sales="[+18005551234, 72000]", more=more))
    named = site.queues["support"].sms_numbers
    assert [sender.number for sender in senders(site.sms_numbers, named)] == ["Example", "72000", ONE]
    assert [s.number for s in senders(site.sms_numbers, named, "sms_channel")] == ["+436641234567"]
    assert [site.rate_of(number) for number in (ONE, OTHER, "+18005551234", "72000", "+16175551212")] == [
        2.5,
        10.0,
        3.0,
        100.0,
        1.0,
    ]
    assert country_of(ONE, site.sms_numbers[ONE]) == "DE"
    assert set(site.receiving_numbers()) == {
        "+4930901820",
        ONE,
        OTHER,
        "+18005551234",
        "+436641234567",
        "72000",
        "+4930111222",
    }
