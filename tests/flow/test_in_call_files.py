"""A picture from an agent, over real sockets: on the ticket, fetched by the provider, on the phone."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from ivr_engine.callflow.house import House
from ivr_engine.callflow.in_call_sms import Enclosure, InCallSmsCommands
from ivr_engine.domain.calls import Chapter
from ivr_engine.domain.messages import Media, MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import ticket_for
from ivr_engine.errors import Refused
from ivr_engine.messaging.enclosures import Enclosures
from ivr_engine.messaging.senders import sender_for
from ivr_engine.ports import Prompts, Tx
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce, SiteNow
from tests.flow.centre import site
from tests.flow.messaging_rig import PHONE, SENDER, Rig, WallClock, rig

WITH_MEDIA: dict[str, Any] = {"media": True}


def picture() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(made, "PNG")
    return made.getvalue()


def house(it: Rig, settings: Site) -> House:
    parts: dict[str, Any] = dict.fromkeys(House.__dataclass_fields__)
    parts["in_force"] = SiteNow(InForce(settings, cast(Prompts, None)))
    parts |= {"store": it.store, "clock": WallClock(), "message_queued": it.outbox.wake}
    parts |= {"new_id": lambda: "m1", "sender_for": sender_for}
    return House(**parts)


@asynccontextmanager
async def talking(folder: Path) -> AsyncGenerator[Rig]:
    """A call with an agent and a ticket."""
    async with rig(folder) as it:
        call = replace(await it.call(), chapter=Chapter.TALKING, agent="anna", offer_id="o1", ticket_id="t1")

        def connect(tx: Tx) -> None:
            tx.tickets.add(ticket_for(call, [], id="t1", now=call.started_at))
            tx.calls.save(replace(call, answered_at=call.started_at))

        await it.store.run(connect)
        yield it


async def test_a_picture_arrives_on_the_phone_and_is_on_the_ticket(tmp_path: Path) -> None:
    async with talking(tmp_path) as it:
        media = await Enclosures(it.folder).store(picture())
        sms = InCallSmsCommands(house(it, site(in_call_sms=WITH_MEDIA, sms={"sender": SENDER})))
        await sms.send("c1", Enclosure(media))
        await it.until_status(MessageStatus.DELIVERED)
        [entry] = await it.provider.read(PHONE)
        [got] = cast(list[dict[str, str]], entry["media"])
        fetched = await it.provider.fetch(Media(id="x", url=got["url"], content_type=got["content_type"]))
        assert fetched == ("image/png", (it.folder / (media.file or "")).read_bytes())
        ticket = await it.store.run(lambda tx: tx.tickets.get("t1"))
        assert [(c.author, c.text) for c in ticket.comments] == [("anna", "[1 file(s)]")]
        assert [file.file for file in ticket.files] == [media.file]


@pytest.mark.parametrize(
    ("settings", "text", "why"),
    [
        ({}, "", "see 'in_call_sms.media'"),
        (WITH_MEDIA | {"presets_only": True}, "", "only presets"),
        (WITH_MEDIA, "x" * 919, "919 characters"),
    ],
)
async def test_a_picture_that_may_not_be_sent(
    tmp_path: Path, settings: dict[str, Any], text: str, why: str
) -> None:
    async with talking(tmp_path) as it:
        media = await Enclosures(it.folder).store(picture())
        sms = InCallSmsCommands(house(it, site(in_call_sms=settings, sms={"sender": SENDER})))
        with pytest.raises(Refused, match=why):
            await sms.send("c1", Enclosure(media, text))
        assert not (await it.store.run(lambda tx: tx.tickets.get("t1"))).files


@pytest.mark.parametrize("carries", [True, False])
async def test_a_number_that_carries_no_pictures(tmp_path: Path, carries: bool) -> None:
    async with talking(tmp_path) as it:
        media = await Enclosures(it.folder).store(picture())
        capabilities = ["sms", "media"] if carries else ["sms"]
        number = {"label": "Texts", "direction": "outbound", "capabilities": capabilities}
        settings = site(in_call_sms=WITH_MEDIA, sms={"sender": SENDER}, sms_numbers={SENDER: number})
        sms = InCallSmsCommands(house(it, settings))
        assert (await sms.choice("c1")).media is carries, "the agent sees it before"
        if not carries:
            with pytest.raises(Refused, match="carries no pictures"):
                await sms.send("c1", Enclosure(media))
