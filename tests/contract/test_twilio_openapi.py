"""What the adapter asks for, checked against Twilio's own description of its API.

Prism makes a server of the description that refuses requests which do not fit; ``scripts/test contract``
installs it. The description is Twilio's ``twilio_api_v2010.json`` from https://github.com/twilio/twilio-oai;
``IVR_TWILIO_OPENAPI`` names it, else it is looked for in ``shared/contracts`` beside the checkout. Without
either of the two these tests are left out, and say so.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from ivr_engine.domain.records import replace
from ivr_engine.ports import Accepted, NotListed, OwnNumber
from ivr_engine.sms.twilio import Twilio
from scripts.stack import ports, prism
from tests.contract.fake_twilio import SID, TOKEN, account
from tests.contract.sms_worlds import PHONE, SENDER, message

STARTS_S = 60.0
"""Reading the description, on a machine that does other things too."""
EXAMPLE = "SM" + "a" * 32
"""The message of the description's examples."""


def served() -> tuple[str, Path]:
    """Prism and the description; the tests are left out without either."""
    description = prism.description()
    if not description.is_file():
        pytest.skip(f"no description of Twilio's API at {description}: name it in IVR_TWILIO_OPENAPI")
    command = prism.command()
    if command is None:
        pytest.skip("no Prism: scripts/test contract installs it with npm, or name it in IVR_PRISM")
    return command, description


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command, path = served()
    port = ports.free(socket.SOCK_STREAM)
    log = tmp_path_factory.mktemp("prism") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [command, "mock", "--host", "127.0.0.1", "--port", str(port), str(path)],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _until_it_listens(process, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STARTS_S)


def _until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTS_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"Prism does not listen: {log.read_text()}")


@pytest.fixture
async def twilio(server: str) -> AsyncIterator[Twilio]:
    it = Twilio(replace(account(server, send_s=30.0), list_s=30.0), numbers=lambda: (SENDER,))
    yield it
    await it.close()


STATUS_URL = "https://calls.example.org/webhooks/sms/twilio/status?message=m1"


async def test_the_server_refuses_what_does_not_fit(server: str) -> None:
    auth = {"Authorization": aiohttp.encode_basic_auth(SID, TOKEN)}
    url = f"{server}/2010-04-01/Accounts/{SID}/Messages.json"
    async with asyncio.timeout(STARTS_S), aiohttp.ClientSession() as http:
        async with http.post(url, data={"From": SENDER, "Body": "to nobody"}, headers=auth) as answer:
            assert answer.status == 422
        async with http.post(url, data={"To": PHONE}) as answer:
            assert answer.status == 401
        async with http.get(url, params={"PageSize": "2000"}, headers=auth) as answer:
            assert answer.status == 422


async def test_sending(twilio: Twilio) -> None:
    assert await twilio.send(message(text="Grüße, €5 für 😀"), STATUS_URL) == Accepted(EXAMPLE)


async def test_looking_up_by_likeness_and_by_id(twilio: Twilio) -> None:
    # The example's messages are of 2019 and none of them is ours.
    assert await twilio.find(replace(message(), created_at=datetime.now(UTC))) == NotListed()
    found = await twilio.find(replace(message(), provider_id=EXAMPLE))
    assert isinstance(found, Accepted)


async def test_numbers_of_the_account(twilio: Twilio) -> None:
    """The description's example answers whatever is asked for."""
    assert await twilio.own_number("+18089255327") == OwnNumber(texts=False, media=True)
    assert await twilio.own_number(SENDER) is None
    assert await twilio.own_number("99990") == OwnNumber(texts=True, media=False)
    assert await twilio.own_number("72000") is None


async def test_the_list_of_received_texts(twilio: Twilio) -> None:
    assert list(await twilio.received_since(datetime.now(UTC) - timedelta(hours=1))) == []
