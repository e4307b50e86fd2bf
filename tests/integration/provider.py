"""A SIP provider over UDP or TCP: takes registrations (with a password asked for) and answers OPTIONS."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

_COPIED: Final = ("Via", "From", "To", "Call-ID", "CSeq")


class Registrar:
    """``registered``: the address Asterisk can be called at, once it has registered."""

    def __init__(self) -> None:
        self.registered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.refuses = False

    def answer(self, request: str) -> bytes:
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


class Provider(Registrar, asyncio.DatagramProtocol):
    """Over UDP."""

    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        text = data.decode()
        if not re.match(r"(OPTIONS|REGISTER) ", text):
            return
        assert self.transport is not None
        self.transport.sendto(self.answer(text), addr)


class Line(Registrar):
    """Over TCP. The line of the one that has registered is also the one it is called on."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        """First lines of what is no request of the provider's concern: answers to ``call``."""
        self._ended = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"^Content-Length: *(\d+)", head, re.MULTILINE)
                await reader.readexactly(int(length[1]) if length else 0)
                if re.match(r"(OPTIONS|REGISTER) ", head):
                    writer.write(self.answer(head))
                else:
                    self.said.append(head.partition("\r\n")[0])
        writer.transport.abort()
        self._ended.set()

    async def closed(self) -> None:
        """Close the connection, if there is one."""
        if self._writer is not None:
            self._writer.transport.abort()
            await self._ended.wait()

    def call(self, number: str) -> None:
        """An INVITE to the address that was registered, with ``number`` for the user in it."""
        assert self._writer is not None
        local = self._writer.get_extra_info("sockname")
        sdp = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n"
        )
        address = re.sub("^sip:[^@]*@", f"sip:{number}@", self.registered.result())
        invite = (
            f"INVITE {address} SIP/2.0",
            f"Via: SIP/2.0/TCP {local[0]}:{local[1]};branch=z9hG4bK1",
            "From: <sip:+4915112345678@provider>;tag=1",
            f"To: <sip:{number}@provider>",
            "Call-ID: in-by-the-line",
            "CSeq: 1 INVITE",
            "Max-Forwards: 70",
            f"Contact: <sip:{local[0]}:{local[1]};transport=tcp>",
            "Content-Type: application/sdp",
            f"Content-Length: {len(sdp)}",
        )
        self._writer.write("\r\n".join((*invite, "", sdp)).encode())


@asynccontextmanager
async def provider(address: str, port: int) -> AsyncGenerator[Provider]:
    """One that answers at ``address:port``, over UDP."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Provider, local_addr=(address, port))
    try:
        yield protocol
    finally:
        transport.close()


@asynccontextmanager
async def provider_over_tcp(address: str, port: int) -> AsyncGenerator[Line]:
    """One that answers at ``address:port``, over TCP."""
    line = Line()
    async with await asyncio.start_server(line.serve, address, port) as server:
        try:
            yield line
        finally:
            server.close()
            await line.closed()
