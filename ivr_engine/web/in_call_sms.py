"""Texts between an agent and the caller on the line, and what a text costs before it is sent."""

from __future__ import annotations

from typing import Annotated, Protocol

from fastapi import APIRouter, Body, File, Form, Query, UploadFile
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ivr_engine.callflow.in_call_sms import Choice, Content, Enclosure, FromPreset, OwnText
from ivr_engine.domain.messages import Media, Message, printable
from ivr_engine.errors import Refused
from ivr_engine.web.errors import MISSING, NOT_NOW
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import Items, MessageItem
from ivr_engine.web.shapes.in_call_sms import ChoiceItem, MeasureItem

MOST_MEASURED = 10_000
"""Characters of a text that somebody pastes."""

Name = Annotated[str, Field(min_length=1, max_length=100)]
Language = Annotated[str, Field(min_length=2, max_length=10)]


class InCallSms(Protocol):
    """``Refused`` when the caller cannot be sent that now; ``Refused(missing)``: no such call or preset."""

    async def send(
        self, call_id: str, content: Content, agent: str | None = None, key: str | None = None
    ) -> Message: ...
    async def choice(self, call_id: str, language: str | None = None) -> Choice: ...


class WhatToSend(BaseModel):
    """A preset, or words of the agent's own: one of the two."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"preset": "photo"}, {"text": "See you at nine."}]}
    )
    preset: Name | None = None
    language: Language | None = Field(None, description="Of the preset; not given: the caller's")
    text: Annotated[str, Field(max_length=MOST_MEASURED)] | None = Field(
        None, description="Up to 918 characters; see POST /sms/measure"
    )
    agent: Name | None = Field(
        None, description="Who writes: one who talks to the caller; not given: the agent of the call"
    )
    key: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None,
        description="Made by the client, anew for each text: asked again with the same one (no answer came, "
        "a second click) nothing more is sent, and the first message is answered",
    )

    @model_validator(mode="after")
    def _one(self) -> WhatToSend:
        if (self.preset is None) == (self.text is None):
            raise ValueError("give exactly one of preset, text")
        return self

    def content(self) -> Content:
        return FromPreset(self.preset, self.language) if self.preset is not None else OwnText(self.text or "")


class Written(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"text": "It\u2019s"}]})
    text: Annotated[str, Field(max_length=MOST_MEASURED)]


class Enclosures(Protocol):
    """Files that agents send. ``Refused`` for what may not be sent."""

    async def store(self, content: bytes) -> Media: ...
    async def drop(self, media: Media) -> None: ...


def in_call_sms_router(commands: InCallSms, enclosures: Enclosures) -> APIRouter:
    """The routes, below ``/calls`` and ``/sms``."""
    router = APIRouter()

    @router.get("/calls/{call_id}/sms", tags=["calls"], summary="Texts of a call", responses=MISSING)
    async def list_sms(services: Services, call_id: str) -> Items[MessageItem]:  # pyright: ignore[reportUnusedFunction]
        """Both directions, oldest first, with their pictures and videos: also what came while the caller
        waited, and after the end (``purpose``: ``late_reply``)."""
        found = await services.look(lambda tx: tx.messages.of_call(tx.calls.get(call_id).id))
        return Items(items=[MessageItem.of(message) for message in found])

    @router.get(
        "/calls/{call_id}/sms/choice",
        tags=["calls"],
        summary="What can be sent to the caller now",
        responses=MISSING,
    )
    async def show_choice(  # pyright: ignore[reportUnusedFunction]
        services: Services,
        call_id: str,
        language: Annotated[
            str | None, Query(max_length=10, description="Of the presets, instead of the caller's")
        ] = None,
    ) -> ChoiceItem:
        """The presets by name and label; whether own words are allowed; if nothing can be sent, why."""
        return ChoiceItem.of(await services.done(commands.choice(call_id, language)))

    @router.post(
        "/calls/{call_id}/sms",
        tags=["calls"],
        summary="Send a text to the caller",
        responses=MISSING | NOT_NOW,
    )
    async def send_sms(  # pyright: ignore[reportUnusedFunction]
        services: Services, call_id: str, what: Annotated[WhatToSend, Body()]
    ) -> MessageItem:
        """While an agent talks to them. It is stored when this answers, and is on the ticket; what became of
        it is at ``/messages/{id}``. 409, with the reason, for a caller who cannot get it."""
        return MessageItem.of(
            await services.done(commands.send(call_id, what.content(), what.agent, what.key))
        )

    @router.post(
        "/calls/{call_id}/sms/file",
        tags=["calls"],
        summary="Send a picture or video to the caller",
        responses=MISSING | NOT_NOW,
    )
    async def send_file(  # pyright: ignore[reportUnusedFunction]
        services: Services,
        call_id: str,
        media: Annotated[UploadFile, File(description="jpg, png, gif, mp4 or 3gp, at most 5 MB")],
        text: Annotated[str, Form(max_length=MOST_MEASURED)] = "",
        agent: Annotated[str | None, Form(max_length=100)] = None,
        key: Annotated[str | None, Form(max_length=100)] = None,
    ) -> MessageItem:
        """A multipart form, where the site allows it (``in_call_sms.media``). Pictures are written anew,
        without place and time. It is on the ticket too."""
        enclosed = await enclosures.store(await media.read())
        try:
            sent = await services.done(commands.send(call_id, Enclosure(enclosed, text), agent, key))
        except Refused:  # after anything else the text may still be sent, and with it the file
            await enclosures.drop(enclosed)
            raise
        if enclosed.id not in {one.id for one in sent.media}:
            await enclosures.drop(enclosed)
        return MessageItem.of(sent)

    @router.post("/sms/measure", tags=["messages"], summary="Characters and parts of a text")
    async def measure_text(written: Annotated[Written, Body()]) -> MeasureItem:  # pyright: ignore[reportUnusedFunction]
        """For a count while somebody types: length, parts, and the characters that make it expensive.
        Nothing is stored or sent."""
        return MeasureItem.of(printable(written.text).strip())

    return router
