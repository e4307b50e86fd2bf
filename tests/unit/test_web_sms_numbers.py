"""Numbers of ours, over HTTP and by command: what is shown, and how one is verified."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ivr_engine.cli
from ivr_engine.cli.client import Api
from ivr_engine.domain.records import replace
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.messaging.number_codes import NumberCodes
from ivr_engine.messaging.own_numbers import OwnNumbers
from ivr_engine.settings import from_environ
from ivr_engine.sim.sms import SimSms
from ivr_engine.site.models import Site
from ivr_engine.web.app import create_app
from ivr_engine.web.sms_numbers import sms_numbers_check, sms_numbers_router
from tests.unit import web_rig
from tests.unit.test_cli_commands import InLoop
from tests.unit.web_rig import SITE, TOKEN, Rig

GLOBAL, BERLIN = "+4930901820", "+4930123456"
LISTED = Site.model_validate(
    {
        **SITE.model_dump(),
        "sms_numbers": {
            BERLIN: {"label": "Berlin", "direction": "inbound", "rate": 2},
            "EXAMPLE": {"label": "Name", "direction": "outbound"},
        },
        "queues": {"support": {"label": "Support", "sms_numbers": [BERLIN]}, "sales": {"label": "Sales"}},
    }
)


@dataclass
class Numbers:
    rig: Rig
    company: SimSms

    def code(self) -> str:
        found = re.search(r"\d{6}", self.company.ledger[-1].message.text)
        assert found is not None
        return found[0]


def made(folder: Path, *, site: Site = LISTED) -> Numbers:
    rig = web_rig.make(folder)
    company = SimSms(rig.clock)
    company.strangers = {BERLIN}
    codes = NumberCodes(
        store=rig.store, provider=company, clock=rig.clock, site=lambda: site, public_url="http://engine"
    )
    own = OwnNumbers(store=rig.store, providers=[company], clock=rig.clock, site=lambda: site)
    services = replace(rig.services, site=lambda: site, more=(sms_numbers_router(codes, own.look),))
    return Numbers(replace(rig, services=services, app=create_app(services)), company)


async def test_every_number_is_shown_with_what_is_known_of_it(tmp_path: Path) -> None:
    numbers = made(tmp_path)
    await web_rig.fill(numbers.rig)
    items = (await numbers.rig.post("/api/v1/sms/numbers/look")).json()["items"]
    assert [item["number"] for item in items] == [GLOBAL, BERLIN, "EXAMPLE"]
    of_all, berlin, name = items
    assert (of_all["for_all"], of_all["label"], of_all["verified"]) == (True, None, True)
    assert (of_all["verified_how"], of_all["verified_by"]) == ("provider", "simulator")
    assert (of_all["sent"], of_all["received"]) != (0, 0)
    assert (berlin["queues"], berlin["rate"], berlin["kind"]) == (["support"], 2.0, "long_code")
    assert (berlin["country"], berlin["verified"]) == ("DE", False)
    assert berlin["trouble"] == "it is not among the account's numbers"
    assert "sms-numbers verify" in berlin["remedy"]
    assert (name["kind"], name["rate"], name["country"]) == ("alphanumeric", 10.0, None)


async def test_a_number_is_verified_by_a_code(tmp_path: Path) -> None:
    numbers = made(tmp_path)
    rig, one = numbers.rig, f"/api/v1/sms/numbers/{BERLIN}"
    check = sms_numbers_check(rig.store, lambda: LISTED)
    with pytest.raises(ExternalError, match="sms-numbers verify"):
        await check.probe()
    assert (await rig.post(f"{one}/code", body={"by": "anna"})).json()["code_until"] is not None
    answer = await rig.post(f"{one}/confirm", 409, {"code": "abc", "by": "anna"})
    assert "6 digits" in answer.json()["error"]["message"]
    done = (await rig.post(f"{one}/confirm", body={"code": numbers.code(), "by": "anna"})).json()
    assert (done["verified"], done["verified_by"], done["verified_how"]) == (True, "anna", "code")
    assert (done["remedy"], done["code_until"]) == (None, None)
    await check.probe()
    assert await rig.get(one) is not None


async def test_too_many_codes_and_unknown_numbers_are_refused(tmp_path: Path) -> None:
    rig = made(tmp_path).rig
    await rig.post(f"/api/v1/sms/numbers/{BERLIN}/code", body={})
    await rig.post(f"/api/v1/sms/numbers/{BERLIN}/code", 409, {})
    await rig.post("/api/v1/sms/numbers/+4930999999/code", 404, {})
    await rig.get("/api/v1/sms/numbers/+4930999999", 404)
    await rig.post(f"/api/v1/sms/numbers/{BERLIN}/declare", 409, {})
    await rig.post(f"/api/v1/sms/numbers/{BERLIN}/confirm", 422, {"by": "anna"})
    assert (await rig.post("/api/v1/sms/numbers/EXAMPLE/declare", body={})).json()[
        "verified_how"
    ] == "declared"
    async with rig.client(token=False) as client:
        assert (await client.get("/api/v1/sms/numbers")).status_code == 401


async def test_health_tells_it_and_no_number_to_strangers(tmp_path: Path) -> None:
    numbers = made(tmp_path)
    check = sms_numbers_check(numbers.rig.store, lambda: LISTED)
    async with web_rig.make(tmp_path, checks=(check,)).client(token=False) as client:
        answer = await client.get("/health")
    assert answer.status_code == 200
    assert "GET /api/v1/sms/numbers" in answer.text
    assert BERLIN not in answer.text


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Numbers]:
    numbers = made(tmp_path)
    for name in [name for name in os.environ if name.startswith("IVR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IVR_STATE", str(tmp_path))
    monkeypatch.setenv("IVR_API_TOKEN", TOKEN)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr("getpass.getuser", lambda: "carla")
    with asyncio.Runner() as runner:
        transport = InLoop(runner, numbers.rig)
        monkeypatch.setattr(Api, "here", lambda: Api(from_environ(os.environ), transport))
        yield numbers
        runner.run(numbers.rig.store.close())


def run(*arguments: str) -> str:
    result = CliRunner().invoke(ivr_engine.cli.app, ["sms-numbers", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_number_is_verified_by_command(commands: Numbers) -> None:
    assert BERLIN in run("look")
    assert "code until" in run("verify", BERLIN)
    with pytest.raises(Refused, match="6 digits"):
        run("confirm", BERLIN, "12")
    assert "carla" in run("confirm", BERLIN, commands.code())
    assert "declared" in run("declare", "EXAMPLE")
    listed = [line for line in run("list").splitlines() if BERLIN in line]
    assert "support" in listed[0]
    assert '"verified_how": "code"' in run("show", BERLIN, "--json")
