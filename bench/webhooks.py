"""How soon a text from a phone is answered to the provider: signature checked, stored, on the ticket.

    python -m bench.webhooks [--rate 100] [--seconds 60] [--database URL of an empty one]

A process of its own takes Twilio's webhooks as the engine does, with a database in which much has happened
before; this one signs and sends them at random moments, whether or not the ones before were answered.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import aiohttp
import uvloop
from fastapi import FastAPI

from bench.calls import machine
from bench.process import Used, used
from bench.report import write_webhooks
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.messages import MessageStatus, outbound
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import ticket_for
from ivr_engine.messaging.inbound import InboundRules
from ivr_engine.ports import Store, Tx
from ivr_engine.site.loader import load
from ivr_engine.sms.twilio import SIGNATURE_HEADER, Twilio
from ivr_engine.sms.twilio_account import TwilioAccount
from ivr_engine.store import connect
from ivr_engine.web.server import serve
from ivr_engine.web.webhooks import WebhookFront, WebhookServices

PUBLIC: Final = "https://calls.example.org"
PATH: Final = "/webhooks/sms/twilio/inbound"
ACCOUNT: Final = "AC" + "0" * 32
TOKEN: Final = "0123456789abcdef0123456789abcdef"
OURS: Final = "+4930123456"
CONFIG: Final = Path(__file__).parents[1] / "config"
PAST, OPEN = 20_000, 1_000
"""Calls that have ended, and calls now; each was sent an SMS and has a ticket."""
BATCH: Final = 500
WARM_UP_S: Final = 3.0
AIM_MS: Final = 50.0
PROBE_BYTES: Final = 32 * 1024


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def phone(call: int) -> str:
    return f"+49151{10_000_000 + call}"


def main() -> int:
    wanted = _arguments()
    here = machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        url = wanted.database or f"sqlite:///{name}/engine.db"
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=_engine, args=(url, theirs))
        process.start()
        try:
            port = int(ours.recv())
            disk = _disk(Path(name))
            before, began = used(process.pid or 0), time.monotonic()
            milliseconds, statuses = asyncio.run(_send(port, wanted.rate, wanted.seconds))
            after, lasted = used(process.pid or 0), time.monotonic() - began
            ours.send("how many are stored?")
            stored, comments = ours.recv()
        finally:
            process.terminate()
            process.join()
    rows = [*_rows(milliseconds, statuses, stored, comments, before, after, lasted), disk]
    for row in rows:
        print(*row, sep=": ")
    write_webhooks(rows, machine=here, rate=wanted.rate, database=url.partition(":")[0], past=PAST)
    lost = statuses[204] != stored or set(statuses) != {204}
    return 1 if lost or _quantile(milliseconds, 99) > AIM_MS else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=100, help="webhooks a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--database", help="URL of an empty database [SQLite in a folder of its own]")
    return parser.parse_args()


def _disk(folder: Path) -> tuple[str, str]:
    """What a commit waits for, with nothing else of ours going on."""
    took: list[float] = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(200):
            file.seek(0)
            file.write(os.urandom(PROBE_BYTES))
            began = time.monotonic()
            os.fdatasync(file.fileno())
            took.append((time.monotonic() - began) * 1000)
            time.sleep(0.01)
    return (
        f"the disk alone, before: {PROBE_BYTES // 1024} KB made durable, p50 / p99",
        f"{_quantile(took, 50):.1f} / {_quantile(took, 99):.1f} ms",
    )


# ── the engine's part ────────────────────────────────────────────────────────────────────────────


def _engine(url: str, pipe: Connection) -> None:
    uvloop.run(_serve(url, pipe))


async def _serve(url: str, pipe: Connection) -> None:
    store = connect(url)
    await _fill(store)
    twilio = Twilio(TwilioAccount(sid=ACCOUNT, auth_token=TOKEN, user=ACCOUNT, password=TOKEN))
    rules = InboundRules.of("twilio", load(CONFIG))
    services = WebhookServices(
        store=store,
        clock=WallClock(),
        providers={"twilio": twilio},
        rules={"twilio": lambda: rules},
        public_url=PUBLIC,
        stored=lambda _message: None,
    )
    async with asyncio.TaskGroup() as group:
        front = WebhookFront(FastAPI(), services)
        group.create_task(serve(front, "127.0.0.1", 0, listening=lambda _host, port: pipe.send(port)))
        await asyncio.to_thread(pipe.recv)
        pipe.send(await store.run(_count))


def _count(tx: Tx) -> tuple[int, int]:
    """Texts stored, and those on tickets."""
    found = tx.messages.search(status=MessageStatus.RECEIVED, limit=10_000_000)
    tickets = {message.ticket_id for message in found if message.ticket_id}
    said = (tx.tickets.get(ticket).comments for ticket in tickets)
    return len(found), sum(comment.author == "customer" for comments in said for comment in comments)


async def _fill(store: Store) -> None:
    now = datetime.now(UTC)
    for first in range(0, PAST + OPEN, BATCH):
        numbers = range(first, min(first + BATCH, PAST + OPEN))
        await store.run(lambda tx, numbers=numbers: [_one_call(tx, number, now) for number in numbers][:0])


def _one_call(tx: Tx, number: int, now: datetime) -> None:
    is_open = number >= PAST
    at = now - timedelta(minutes=5 if is_open else 60 + number)
    call = Call(
        id=f"call-{number}",
        engine="ivr-1",
        channel_id=f"channel-{number}",
        caller=phone(number),
        number="700",
        queue="support",
        language="de",
        started_at=at,
        chapter=Chapter.TALKING,
        agent="anna",
        answered_at=at,
    )
    message = outbound(
        id=f"message-{number}",
        sender=OURS,
        recipient=phone(number),
        text="Your place in the line is yours. Answer with a picture.",
        provider="twilio",
        purpose="wait_time_sms",
        call_id=call.id,
        now=at,
    ).moved(MessageStatus.DELIVERED, at)
    ticket = ticket_for(call, [message], id=f"ticket-{number}", now=at)
    tx.tickets.add(ticket)
    tx.messages.add(replace(message, provider_id=f"SM{number:032x}", ticket_id=ticket.id))
    tx.calls.add(replace(call, ticket_id=ticket.id))
    if not is_open:
        tx.calls.save(replace(call, ticket_id=ticket.id).ended(EndReason.CALLER_HUNG_UP, at))


# ── the provider's part ──────────────────────────────────────────────────────────────────────────


async def _send(port: int, rate: int, seconds: int) -> tuple[list[float], Counter[int]]:
    """Milliseconds from the moment each was to be sent; the answers' statuses."""
    took: list[float] = []
    statuses: Counter[int] = Counter()
    chance = random.Random(1)
    url = f"http://127.0.0.1:{port}{PATH}"
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:

        async def one(number: int, due: float, counts: bool) -> None:
            body, headers = _webhook(number, PAST + chance.randrange(OPEN))
            async with http.post(url, data=body, headers=headers) as answer:
                statuses[answer.status] += 1
            if counts:
                took.append((time.monotonic() - due) * 1000)

        due = began = time.monotonic()
        for number in range(int(rate * (seconds + WARM_UP_S))):
            due += chance.expovariate(rate)
            await asyncio.sleep(due - time.monotonic())
            group.create_task(one(number, due, due - began > WARM_UP_S))
    return took, statuses


