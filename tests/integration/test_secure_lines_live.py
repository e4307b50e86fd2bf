"""Calls over TLS and SRTP between two real Asterisks, over the examples ``provider-tls`` (we register) and
``twilio`` (known by address): in, and out again by a transfer; and what is told of a line that goes."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ivr_engine.sipp import process as sipp
from ivr_engine.sipp.ears import MUSIC
from scripts.stack import Asterisk, Ports
from scripts.stack.fallback import fallback_sounds
from tests.integration import telephone_company as company
from tests.integration.asterisk_now import nothing_left
from tests.integration.engine import House, example_site, free_tcp_port, with_queue
from tests.integration.sip import Sipp, refused
from tests.integration.telephone_company import ADDRESS, PHONE, Company
from tests.sipp.api import Item, api_of, until
from tests.sipp.scenarios import file
from tests.sipp.stage import AgentPhone, Stage, both_hear_each_other, library_of

REGISTERED, KNOWN, IN_THE_CLEAR = "7100", "7200", "7300"
SORRY = "7201"
OUTSIDE = "+4930901820"
AMI_PASSWORD = "hush-hush"
STRANGER = "127.0.0.6"


@dataclass(frozen=True)
class Lines:
    house: House
    company: Company
    keys: Path
    tls: int
    impostor: int


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory, sounds: Path) -> Iterator[Lines]:
    folder = tmp_path_factory.mktemp("lines")
    keys, ports, impostor = company.make_keys(folder / "keys"), Ports.free(), free_tcp_port()
    with (
        company.company(folder / "company", keys, ports.sip + 1) as provider,
        Asterisk.start(
            folder=folder / "centre", ports=ports, sounds_dir=sounds, ami_password=AMI_PASSWORD
        ) as asterisk,
    ):
        _switch_on(folder / "centre/etc", keys, provider.tls, impostor)
        asterisk.restart()
        variables = {
            "IVR_TRUNKS": "provider,twilio,impostor",
            "IVR_AMI_PORT": str(ports.ami),
            "IVR_AMI_PASSWORD": AMI_PASSWORD,
        }
        with House(asterisk, folder / "house", _site(), variables=variables) as house:
            yield Lines(house, provider, keys, ports.sip + 1, impostor)


def _switch_on(etc: Path, keys: Path, tls: int, impostor: int) -> None:
    """As an admin would, with a second ``provider`` whose server has a certificate of nobody we trust."""
    company.give_keys(keys, etc)
    here = {
        "/etc/asterisk/keys": "/mnt/etc/keys",
        "ca_list_path = /etc/ssl/certs": "ca_list_file = /mnt/etc/keys/ca.crt",
        "qualify_frequency = 60": "qualify_frequency = 1\nqualify_timeout = 0.5",
        "retry_interval = 30": "retry_interval = 1",
        "password = change-me": f"password = {company.PASSWORD}",
        "sip:example.pstn.twilio.com": f"sip:{ADDRESS}:{tls}",
        "match = 54.172.60.0/30": f"match = {ADDRESS}",
    }
    example = (etc / "trunks/provider-tls.conf").read_text()
    written = {
        "provider": (example, tls),
        "impostor": (example.replace("provider", "impostor"), impostor),
        "twilio": ((etc / "trunks/twilio.conf").read_text(), 0),
    }
    for name, (text, port) in written.items():
        for example_value, value in {**here, "sip:sip.example.com": f"sip:{ADDRESS}:{port}"}.items():
            text = text.replace(example_value, value)
        (etc / f"trunks/my-{name}.conf").write_text(text)
    (etc / "trunks.conf").write_text("".join(f"#include trunks/my-{name}.conf\n" for name in written))


def _site() -> dict[str, Any]:
    site = example_site()
    with_queue(site, "lines", REGISTERED, first_announcement=0, announce_position="no")
    site["transfers"] = {"trunk": "provider", "allow": ["+4930"]}
    for number, flow, outside, ring_s in ((KNOWN, "out", OUTSIDE, 15), (SORRY, "sorry", company.SORRY, 3)):
        transfer = {"number": outside, "ring_time": ring_s, "otherwise": "bye"}
        site["flows"][flow] = {
            "start": "out",
            "nodes": {"out": {"transfer": transfer}, "bye": {"hang_up": {}}},
        }
        site["numbers"][number] = {"flow": flow}
    site["numbers"][IN_THE_CLEAR] = {"queue": "lines"}
    return site


@asynccontextmanager
async def staged(lines: Lines, folder: Path, number: str) -> AsyncGenerator[Stage]:
    house = lines.house
    others = {"fallback/goodbye": fallback_sounds() / "goodbye.alaw"}
    library = await library_of(house.config, house.prompts, house.sounds, others)
    async with api_of(house.url, house.token) as api:
        server = sipp.Server(lines.company.asterisk.sip_port)
        yield Stage(server=server, api=api, library=library, folder=folder, number=number, agents=())
        await nothing_left(house.asterisk)


@asynccontextmanager
async def phone_outside(stage: Stage) -> AsyncGenerator[AgentPhone]:
    ringing = sipp.phone(
        file("agent-answers"),
        stage.server,
        account=PHONE,
        password=company.PHONE_PASSWORD,
        library=stage.library,
        folder=stage.folder,
    )
    async with ringing as process:
        yield AgentPhone(stage, process, PHONE)


async def test_a_call_over_the_line_we_registered(lines: Lines, tmp_path: Path) -> None:
    await _up(lines, provider=True)
    async with staged(lines, tmp_path, REGISTERED) as stage, stage.caller("led") as caller:
        await caller.hears("consent")
        await caller.presses("1")
        await caller.hears("sms_sent")
        assert (await caller.call_is(wait_time_sms_status="allowed"))["caller"] == caller.number
        [channel] = await _channels(lines)
        assert channel["name"].startswith("PJSIP/provider-")
        assert await _encrypted(lines, channel)
        await caller.hangs_up()


async def test_in_by_address_and_out_by_registration(lines: Lines, tmp_path: Path) -> None:
    async with (
        staged(lines, tmp_path, KNOWN) as stage,
        phone_outside(stage) as outside,
        stage.caller("led") as caller,
    ):
        await outside.answers()
        await caller.call_is(state="transferred")
        await both_hear_each_other(caller, outside)
        channels = {channel["name"].partition("-")[0]: channel for channel in await _channels(lines)}
        assert channels.keys() == {"PJSIP/twilio", "PJSIP/provider"}
        assert all([await _encrypted(lines, channel) for channel in channels.values()])
        await outside.hangs_up()
        await caller.is_hung_up_on()


async def test_words_before_the_answer_are_no_answer(lines: Lines, tmp_path: Path) -> None:
    """Early media of the other side: whoever is transferred hears music, and goes on in the flow."""
    async with staged(lines, tmp_path, SORRY) as stage, stage.caller("led") as caller:
        await caller.hears(MUSIC)
        await caller.hears("goodbye", within=20)
        await caller.is_hung_up_on()
        events = [event["kind"] for event in await stage.api.timeline((await caller.call_is())["id"])]
        assert "transfer_failed" in events
        assert "fallback/goodbye" not in caller.ear.heard()


async def test_a_server_that_cannot_prove_its_name_is_told_nothing(lines: Lines) -> None:
    """The password would be the least of it."""
    told: asyncio.Queue[bytes] = asyncio.Queue()
    signed_by_itself = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    signed_by_itself.load_cert_chain(lines.keys / "stranger.crt", lines.keys / "stranger.key")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            told.put_nowait(await reader.read(1))
        writer.transport.abort()

    async with await asyncio.start_server(serve, ADDRESS, lines.impostor, ssl=signed_by_itself):
        await asyncio.to_thread(lines.house.asterisk.cli, "pjsip send register impostor")
        async with asyncio.timeout(30):
            assert await told.get() == b""
    await _up(lines, impostor=False)


async def test_a_call_without_encryption_is_refused(lines: Lines, tmp_path: Path) -> None:
    people = Sipp(lines.company.asterisk.sip_port, tmp_path)
    await people.play(refused(488), caller="+4915112345678", number=IN_THE_CLEAR, ear=9)
    assert not await _channels(lines)


async def test_a_stranger_with_tls_gets_nothing(lines: Lines) -> None:
    """Nor one who was let in by name: nobody has a name here."""
    trusting = ssl.create_default_context(cafile=str(lines.keys / "ca.crt"))
    for name in ("+4915112345678", "anonymous", "twilio", "provider"):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", lines.tls, ssl=trusting, local_addr=(STRANGER, 0)
        )
        invite = (
            f"INVITE sip:{REGISTERED}@127.0.0.1:{lines.tls};transport=tls SIP/2.0",
            f"Via: SIP/2.0/TLS {STRANGER}:9;branch=z9hG4bK{name.strip('+')}",
            f"From: <sip:{name}@{ADDRESS}>;tag=1",
            f"To: <sip:{REGISTERED}@127.0.0.1>",
            f"Call-ID: stranger-{name}",
            "CSeq: 1 INVITE",
            "Max-Forwards: 70",
            f"Contact: <sip:{name}@{STRANGER};transport=tls>",
            "Content-Length: 0\r\n\r\n",
        )
        writer.write("\r\n".join(invite).encode())
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"SIP/2.0 401 ")
        # Asterisk would be waited for to say goodbye, and it does not.
        writer.transport.abort()
    assert not await _channels(lines)


async def test_a_line_that_goes_is_told_and_so_is_its_return(lines: Lines) -> None:
    await _up(lines, provider=True, twilio=True)
    await asyncio.to_thread(lines.company.asterisk.kill)
    await _up(lines, provider=False, twilio=False)
    async with api_of(lines.house.url, lines.house.token) as api:
        trunks = {trunk["name"]: trunk for trunk in (await api.get("trunks"))["items"]}
        assert trunks["provider"]["why"]
    await asyncio.to_thread(lines.company.asterisk.restart)
    await _up(lines, provider=True, twilio=True)

    async def told() -> list[Item]:
        return [json.loads(line) for line in lines.house.log().splitlines() if line.startswith("{")]

    async def last_two() -> dict[str, list[str]]:
        logged = await told()
        return {
            name: [one["event"] for one in logged if one.get("trunk") == name][-2:]
            for name in ("provider", "twilio")
        }

    down_and_up = ["trunk.down", "trunk.up"]
    # The log is written a moment later.
    await until(
        last_two,
        lambda seen: all(events == down_and_up for events in seen.values()),
        what="down and up again",
    )
    assert all(one["level"] == "error" for one in await told() if one["event"] == "trunk.down")


async def _up(lines: Lines, **wanted: bool) -> None:
    """The metrics say so."""
    house = lines.house

    async def metrics() -> dict[str, bool]:
        headers = {"Authorization": f"Bearer {house.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{house.url}/metrics") as answer,
        ):
            text = await answer.text()
        return {name: f'ivr_trunk_up{{trunk="{name}"}} 1.0' in text for name in wanted}

    await until(metrics, lambda seen: seen == wanted, what=f"trunks are {wanted}", within=60)


async def _channels(lines: Lines) -> list[Item]:
    return await _ask(lines, "channels")


async def _encrypted(lines: Lines, channel: Item) -> bool:
    secure = await _ask(lines, f"channels/{channel['id']}/variable", variable="CHANNEL(rtp,secure,audio)")
    return secure["value"] == "1"


async def _ask(lines: Lines, path: str, **query: str) -> Any:
    asterisk = lines.house.asterisk
    credentials = aiohttp.encode_basic_auth(asterisk.ari_user, asterisk.ari_password)
    async with (
        aiohttp.ClientSession(headers={"Authorization": credentials}) as session,
        session.get(f"{asterisk.ari_url}/{path}", params=query) as answer,
    ):
        return await answer.json()
