"""An agent's phone played by SIPp, without an Asterisk: the test registers it and calls it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import cast

from ivr_engine.sipp import process
from ivr_engine.sipp.process import LOOPBACK, Server
from ivr_engine.sipp.sounds import Library
from tests.sipp.scenarios import file

ACCOUNT = "anna"
OF_ANOTHER_CALL = "BYE sip:ben@127.0.0.1 SIP/2.0"


async def test_what_is_meant_for_who_had_the_port_before_does_not_move_a_phone_s_ear(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    transport, registrar = await loop.create_datagram_endpoint(Registrar, local_addr=(LOOPBACK, 0))
    port: int = transport.get_extra_info("sockname")[1]
    phone = process.phone(
        file("agent-answers"),
        Server(port),
        account=ACCOUNT,
        password="secret",
        library=Library({}),
        folder=tmp_path,
    )
    with closing(transport):
        async with asyncio.timeout(20), phone as ringing:
            invite = request(f"INVITE sip:{ACCOUNT}@{ringing.host}:{ringing.port} SIP/2.0", "its-own-call")
            while registrar.answers.empty():
                transport.sendto(request(OF_ANOTHER_CALL, "another-call"), (LOOPBACK, ringing.port))
                transport.sendto(invite, (ringing.host, ringing.port))
                await asyncio.sleep(0.2)
            answer = await registrar.answered()
            assert f"m=audio {ringing.ears[0].port} " in answer


def request(start: str, call_id: str) -> bytes:
    method = start.split()[0]
    lines = (
        start,
        f"Via: SIP/2.0/UDP {LOOPBACK}:9;branch=z9hG4bK{call_id}",
        "From: <sip:registrar@127.0.0.1>;tag=registrar",
        f"To: <sip:{ACCOUNT}@127.0.0.1>",
        f"Call-ID: {call_id}",
        f"CSeq: 1 {method}",
        "Contact: <sip:registrar@127.0.0.1>",
        "Content-Length: 0\r\n\r\n",
    )
    return "\r\n".join(lines).encode()


class Registrar(asyncio.DatagramProtocol):
    """Takes every phone that logs in, and keeps what phones answer."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        self._transport = asyncio.DatagramTransport()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        told = data.decode()
        if told.startswith("SIP/2.0"):
            self.answers.put_nowait(told)
            return
        known = "Authorization:" in told
        status = "200 OK" if known else "401 Unauthorized"
        kept = ("Via:", "From:", "To:", "Call-ID:", "CSeq:")
        lines = [f"SIP/2.0 {status}", *(line for line in told.split("\r\n") if line.startswith(kept))]
        if not known:
            lines.append('WWW-Authenticate: Digest realm="tests", nonce="0", algorithm=MD5')
        self._transport.sendto("\r\n".join([*lines, "Content-Length: 0\r\n\r\n"]).encode(), addr)

    async def answered(self) -> str:
        """The 200 to the call."""
        while True:
            answer = await self.answers.get()
            if "200 OK" in answer and "1 INVITE" in answer:
                return answer
