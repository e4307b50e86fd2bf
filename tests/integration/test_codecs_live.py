"""A caller whose phone knows one codec only hears the prompts in that one; before the answer, nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scripts.stack import Asterisk
from tests.integration.sip import Sipp, caller
from tests.integration.test_fallback import engine

CODECS = {
    "alaw": (8, "PCMA/8000"),
    "ulaw": (0, "PCMU/8000"),
    "g722": (9, "G722/8000"),
    "opus": (107, "opus/48000/2"),
}
LISTEN_PACKETS = 40
"""0.8 s."""


class Tape(asyncio.DatagramProtocol):
    """Every RTP packet: payload type and payload. ``variety``: so many different bytes are no silence."""

    def __init__(self, variety: int) -> None:
        self.heard: list[tuple[int, bytes]] = []
        self.enough = asyncio.Event()
        self._variety = variety
        self._spoken = 0

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        payload = data[12:]
        self.heard.append((data[1] & 0x7F, payload))
        self._spoken += len(set(payload)) > self._variety
        if self._spoken >= LISTEN_PACKETS:
            self.enough.set()


@asynccontextmanager
async def tape(variety: int) -> AsyncGenerator[tuple[Tape, int]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Tape(variety), local_addr=("127.0.0.1", 0)
    )
    try:
        yield protocol, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@pytest.mark.parametrize("codec", CODECS)
async def test_one_codec_is_enough(asterisk: Asterisk, tmp_path: Path, codec: str) -> None:
    payload_type, name = CODECS[codec]
    scenario = (
        caller(30)
        .replace("RTP/AVP 8 101", f"RTP/AVP {payload_type} 101")
        .replace("a=rtpmap:8 PCMA/8000", f"a=rtpmap:{payload_type} {name}")
    )
    sipp = Sipp(asterisk.sip_port, tmp_path)
    # Opus says in few bytes what it hears, and silence in fewer.
    async with (
        tape(12 if codec == "opus" else 40) as (heard, port),
        engine(asterisk) as one,
        sipp.plays(scenario, caller="+4915112345678", number="700", ear=port) as call,
    ):
        channel = (await one.seen("StasisStart"))["channel"]
        if one.took_at_once:
            assert channel["state"] == "Ring"
            assert not heard.heard, "no sound before the answer"
        await one.ask("POST", f"channels/{channel['id']}/answer")
        await one.ask("POST", f"channels/{channel['id']}/play", media="sound:ivr-fallback/wait")
        async with asyncio.timeout(10):
            await heard.enough.wait()  # speech, not silence
        await one.ask("DELETE", f"channels/{channel['id']}")
        await call.ended()
    assert {kind for kind, _ in heard.heard} == {payload_type}
    if codec != "opus":
        assert {len(payload) for _, payload in heard.heard} == {160}
