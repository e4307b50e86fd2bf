"""What every CRM's adapter does: the one built in, and signed webhooks against a receiver over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import TypeAdapter

from ivr_engine.crm import signing
from ivr_engine.crm.bodies import Body
from ivr_engine.crm.built_in import BuiltIn
from ivr_engine.crm.directory import WebhookDirectory
from ivr_engine.crm.http import MOST_BYTES, REFUSED, Address, SignedPost
from ivr_engine.crm.webhook import WebhookCrm
from ivr_engine.domain.contacts import Contact, Found
from ivr_engine.domain.crm import Conversation, Kind, Posting, Said, Topic
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import TicketFile
from ivr_engine.errors import ExternalError, Rejected, Unreachable
from ivr_engine.ports import Crm, Store
from ivr_engine.resolver import Resolver
from ivr_engine.store import connect
from tests.contract.crm_receiver import SECRET, Receiver, receiver
from tests.contract.store_examples import call, ticket
from tests.unit.test_sms_twilio import Names

NOW = datetime(2026, 1, 31, 9, 15, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
ADA = Contact(
    id="c1", name="Ada", numbers=("+4915112345678",), created_at=NOW, updated_at=NOW, external={"crm": "4711"}
)
TALK = Conversation(
    id="call-1",
    ticket_id="t1",
    channel="voice",
    direction="inbound",
    number="+4915112345678",
    ours="700",
    queue="support",
    language="en",
    agent="anna",
    started_at=NOW,
    ended_at=None,
)
FILE = TicketFile(id="f-1", at=NOW, file="d1.png", content_type="image/png", size=8, source_id="d1")


def posting(kind: Kind, **fields: Any) -> Posting:
    return replace(Posting(id=f"{kind}-1", kind=kind, at=NOW, conversation=TALK, contact=ADA), **fields)


EVERY = {
    Kind.CONVERSATION_OPENED: posting(Kind.CONVERSATION_OPENED, contact=None),
    Kind.CONVERSATION_CONNECTED: posting(Kind.CONVERSATION_CONNECTED, facts={"agent": "anna"}),
    Kind.CONVERSATION_ENDED: posting(Kind.CONVERSATION_ENDED, facts={"reason": "caller_hung_up"}),
    Kind.CONTACT_CREATED: posting(Kind.CONTACT_CREATED),
    Kind.CONTACT_UPDATED: posting(Kind.CONTACT_UPDATED),
    Kind.CONTACT_UNCLEAR: posting(Kind.CONTACT_UNCLEAR, contact=None, candidates=(ADA, ADA)),
    Kind.CONTACT_CHOSEN: posting(Kind.CONTACT_CHOSEN),
    Kind.TRANSFER_STARTED: posting(
        Kind.TRANSFER_STARTED, facts={"by": "anna", "to_kind": "queue", "to": "sales", "way": "blind"}
    ),
    Kind.TRANSFER_FAILED: posting(
        Kind.TRANSFER_FAILED, facts={"to_kind": "number", "to": "+4930", "way": "blind", "reason": "busy"}
    ),
    Kind.TRANSFER_ENDED: posting(
        Kind.TRANSFER_ENDED, facts={"to_kind": "agent", "to": "ben", "way": "attended"}
    ),
    Kind.MESSAGE: posting(Kind.MESSAGE, said=(Said(NOW, "customer", "Ünïcode 🙂 {}", "m1"),)),
    Kind.FILE: posting(Kind.FILE, file=FILE),
    Kind.TRANSCRIPT: posting(
        Kind.TRANSCRIPT,
        said=(Said(NOW, "agent", "Hello", "m1", "anna"), Said(NOW, "system", "Connected with anna")),
    ),
}


@dataclass
class World:
    """One adapter, and what the other side of it has."""

    crm: Crm
    store: Store
    other: Receiver | None

    async def effects(self) -> list[str]:
        """What is there now, in order."""
        if self.other is not None:
            return [event["id"] for event in self.other.ledger]
        found = await self.store.run(lambda tx: tx.tickets.get("t1"))
        return [each.id for each in (*found.comments, *found.files)]


@pytest.fixture(params=["built-in", "webhook"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        store = connect("sqlite://")
        stack.push_async_callback(store.close)

        def fill(tx: Any) -> None:
            tx.calls.add(call(id="call-1", ticket_id="t1"))
            tx.tickets.add(ticket(id="t1", call_id="call-1"))

        await store.run(fill)
        if request.param == "built-in":
            yield World(BuiltIn(store), store, None)
            return
        other = await stack.enter_async_context(receiver())
        crm = webhook(other)
        stack.push_async_callback(crm.close)
        yield World(crm, store, other)


def signed_post(url: str, deadline_s: float = 5.0, **fields: Any) -> SignedPost:
    usual: dict[str, Any] = {"network": "loopback", "secret_from": "IVR_CRM_SECRET"}
    address = Address(url=url, deadline_s=deadline_s, **{**usual, **fields})
    return SignedPost(address, {"IVR_CRM_SECRET": SECRET}, lambda: NOW)


def webhook(other: Receiver, deadline_s: float = 5.0) -> WebhookCrm:
    def link(ticket_id: str, file_id: str) -> tuple[str, datetime]:
        return f"https://engine/{ticket_id}/{file_id}", LATER

    return WebhookCrm("hub", Topic, signed_post(other.url, deadline_s), link)


# ── every adapter ────────────────────────────────────────────────────────────────────────────────


def test_there_is_an_example_of_every_kind() -> None:
    assert set(EVERY) == set(Kind)


@pytest.mark.parametrize("kind", Kind)
async def test_whatever_is_posted_twice_is_there_once(world: World, kind: Kind) -> None:
    await world.crm.post(EVERY[kind])
    once = await world.effects()
    await world.crm.post(EVERY[kind])
    await asyncio.gather(*(world.crm.post(EVERY[kind]) for _ in range(5)))
    assert await world.effects() == once


async def test_what_is_posted_stays_in_its_order(world: World) -> None:
    kinds = [kind for kind in Kind if kind in world.crm.kinds]
    for kind in kinds:
        await world.crm.post(EVERY[kind])
    there = await world.effects()
    assert [name.removeprefix("c-") for name in there] == [EVERY[kind].id for kind in kinds]


async def test_a_posting_of_a_ticket_that_is_gone_never_hangs_and_breaks_nothing(world: World) -> None:
    gone = replace(EVERY[Kind.CONVERSATION_ENDED], conversation=replace(TALK, ticket_id="gone"))
    if world.other is None:
        with pytest.raises(Rejected):
            await world.crm.post(gone)
    else:
        await world.crm.post(gone)
    await world.crm.post(EVERY[Kind.CONVERSATION_CONNECTED])


async def test_it_can_be_closed_twice(world: World) -> None:
    await world.crm.close()
    await world.crm.close()


# ── the one built in ─────────────────────────────────────────────────────────────────────────────


async def test_the_built_in_one_writes_comments_and_files() -> None:
    store = connect("sqlite://")
    await store.run(lambda tx: tx.tickets.add(ticket(id="t1", call_id="call-1")))
    crm = BuiltIn(store)
    for each in EVERY.values():
        await crm.post(each)
    found = await store.run(lambda tx: tx.tickets.get("t1"))
    assert [(c.author, c.text) for c in found.comments] == [
        ("system", "Connected with anna"),
        ("system", "Conversation ended: caller_hung_up"),
        ("system", "Transfer to queue sales started"),
        ("system", "Transfer to number +4930 failed: busy"),
        ("system", "Transfer to agent ben ended"),
        ("customer", "Ünïcode 🙂 {}"),
    ]
    assert list(found.files) == [FILE]
    await store.close()


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────


async def test_what_a_webhook_gets_is_signed_and_fits_its_schema() -> None:
    schema = TypeAdapter(Body)
    async with receiver() as other:
        crm = webhook(other)
        for each in EVERY.values():
            await crm.post(each)
        await crm.close()
        assert (len(other.ledger), other.refused) == (len(EVERY), 0)
        for event, sent in zip(other.ledger, EVERY.values(), strict=True):
            schema.validate_python(event)
            assert (event["id"], event["kind"], event["version"]) == (sent.id, sent.kind, 1)
            assert event["conversation"]["customer_number"] == "+4915112345678"
            assert event["details"] == dict(sent.facts)
        by_kind = {event["kind"]: event for event in other.ledger}
        assert by_kind["message"]["messages"][0]["text"] == "Ünïcode 🙂 {}"
        said = [(m["author"], m["by"]) for m in by_kind["transcript"]["messages"]]
        assert said == [("agent", "anna"), ("system", None)]
        assert by_kind["file"]["file"] == {
            "id": "f-1",
            "content_type": "image/png",
            "size": 8,
            "url": "https://engine/t1/f-1",
            "expires_at": "2026-02-07T09:15:00Z",
        }
        assert by_kind["contact.created"]["contact"]["external"] == {"crm": "4711"}
        assert len(by_kind["contact.unclear"]["candidates"]) == 2
        headers = {name.lower(): value for name, value in other.headers[0].items()}
        assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
        assert headers["content-type"] == "application/json"
        assert "authorization" not in headers


async def test_a_wrong_secret_is_noticed_by_the_other_side() -> None:
    async with receiver() as other:
        post = SignedPost(
            Address(url=other.url, network="loopback", secret_from="IVR_X", deadline_s=5.0),
            {"IVR_X": "somebody-elses-secret"},
            lambda: NOW,
        )
        with pytest.raises(ExternalError, match="status 401") as caught:
            await post.post("e1", b"{}")
        assert not isinstance(caught.value, Rejected), "tried again: the secret may be put right"
        assert (other.refused, other.ledger) == (1, [])
        await post.close()


def test_while_a_secret_is_exchanged_both_sign() -> None:
    environ = {
        "IVR_A": f"{SECRET} {'b' * 20}",
        "IVR_B": "b" * 20,
        "IVR_SHORT": "whsec_YQ==",
        "IVR_BAD": "whsec_%",
    }
    both = signing.headers(signing.secrets(environ, "IVR_A"), "e", NOW, b"{}")
    new = signing.headers(signing.secrets(environ, "IVR_B"), "e", NOW, b"{}")
    assert len(both[signing.SIGNATURE].split()) == 2
    assert new[signing.SIGNATURE] in both[signing.SIGNATURE].split()
    for variable, says in (("IVR_NONE", "not set"), ("IVR_SHORT", "shorter"), ("IVR_BAD", "base64")):
        with pytest.raises(ExternalError, match=says) as caught:
            signing.secrets(environ, variable)
        assert "whsec_Y" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 408, 425, 429, 500, 502, 503, 599])
async def test_these_answers_mean_later(status: int) -> None:
    async with receiver() as other:
        crm = webhook(other)
        other.answers(status, b"{}", Location="http://127.0.0.1:1/")
        with pytest.raises(ExternalError, match=f"status {status}") as caught:
            await crm.post(EVERY[Kind.MESSAGE])
        assert not isinstance(caught.value, Rejected)
        assert other.requests == 1, "nothing is followed"
        await crm.close()


@pytest.mark.parametrize("status", sorted(REFUSED))
async def test_these_answers_mean_never(status: int) -> None:
    async with receiver() as other:
        crm = webhook(other)
        other.answers(status)
        with pytest.raises(Rejected):
            await crm.post(EVERY[Kind.MESSAGE])
        await crm.close()


async def test_silence_dripping_and_garbage_end_in_time_and_in_an_error() -> None:
    async with receiver() as other:
        crm = webhook(other, deadline_s=0.3)
        for behaves in (other.hangs, other.drips, other.speaks_garbage):
            behaves()
            began = asyncio.get_running_loop().time()
            with pytest.raises(ExternalError) as caught:
                await crm.post(EVERY[Kind.MESSAGE])
            assert asyncio.get_running_loop().time() - began < 2.0
            assert not isinstance(caught.value, Rejected)
            assert "49151" not in str(caught.value)
        other.answers(200, b"x" * (3 * MOST_BYTES))
        await crm.post(EVERY[Kind.MESSAGE])  # taken, says the status; what else it says nobody reads
        other.answers(200, b"\xff\x00 no json")
        await crm.post(EVERY[Kind.TRANSCRIPT])
        await crm.close()


async def test_nobody_there() -> None:
    post = signed_post("http://127.0.0.1:1/events")
    with pytest.raises(Unreachable):
        await post.post("e1", b"{}")
    await post.close()


INSIDE = [
    "http://127.0.0.1:{port}/events",
    "http://[::1]:{port}/events",
    "http://localhost:{port}/events",
    "http://0.0.0.0:{port}/events",
    "http://2130706433:{port}/events",
    "http://0x7f.1:{port}/events",
    "http://0177.0.0.1:{port}/events",
    "http://127.1:{port}/events",
    "http://[::ffff:127.0.0.1]:{port}/events",
    "http://[64:ff9b::7f00:1]:{port}/events",
]


@pytest.mark.parametrize("network", ["public", "private"])
@pytest.mark.parametrize("written", INSIDE)
async def test_this_machine_is_not_reached_unless_the_site_says_so(written: str, network: str) -> None:
    async with receiver() as other:
        url = written.format(port=other.url.split(":")[2].partition("/")[0])
        post = signed_post(url, network=network)
        with pytest.raises(ExternalError):
            await post.post("e1", b"{}")
        assert other.requests == 0
        await post.close()


@pytest.mark.parametrize(
    ("resolves_to", "network", "let"),
    [
        ("127.0.0.1", "public", False),
        ("10.0.0.7", "public", False),
        ("169.254.169.254", "private", False),
        ("127.0.0.1", "private", False),
        ("100.64.0.1", "private", False),
        ("10.0.0.7", "private", True),
        ("fd00::7", "private", True),
        ("54.1.2.3", "public", True),
        ("54.1.2.3", "private", True),
        ("54.1.2.3", "loopback", False),
        ("10.0.0.7", "loopback", False),
        ("127.0.0.1", "loopback", True),
    ],
)
async def test_names_are_followed_only_where_they_may_lead(resolves_to: str, network: Any, let: bool) -> None:
    resolver = Resolver(network, inner=Names(resolves_to))
    if let:
        assert await resolver.resolve("crm.example")
    else:
        with pytest.raises(OSError, match="resolves to an address"):
            await resolver.resolve("crm.example")


# ── asking whose a number is ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"contacts": []}, []),
        ({"contacts": [{"id": "4711"}]}, [Found("4711")]),
        (
            {"contacts": [{"id": "1", "name": "Ada\x00\x1b[2J", "language": "de"}, {"id": "2"}], "more": 1},
            [Found("1", "Ada[2J", "de"), Found("2")],
        ),
    ],
)
async def test_a_directory_says_whom_it_knows(answer: dict[str, Any], found: list[Found]) -> None:
    async with receiver() as other:
        asked: list[Any] = []

        async def tells(request: web.Request) -> web.Response:
            asked.append(await request.json())
            return web.json_response(answer)

        other.behaves = tells
        directory = WebhookDirectory("hub", signed_post(other.url))
        assert await directory.find("+4915112345678") == found
        assert asked == [{"version": 1, "number": "+4915112345678"}]
        assert other.refused == 0
        await directory.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"contacts": null}',
        b'{"contacts": [{"name": "no id"}]}',
        b'{"contacts": [{"id": ""}]}',
        b'{"contacts": ' + b"[" * 20_000,
        json.dumps({"contacts": [{"id": str(n)} for n in range(21)]}).encode(),
        json.dumps({"contacts": [{"id": "x" * 1000}]}).encode(),
        b'{"contacts": []' + b" " * MOST_BYTES + b"}",
    ],
    ids=range(11),
)
async def test_an_answer_that_makes_no_sense_is_an_error(raw: bytes) -> None:
    async with receiver() as other:
        other.answers(200, raw)
        directory = WebhookDirectory("hub", signed_post(other.url))
        with pytest.raises(ExternalError):
            await directory.find("+4915112345678")
        await directory.close()
