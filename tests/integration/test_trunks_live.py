"""The examples of ``dialplan/trunks`` in a real Asterisk: they load, and let in whom they name alone."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dialplan.configure import TEMPLATES, Network
from ivr_engine.asterisk.ami import AmiSettings, TrunkWatch
from scripts.stack import Asterisk, Ports
from tests.integration.asterisk_now import nothing_left
from tests.integration.provider import Line, provider, provider_over_tcp
from tests.integration.sip import Sipp, caller, eventually, refused
from tests.integration.test_fallback import engine

CARRIER, REGISTRAR, PBX, STRANGER, NOBODY, PROXY = (f"127.0.0.{last}" for last in (2, 3, 4, 5, 6, 7))
"""All of them reach an Asterisk on the loopback address, each from an address of its own."""
TRUNKS = {
    "sipgate": "sipgate",
    "telekom": "telekom",
    "provider-tls": "provider",
    "twilio": "twilio",
    "carrier": "carrier",
    "pbx": "pbx",
}
"""Endpoints by the example's file."""
AMI_PASSWORD = "hush-hush"
OUTER = "203.0.113.10"
"""Our address as those outside see it, where one has to be."""


class Now:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class Lines:
    asterisk: Asterisk
    provider_port: int
    ami_port: int


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory, sounds: Path) -> Iterator[Lines]:
    """An Asterisk with every example included; what is not of this machine stays as it is written."""
    folder, port, ports = tmp_path_factory.mktemp("trunks"), Ports.free().sip, Ports.free()
    # Whoever has another address than ours is outside.
    nat = Network(external_address=OUTER, local_nets=("127.0.0.1/32",))
    with Asterisk.start(
        folder=folder, ports=ports, sounds_dir=sounds, ami_password=AMI_PASSWORD, network=nat
    ) as asterisk:
        etc = folder / "etc"
        here = {
            "192.0.2.10:5060": f"{CARRIER}:{port}",
            "192.0.2.10": CARRIER,
            "192.168.10.5": PBX,
            "sip:sipconnect.sipgate.de": f"sip:{REGISTRAR}:{port}",
            "tel.t-online.de": NOBODY,
            "551112345678.primary.companyflex.de": f"{PROXY}:{port}",
            "sip.example.com": NOBODY,
            "example.pstn.twilio.com": NOBODY,
            "/etc/asterisk/keys": "/mnt/etc/keys",
            "/etc/ssl/certs": "/mnt/etc/keys",
            "qualify_frequency = 30": "qualify_frequency = 1\nqualify_timeout = 0.5",
            "qualify_frequency = 60": "qualify_frequency = 1\nqualify_timeout = 0.5",
        }
        for name in TRUNKS:
            file = etc / f"trunks/{name}.conf"
            text = file.read_text()
            for written, meant in here.items():
                text = text.replace(written, meant)
            file.write_text(text)
        (etc / "trunks.conf").write_text("".join(f"#include trunks/{name}.conf\n" for name in TRUNKS))
        _certificate(etc / "keys")
        asterisk.restart()
        yield Lines(asterisk, port, ports.ami)


def _certificate(folder: Path) -> None:
    folder.mkdir()
    making = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=localhost"]
    files = ["-keyout", str(folder / "sip.key"), "-out", str(folder / "sip.crt")]
    subprocess.run([*making, *files], check=True, capture_output=True)


def test_every_example_is_tried_here_and_none_is_switched_on() -> None:
    assert {file.stem for file in (TEMPLATES / "trunks").glob("*.conf") if file.stem[:3] != "my-"} == {
        *TRUNKS
    }
    switched_on = [
        ln for ln in (TEMPLATES / "trunks.conf").read_text().splitlines() if ln[:1] not in ("", ";")
    ]
    assert not switched_on


@pytest.mark.parametrize("name", TRUNKS)
def test_the_example_is_loaded(lines: Lines, name: str) -> None:
    endpoint = lines.asterisk.cli(f"pjsip show endpoint {TRUNKS[name]}")
    assert "Unable to find" not in endpoint
    assert f"Aor:  {TRUNKS[name]}" in endpoint
    text = (TEMPLATES / f"trunks/{name}.conf").read_text()
    for kind, shown in (("registration", "registrations"), ("identify", "identifies"), ("auth", "auths")):
        assert (f"type = {kind}" in text) == (f" {TRUNKS[name]}" in lines.asterisk.cli(f"pjsip show {shown}"))


def test_asterisk_complains_about_none(lines: Lines) -> None:
    sources = ("config_options.c", "config_transport.c", "res_sorcery_config.c", "config.c", "location.c")
    complaints = [
        line
        for line in lines.asterisk.log().splitlines()
        if ("ERROR" in line or "WARNING" in line) and any(source in line for source in sources)
    ]
    assert not complaints


@pytest.mark.parametrize(("address", "transport"), [(CARRIER, "u1"), (PBX, "t1")], ids=["udp", "tcp"])
async def test_who_is_known_by_address_calls_in(
    lines: Lines, tmp_path: Path, address: str, transport: str
) -> None:
    sipp = Sipp(lines.asterisk.sip_port, tmp_path, address, transport)
    async with (
        engine(lines.asterisk) as one,
        sipp.plays(caller(30), caller="+4915112345678", number="700", ear=9) as call,
    ):
        start = await one.seen("StasisStart")
        channel = start["channel"]["id"]
        await one.ask("POST", f"channels/{channel}/answer")
        await one.ask("DELETE", f"channels/{channel}")
        await call.ended()
    name = "carrier" if address == CARRIER else "pbx"
    assert start["channel"]["name"].startswith(f"PJSIP/{name}-")
    assert start["channel"]["caller"]["number"] == "+4915112345678"
    assert start["args"] == ["700"]


