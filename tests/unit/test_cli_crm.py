"""Contacts and CRMs by command, as people and scripts use them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivr_engine.cli.client import Api
from ivr_engine.domain.crm import Delivery, Kind
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused
from ivr_engine.settings import from_environ
from tests.unit import web_rig
from tests.unit.test_cli_commands import InLoop, run, words
from tests.unit.web_rig import CALLER, START

LETTER = Delivery(
    id="message-m1",
    adapter="hub",
    call_id="c1",
    event_id=7,
    kind=Kind.MESSAGE,
    subject="m1",
    at=START,
    attempts=1,
    error="it answered with status 422",
)


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With a ticket, and two dead letters."""
    made = web_rig.make(tmp_path)
    for name in [name for name in os.environ if name.startswith("IVR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IVR_API_TOKEN", web_rig.TOKEN)
    monkeypatch.setenv("COLUMNS", "300")
    with asyncio.Runner() as runner:
        runner.run(web_rig.fill(made))
        letters = [LETTER, replace(LETTER, id="second")]
        runner.run(made.store.run(lambda tx: tx.deliveries.add(letters)))
        transport = InLoop(runner, made)
        monkeypatch.setattr(Api, "here", lambda: Api(from_environ(os.environ), transport))
        yield
        runner.run(made.store.close())


def test_contacts_are_added_listed_and_chosen() -> None:
    added = json.loads(run("contacts", "add", "Ada", "--number", CALLER, "--language", "de", "--json"))
    assert (added["name"], added["numbers"], added["language"]) == ("Ada", [CALLER], "de")
    assert f"Ada {CALLER} de" in words(run("contacts"))
    assert "Ada" in words(run("contacts", "show", added["id"]))
    assert "no such contacts" in run("contacts", "--number", "+49301234567")
    assert "nobody's" in run("contacts", "of", "t1")
    assert "Ada" in words(run("contacts", "choose", "t1", added["id"]))
    assert "Eve" in words(run("contacts", "choose", "t1", "--new", "Eve"))
    assert "Eve" in words(run("contacts", "of", "t1"))
    with pytest.raises(Refused, match="no contact nobody"):
        run("contacts", "choose", "t1", "nobody")


def test_dead_letters_are_listed_replayed_and_dropped() -> None:
    assert "hub 0 - 2" in words(run("crm"))
    assert "message-m1 hub message" in words(run("crm", "dead"))
    assert "no dead letters" in run("crm", "dead", "--crm", "erp")
    assert run("crm", "drop", "hub", "second") == "dropped\n"
    assert run("crm", "replay", "message-m1", "--crm", "hub") == "1 is tried again\n"
    assert run("crm", "replay") == "0 are tried again\n"
    with pytest.raises(Refused, match="no dead letter second"):
        run("crm", "drop", "hub", "second")


def test_secrets_are_made_and_the_schema_is_printed() -> None:
    secret = run("crm", "secret").strip()
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != run("crm", "secret").strip()
    assert set(json.loads(run("crm", "schema"))["$defs"]) >= {"Body", "KnownContacts", "NumberAsked"}
