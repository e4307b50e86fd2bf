"""A SIP provider over UDP: takes registrations (with a password asked for) and answers OPTIONS."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, cast

_COPIED: Final = ("Via", "From", "To", "Call-ID", "CSeq")


class Provider(asyncio.DatagramProtocol):
    """``registered``: the address Asterisk can be called at, once it has registered."""

    def __init__(self) -> None:
        self.registered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.refuses = False
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        text = data.decode()
        if not re.match(r"(OPTIONS|REGISTER) ", text):
            return
        assert self.transport is not None
        self.transport.sendto(self._answer(text), addr)

    def _answer(self, request: str) -> bytes:
        lines = [line for line in request.split("\r\n") if line.startswith(tuple(f"{h}:" for h in _COPIED))]
        status, more = "200 OK", ""
        if request.startswith("REGISTER"):
            contact = re.search(r"^Contact: (<([^>]+)>.*)$", request, re.MULTILINE)
            if self.refuses:
                status = "403 Forbidden"
            elif "Authorization:" not in request:
                status, more = "401 Unauthorized", 'WWW-Authenticate: Digest realm="p",nonce="1"\r\n'
            elif contact:
                more = f"Contact: {contact[1].strip()}\r\nExpires: 60\r\n"
                if not self.registered.done():
                    self.registered.set_result(contact[2])
        head = "\r\n".join([f"SIP/2.0 {status}", *lines])
        return f"{head}\r\n{more}Content-Length: 0\r\n\r\n".encode()


@asynccontextmanager
async def provider(address: str, port: int) -> AsyncGenerator[Provider]:
    """One that answers at ``address:port``, over UDP."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Provider, local_addr=(address, port))
    try:
        yield protocol
    finally:
        transport.close()
