"""Every setting of the wait-time SMS, for all and for one queue; and what ``check`` says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ivr_engine.domain.abuse import Cap, Caps
from ivr_engine.domain.consent import OfferRules
from ivr_engine.site.check import Severity
from ivr_engine.site.models import Site
from tests.flow.centre import site
from tests.unit.test_site_check import Folder

TEXT = {"en": "{brand}: answer", "de": "{brand}: antworten"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def made(general: dict[str, Any] | None = None, own: dict[str, Any] | None = None, **more: Any) -> Site:
    queue = {"label": "S", "wait_time_sms": own or {}} | more.pop("queue", {})
    return site(support=queue, wait_time_sms={"text": TEXT} | (general or {}), **more)


def rules(general: dict[str, Any] | None = None, own: dict[str, Any] | None = None) -> OfferRules:
    return made(general, own).rules_for("support")


OVERRIDDEN: list[tuple[dict[str, Any], dict[str, Any], str, object]] = [
    ({"maximum_plays": 3}, {}, "maximum_plays", 3),
    ({"maximum_plays": 3}, {"maximum_plays": 1}, "maximum_plays", 1),
    ({"maximum_plays": 3}, {"maximum_plays": 0}, "maximum_plays", None),
    ({}, {}, "maximum_plays", None),
    ({"wait_minimum": 60}, {}, "minimum_wait_s", 60),
    ({"wait_minimum": 60}, {"wait_minimum": 10}, "minimum_wait_s", 10),
    ({"wait_minimum": 60}, {"wait_minimum": 0}, "minimum_wait_s", None),
    ({"wait_maximum": 600}, {}, "maximum_wait_s", 600),
    ({"wait_maximum": 600}, {"wait_maximum": 900}, "maximum_wait_s", 900),
    ({"wait_maximum": 600}, {"wait_maximum": 0}, "maximum_wait_s", None),
    ({"non_domestic": True, "countries": ["AT"]}, {}, "non_domestic", True),
    ({"non_domestic": True, "countries": ["AT"]}, {"non_domestic": False}, "non_domestic", False),
    ({"countries": ["AT"]}, {"non_domestic": True}, "countries", frozenset({"AT"})),
    ({"countries": ["AT"]}, {"countries": ["CH"]}, "countries", frozenset({"CH"})),
    ({"countries": ["AT"]}, {"countries": []}, "countries", frozenset()),
    ({}, {}, "requires_over_capacity", True),
    ({}, {"requires_over_capacity": False}, "requires_over_capacity", False),
    ({"enabled": False}, {}, "enabled", False),
    ({}, {"enabled": False}, "enabled", False),
    ({}, {}, "enabled", True),
]


@pytest.mark.parametrize(("general", "own", "attribute", "value"), OVERRIDDEN)
def test_a_queue_keeps_to_what_is_set_for_all_or_sets_it_otherwise(
    general: dict[str, Any], own: dict[str, Any], attribute: str, value: object
) -> None:
    assert getattr(rules(general, own), attribute) == value


@pytest.mark.parametrize("off", [{"in_call_sms": {"enabled": False}}, {"queue": {"in_call_sms": False}}])
def test_without_in_call_sms_there_is_none_while_waiting(off: dict[str, Any]) -> None:
    assert not made(**off).rules_for("support").enabled


def test_the_interval_is_the_universal_one_or_the_queues() -> None:
    assert made(announcement_interval=40).interval("support") == 40
    assert made(announcement_interval=40, queue={"announcement_interval": 7}).interval("support") == 7


def test_texts_are_those_of_the_queue_language_by_language() -> None:
    own = made(own={"text": {"de": "{brand} Support: hier"}})
    assert own.sms_text("support", "de") == "Example Support: hier"
    assert own.sms_text("support", "en") == "Example: answer"


def test_caps_and_blocked_numbers() -> None:
    assert made().abuse.caps == Caps(per_number=20, per_prefix=100, last_digits=4), "not without protection"
    given = {"per_number": 0, "per_prefix": 7, "per_day": 9, "last_digits": 3, "blocked": ["+4917"]}
    assert made(abuse=given).abuse.caps == Caps(per_prefix=7, per_day=9, last_digits=3)
    assert made(abuse=given).rules_for("support").blocked == ("+4917",)
    assert [c.cap for c in made(abuse=given).abuse.caps.counters("+4915112345678")] == [Cap.PREFIX, Cap.DAY]


def test_tickets_of_abandoned_calls() -> None:
    assert made().abandoned_tickets_of("support") == "only_with_sms"
    assert made(abandoned_tickets="always").abandoned_tickets_of("support") == "always"
    own = made(abandoned_tickets="always", queue={"abandoned_tickets": "never"})
    assert own.abandoned_tickets_of("support") == "never"
    assert own.abandoned_tickets_of("gone") == "always"


def test_a_window_that_nobody_fits_in_is_refused(folder: Folder) -> None:
    folder.change("config/sms.yaml", "  maximum_plays: 3", "  wait_minimum: 300\n  wait_maximum: 300")
    (problem,) = folder.check()
    assert (problem.severity, "wait_minimum" in problem.what) == (Severity.ERROR, True)


@pytest.mark.parametrize("language", ["en", "de", "it", "es", "fr"])
@pytest.mark.parametrize("key", ["1", "2"])
def test_a_consent_message_without_its_keys_is_refused_in_any_language(
    folder: Folder, language: str, key: str
) -> None:
    folder.change(
        "config/queues.yaml", "    label: Express\n", "    label: Express\n    prompts: {consent: mine}\n"
    )
    for each in ("en", "de", "it", "es", "fr"):
        keys = {"1", "2"} - ({key} if each == language else set())
        text = f"mine: {' … '.join(sorted(keys))} … stop\n"
        file = folder.prompts / each / "texts.yaml"
        file.write_text(f"{file.read_text()}\n{text}")
    (problem,) = folder.check()
    assert problem.severity is Severity.ERROR
    assert f"does not name the key {key}" in problem.what
    assert problem.file.endswith(f"{language}/texts.yaml")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("We are sending a text message to the number you are", "It is", "that the SMS goes to the number"),
        ("Please look at it while you wait.", "", "to look at the SMS"),
    ],
)
def test_the_sent_message_tells_where_the_sms_goes_and_to_look_at_it(
    folder: Folder, old: str, new: str, what: str
) -> None:
    folder.change("prompts/en/texts.yaml", old, new)
    (problem,) = folder.check()
    assert (problem.severity, problem.line) == (
        Severity.WARNING,
        folder.line("prompts/en/texts.yaml", "sms_sent"),
    )
    assert what in problem.what


def test_a_queue_that_sends_abroad_lists_the_countries(folder: Folder) -> None:
    abroad = "    label: Express\n    wait_time_sms: {requires_over_capacity: no, non_domestic: yes}\n"
    folder.change("config/queues.yaml", "    label: Express\n", abroad)
    folder.change(
        "config/queues.yaml",
        "    announce_position: no\n    wait_time_sms:\n      requires_over_capacity: no\n",
        "    announce_position: no\n",
    )
    (problem,) = folder.check()
    assert (problem.severity, "no country is listed" in problem.what) == (Severity.WARNING, True)


def test_no_such_country_is_found_in_a_queue_too(folder: Folder) -> None:
    folder.change(
        "config/queues.yaml",
        "    announce_position: no\n    wait_time_sms:\n",
        "    announce_position: no\n    wait_time_sms:\n      countries: [AT, XX]\n",
    )
    (problem,) = folder.check()
    assert "there is no country 'XX'" in problem.what


SMS_OPTION = (
    "        2: {sms: {text: {en: '{brand}: x', de: '{brand}: x', it: '{brand}: x', es: '{brand}: x'}}}\n"
)


def test_the_sms_option_has_a_text_in_every_language(folder: Folder) -> None:
    folder.change("config/queues.yaml", "        2: {flow: message}\n", SMS_OPTION)
    (problem,) = folder.check()
    assert (problem.severity, "no text in language 'fr'" in problem.what) == (Severity.ERROR, True)


def test_the_sms_option_names_the_brand(folder: Folder) -> None:
    whole = SMS_OPTION.replace("}}}", ", fr: Bonjour}}}")
    folder.change("config/queues.yaml", "        2: {flow: message}\n", whole)
    problem = next(each for each in folder.check() if "over_capacity.keys.2" in each.what)
    assert (problem.severity, "does not name the brand" in problem.what) == (Severity.WARNING, True)


def test_nobody_is_sent_an_sms_unasked(folder: Folder) -> None:
    whole = SMS_OPTION.replace("}}}", ", fr: '{brand}: x'}}}").replace("        2:", "      forced:")
    keys = "      keys:\n        1: {wait: yes}\n        2: {flow: message}\n"
    folder.change("config/queues.yaml", keys, whole)
    (problem,) = folder.check()
    assert (problem.severity, "who was not asked" in problem.what) == (Severity.ERROR, True)
