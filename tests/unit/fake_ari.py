"""Asterisk's REST interface in a few lines: an event socket, requests over it and over HTTP.

It knows channels and bridges only as far as the adapter asks; every answer can be replaced, by the
method and the last words of the path, with a status or with silence (``NEVER``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMsgType, web

NEVER: Final = -1
APP: Final = "ivr-unit"
Event = dict[str, Any]


def channel(channel_id: str, state: str = "Up", app: str = "Stasis", exten: str = "700") -> dict[str, Any]:
    """A channel as Asterisk describes it."""
    return {
        "id": channel_id,
        "protocol_id": "p",
        "name": f"PJSIP/{channel_id}",
        "state": state,
        "caller": {"name": "", "number": "+4915112345678"},
        "connected": {"name": "", "number": ""},
        "accountcode": "",
        "dialplan": {"context": "ivr-in", "exten": exten, "priority": 1, "app_name": app, "app_data": ""},
        "creationtime": "2025-01-01T00:00:00.000+0000",
        "language": "en",
    }


def event(kind: str, channel_id: str = "c1", state: str = "Up", **more: object) -> Event:
    """An event about a channel; ``more`` adds or replaces fields."""
    base: Event = {"type": kind, "application": APP, "timestamp": "2025-01-01T00:00:00.000+0000"}
    if kind == "PlaybackFinished":
        return {**base, **more}
    base["channel"] = channel(channel_id, state)
    extras: dict[str, Event] = {
        "StasisStart": {"args": ["700"]},
        "ChannelDtmfReceived": {"digit": "1", "duration_ms": 100},
        "ChannelDestroyed": {"cause": 16, "cause_txt": "Normal Clearing"},
    }
    return {**base, **extras.get(kind, {}), **more}


def finished(playback_id: str, channel_id: str = "c1", state: str = "done") -> Event:
    playback = {
        "id": playback_id,
        "media_uri": "sound:x",
        "target_uri": f"channel:{channel_id}",
        "language": "en",
        "state": state,
    }
    return event("PlaybackFinished", playback=playback)


@dataclass(frozen=True)
class Asked:
    """A request the fake received; ``over`` is ``ws`` or ``http``."""

    over: str
    method: str
    path: str
    query: dict[str, str]
    body: Any

    def is_(self, method: str, ending: str) -> bool:
        """``ending``: the last words of the path, ``*`` for any one of them."""
        wanted = ending.split("/")
        words = self.path.split("/")[-len(wanted) :]
        same = len(words) == len(wanted) and all(w in ("*", x) for w, x in zip(wanted, words, strict=True))
        return self.method == method and same


@dataclass
class FakeAri:
    url: str = ""
    channels: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    bridges: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    variables: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    answers: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """(method, end of the path) → status instead of the usual answer."""
    once: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """As ``answers``, but for the next such request only."""
    asked: list[Asked] = field(default_factory=list[Asked])
    sockets: list[web.WebSocketResponse] = field(default_factory=list[web.WebSocketResponse])
    opened: int = 0
    deaf: bool = False
    """Neither reads nor pongs: a connection whose other end vanished."""
    close_at_once: bool = False
    events_first: bool = False
    """What a request causes is told before the request is answered, as Asterisk may do."""
    echoes: bool = True
    """Sends user events back; a real one does not when it took the application for closed."""
    finishes: bool = True
    """Prompts end at once by themselves."""

    # ── what a test asks and does ────────────────────────────────────────────────────────────────

    def requests(self, method: str, ending: str) -> list[Asked]:
        return [each for each in self.asked if each.is_(method, ending)]

    async def emit(self, *events: Event) -> None:
        for each in events:
            await self.say(json.dumps(each).encode())

    async def say(self, frame: bytes) -> None:
        """Any bytes as a text frame."""
        for socket in self.sockets:
            await socket.send_frame(frame, WSMsgType.TEXT)

    async def close_sockets(self) -> None:
        """A clean close, as Asterisk makes when it stops."""
        for socket in tuple(self.sockets):
            await socket.close()

    def cut_sockets(self) -> None:
        """The connection breaks without a word."""
        for socket in tuple(self.sockets):
            transport = socket.get_extra_info("socket_transport") or socket._req.transport  # pyright: ignore
            transport.abort()  # pyright: ignore

    # ── the server ───────────────────────────────────────────────────────────────────────────────

    async def events(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, timeout=0.2)
        await socket.prepare(request)
        self.opened += 1
        if self.close_at_once:
            await socket.close()
            return socket
        self.sockets.append(socket)
        try:
            async for message in socket:
                if self.deaf:
                    continue
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
                elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await self._take(socket, json.loads(message.data))
        finally:
            self.sockets.remove(socket)
        return socket

    async def _take(self, socket: web.WebSocketResponse, request: dict[str, Any]) -> None:
        query = {pair["name"]: pair["value"] for pair in request.get("query_strings", [])}
        body = json.loads(request["message_body"]) if request.get("message_body") else None
        asked = Asked("ws", request["method"], request["uri"], query, body)
        status, answer, events = self._answer(asked)
        if status == NEVER:
            return
        response = {
            "type": "RESTResponse",
            "application": APP,
            "timestamp": "",
            "transaction_id": "",
            "request_id": request["request_id"],
            "status_code": status,
            "reason_phrase": "",
            "uri": request["uri"],
            "message_body": json.dumps(answer),
        }
        if self.events_first:
            await self.emit(*events)
        await socket.send_str(json.dumps(response))
        if not self.events_first:
            await self.emit(*events)

    async def http(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        asked = Asked("http", request.method, request.match_info["path"], dict(request.query), body)
        status, answer, events = self._answer(asked)
        if status == NEVER:
            await asyncio.Event().wait()
        await self.emit(*events)
        return web.json_response(answer, status=status)

    def _answer(self, asked: Asked) -> tuple[int, Any, list[Event]]:
        self.asked.append(asked)
        for (method, ending), status in (*self.once.items(), *self.answers.items()):
            if asked.is_(method, ending):
                self.once.pop((method, ending), None)
                return status, {"message": "as told"}, []
        return self._usual(asked, asked.path.split("/"))

    def _usual(self, asked: Asked, words: list[str]) -> tuple[int, Any, list[Event]]:
        match asked.method, words:
            case "GET", ["applications", _] | ["channels"] | ["bridges"]:
                return 200, self._listed(words[0]), []
            case "PUT", ["applications", _, "eventFilter"]:
                return 200, self._listed("applications"), []
            case "PUT", ["asterisk", *_]:
                return 200, [], []
            case "DELETE", ["asterisk", *_]:
                return 204, None, []
            case "GET", ["channels", one] if one in self.channels:
                return 200, self.channels[one], []
            case "GET", ["channels", one, "variable"] if (one, asked.query["variable"]) in self.variables:
                return 200, {"value": self.variables[one, asked.query["variable"]]}, []
            case "GET", _:
                return 404, {"message": "not found"}, []
            case "POST", ["channels", "create"]:
                one = asked.query["channelId"]
                self.channels[one] = channel(one, "Down")
                return 200, self.channels[one], [event("StasisStart", one, "Down", args=[])]
            case "POST", ["channels", one, "play", playback]:
                made = finished(playback, one)
                return 201, made["playback"], [made] if self.finishes else []
            case "POST", ["channels", one, "continue"]:
                return 204, None, [event("StasisEnd", one)]
            case "POST", ["events", "claim"]:
                return 204, None, [event("StasisStart", asked.query["channelId"], "Ring")]
            case "POST", ["events", "user", name]:
                echo: Event = {"type": "ChannelUserevent", "application": APP, "timestamp": ""}
                echo.update(eventname=name, userevent={})
                return 204, None, [echo] if self.echoes else []
            case "POST", ["bridges", one]:
                self.bridges.setdefault(one, [])
                return 200, self.bridge(one), []
            case "DELETE", ["playbacks", playback]:
                return 204, None, [finished(playback)]
            case _:
                return 204, None, []

    def _listed(self, what: str) -> Any:
        if what == "channels":
            return list(self.channels.values())
        if what == "bridges":
            return [self.bridge(one) for one in self.bridges]
        return {
            "name": APP,
            "channel_ids": list(self.channels),
            "bridge_ids": [],
            "endpoint_ids": [],
            "device_names": [],
            "events_allowed": [],
            "events_disallowed": [],
        }

    def bridge(self, one: str) -> dict[str, Any]:
        """As Asterisk describes it."""
        return {
            "id": one,
            "technology": "holding_bridge",
            "bridge_type": "holding",
            "bridge_class": "stasis",
            "creator": "Stasis",
            "name": "",
            "channels": self.bridges[one],
            "creationtime": "",
        }


@asynccontextmanager
async def fake_ari() -> AsyncGenerator[FakeAri]:
    """A fake on a free port of the loopback interface."""
    fake = FakeAri()
    app = web.Application()
    app.router.add_get("/ari/events", fake.events)
    app.router.add_route("*", "/ari/{path:.*}", fake.http)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    fake.url = f"http://127.0.0.1:{port}/ari"
    try:
        yield fake
    finally:
        fake.deaf = False
        await runner.cleanup()