def _webhook(number: int, call: int) -> tuple[bytes, dict[str, str]]:
    fields = {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "Body": f"Here is what you asked for, number {number}: it stays red, whatever I press.",
        "From": phone(call),
        "FromCity": "",
        "FromCountry": "DE",
        "MessageSid": f"SM{PAST + OPEN + number:032x}",
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "To": OURS,
    }
    said = PUBLIC + PATH + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.new(TOKEN.encode(), said.encode(), hashlib.sha1).digest()
    headers = {
        SIGNATURE_HEADER: base64.b64encode(digest).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return urlencode(fields).encode(), headers


# ── the result ───────────────────────────────────────────────────────────────────────────────────


def _quantile(milliseconds: list[float], percent: int) -> float:
    return statistics.quantiles(milliseconds, n=100)[percent - 1]


def _rows(
    milliseconds: list[float],
    statuses: Counter[int],
    stored: int,
    comments: int,
    before: Used,
    after: Used,
    lasted: float,
) -> list[tuple[str, str]]:
    count = statuses.total()
    p50, p99 = _quantile(milliseconds, 50), _quantile(milliseconds, 99)
    cpu_ms = (after.cpu_s - before.cpu_s) * 1000 / count
    return [
        ("webhooks sent / answered 204", f"{count} / {statuses[204]}"),
        ("stored / on their tickets", f"{stored} / {comments}"),
        ("measured rate", f"{count / lasted:.0f} a second"),
        ("answered, p50 / p99 / longest", f"{p50:.1f} / {p99:.1f} / {max(milliseconds):.1f} ms"),
        ("CPU a webhook", f"{cpu_ms:.2f} ms"),
    ]


if __name__ == "__main__":
    sys.exit(main())