@pytest.mark.parametrize("transport", ["u1", "t1"])
@pytest.mark.parametrize("name", ["+4915112345678", "anonymous", "carrier", "sipgate", "ivr-trunk"])
async def test_a_stranger_gets_nothing(lines: Lines, tmp_path: Path, transport: str, name: str) -> None:
    """Nor by the name of a trunk."""
    async with engine(lines.asterisk) as one:
        sipp = Sipp(lines.asterisk.sip_port, tmp_path, STRANGER, transport)
        await sipp.play(refused(401), caller=name, number="700", ear=9)
        await nothing_left(lines.asterisk)
    assert not one.events


async def test_a_provider_we_register_at_calls_in(lines: Lines, tmp_path: Path) -> None:
    """It is known by the secret in the address we registered, wherever it calls from."""
    async with provider(REGISTRAR, lines.provider_port) as registrar:
        await asyncio.to_thread(lines.asterisk.cli, "pjsip send register sipgate")
        async with asyncio.timeout(30):
            contact = await registrar.registered
        assert ";line=" in contact
        assert f"@{OUTER}:" in contact
        line = contact.partition(";line=")[2].partition(";")[0]
        inward = caller(30).replace("INVITE sip:[number]@[remote_ip]:[remote_port]", f"INVITE {contact}")
        async with engine(lines.asterisk) as one:
            forged = refused(401).replace("[remote_port] SIP", f"[remote_port];line={'a' * len(line)} SIP")
            sipp = Sipp(lines.asterisk.sip_port, tmp_path, REGISTRAR)
            await sipp.play(forged, caller="+4915112345678", number="700", ear=9)
            assert not one.events
            async with sipp.plays(inward, caller="+4915112345678", number="700", ear=9) as call:
                start = await one.seen("StasisStart")
                await one.ask("POST", f"channels/{start['channel']['id']}/answer")
                await one.ask("DELETE", f"channels/{start['channel']['id']}")
                await call.ended()
    assert start["channel"]["name"].startswith("PJSIP/sipgate-")
    assert start["args"] == ["700"]


async def test_a_provider_behind_a_proxy_calls_in_on_the_line_we_opened(lines: Lines) -> None:
    """``telekom``: registered over TCP; nobody else could connect to where it came from."""
    async with provider_over_tcp(PROXY, lines.provider_port) as line, engine(lines.asterisk) as one:
        await asyncio.to_thread(lines.asterisk.cli, "pjsip send register telekom")
        async with asyncio.timeout(30):
            assert ";line=" in await line.registered
        line.call("+4930901820")
        start = await one.seen("StasisStart")
        await one.ask("DELETE", f"channels/{start['channel']['id']}")
        await nothing_left(lines.asterisk)
        await eventually(lambda: _said(line, "SIP/2.0 603"))
    assert start["channel"]["name"].startswith("PJSIP/telekom-")
    assert start["args"] == ["+4930901820"]


async def _said(line: Line, first: str) -> bool:
    return any(said.startswith(first) for said in line.said)


async def test_behind_nat_those_outside_are_told_our_outer_address(lines: Lines, tmp_path: Path) -> None:
    """For signalling and for sound."""
    heard = tmp_path / "messages"
    sipp = Sipp(
        lines.asterisk.sip_port, tmp_path, CARRIER, options=("-trace_msg", "-message_file", str(heard))
    )
    async with (
        engine(lines.asterisk) as one,
        sipp.plays(caller(30), caller="+4915112345678", number="700", ear=9) as call,
    ):
        channel = (await one.seen("StasisStart"))["channel"]["id"]
        await one.ask("POST", f"channels/{channel}/answer")
        await one.ask("DELETE", f"channels/{channel}")
        await call.ended()
    assert f"c=IN IP4 {OUTER}" in heard.read_text()
    assert f"<sip:{OUTER}:" in heard.read_text()


async def test_the_engine_sees_whether_a_trunk_is_up(lines: Lines) -> None:
    """The user of manager.conf may do just that, and nothing else."""
    settings = AmiSettings(
        port=lines.ami_port, user="ivr", password=AMI_PASSWORD, trunks=("sipgate", "carrier"), interval_s=0.5
    )
    watch = TrunkWatch(settings, Now())

    async def states(sipgate: str, carrier: str) -> None:
        async def so() -> bool:
            return [str(trunk.state) for trunk in watch.trunks()] == [sipgate, carrier]

        await eventually(so, 30)

    async with (
        provider(REGISTRAR, lines.provider_port) as registrar,
        asyncio.TaskGroup() as tasks,
    ):
        watching = tasks.create_task(watch.run())
        async with provider(CARRIER, lines.provider_port):
            await asyncio.to_thread(lines.asterisk.cli, "pjsip send register sipgate")
            await states("up", "up")
        await states("up", "down")
        async with provider(CARRIER, lines.provider_port):
            await states("up", "up")
            registrar.refuses = True
            await asyncio.to_thread(lines.asterisk.cli, "pjsip send register sipgate")
            await states("down", "up")
        watching.cancel()
    for action in ("Command\r\nCommand: core show version", "Originate\r\nChannel: Local/s@ivr-in"):
        await _denied(lines.ami_port, f"Action: {action}\r\n\r\n")


async def _denied(port: int, action: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"Action: Login\r\nUsername: ivr\r\nSecret: {AMI_PASSWORD}\r\n\r\n{action}".encode())
    try:
        async with asyncio.timeout(20):
            await reader.readuntil(b"Authentication accepted\r\n\r\n")
            answer = await reader.readuntil(b"Message: ")
            assert b"Response: Error" in answer
            assert await reader.readline() == b"Permission denied\r\n"
    finally:
        writer.close()
