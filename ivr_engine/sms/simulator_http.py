"""Reading what the simulator is asked, and saying it back, as a provider's HTTP API does."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from ivr_engine.sms.ledger import Entry, Wanted


class Problem(Exception):
    """Ends a request with an answer as providers give it: ``{"code": …, "message": …}``."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = {"code": code, "message": message}

    def answer(self) -> web.Response:
        return json_answer(self.body, self.status, self.headers)


def wanted_in(request: web.Request) -> Wanted:
    query = request.query
    try:
        return Wanted(
            sender=query.get("from"),
            recipient=query.get("to"),
            direction=query.get("direction"),
            reference=query.get("reference"),
            since=float(query["since"]) if "since" in query else None,
            after=int(query.get("page", "0")),
            limit=min(max(int(query.get("page_size", "100")), 1), 1000),
        )
    except ValueError:
        raise Problem(400, "20001", "'since', 'page' and 'page_size' are numbers") from None


async def fields_of(request: web.Request) -> dict[str, str]:
    """Form or JSON, as senders like."""
    if request.content_type == "application/json":
        try:
            return msgspec.json.decode(await request.read(), type=dict[str, str])
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Problem(400, "20001", str(error)) from None
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


async def letter_in(request: web.Request) -> tuple[str, str | None, list[tuple[str, bytes]]]:
    """Text, recipient and files of a handset's answer, from JSON or a multipart form."""
    if request.content_type != "multipart/form-data":
        fields = await fields_of(request)
        return fields.get("text", ""), fields.get("to"), []
    form = await request.post()
    text, to = form.get("text", ""), form.get("to")
    media = [
        (part.content_type, part.file.read())
        for part in form.getall("media", [])
        if isinstance(part, web.FileField)
    ]
    return str(text), str(to) if to else None, media


def shown(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "direction": entry.direction,
        "from": entry.sender,
        "to": entry.recipient,
        "text": entry.text,
        "status": entry.status,
        "error_code": entry.error_code,
        "reference": entry.reference,
        "created_at": entry.created_at,
    }


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def reset(request: web.Request) -> None:
    """Break the connection with a TCP reset: linger zero makes the kernel send RST, not FIN."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def origin(url: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        return None
    return parts.scheme, parts.hostname, port


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
