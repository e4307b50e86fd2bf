"""Text messages, in and out, with their pictures; and what an admin decides about unclear ones."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import FileResponse

from ivr_engine.domain.messages import Media, MessageStatus
from ivr_engine.errors import Refused
from ivr_engine.ports import Tx
from ivr_engine.web import files
from ivr_engine.web.errors import ERRORS, MISSING, NOT_NOW
from ivr_engine.web.numbers import asked_number
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import Items, MessageItem

router = APIRouter(prefix="/messages", tags=["messages"], responses=ERRORS)


@router.get("", summary="Messages, newest first")
async def list_messages(
    services: Services,
    number: Annotated[
        str | None,
        Query(description="To or from this number. A + that was not escaped is understood.", max_length=40),
    ] = None,
    status: Annotated[MessageStatus | None, Query(description="Only in this status")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many, the newest")] = 100,
) -> Items[MessageItem]:
    """Both directions. ``status=unknown`` lists those that wait for an admin's decision."""
    wanted = asked_number(number, services.site().country) if number is not None else None
    found = await services.look(lambda tx: tx.messages.search(number=wanted, status=status, limit=limit))
    return Items(items=[MessageItem.of(message) for message in found])


@router.get("/{message_id}", summary="One message", responses=MISSING)
async def show_message(services: Services, message_id: str) -> MessageItem:
    """The message with its media."""
    return MessageItem.of(await services.look(lambda tx: tx.messages.get(message_id)))


@router.get(
    "/{message_id}/media/{media_id}",
    summary="A picture or video",
    response_class=FileResponse,
    responses=MISSING | files.ANSWER,
)
async def fetch_media(services: Services, message_id: str, media_id: str) -> FileResponse:
    """Always a download, never shown inline: what a customer sent is not to be trusted."""

    def find(tx: Tx) -> Media:
        media = next((m for m in tx.messages.get(message_id).media if m.id == media_id), None)
        if media is None or media.file is None:
            raise Refused("this message has no such file, or not yet", missing=True)
        return media

    media = await services.look(find)
    return await files.stored(services.media_folder, media.file or "", media.content_type, media.id)


@router.post("/{message_id}/resend", summary="Send an unknown message again", responses=MISSING | NOT_NOW)
async def resend(services: Services, message_id: str) -> MessageItem:
    """For a message in status ``unknown``: the customer may get it twice, and the admin accepts that."""
    return MessageItem.of(await services.done(services.unknown_messages.resend(message_id)))


@router.post("/{message_id}/drop", summary="Give an unknown message up", responses=MISSING | NOT_NOW)
async def drop(services: Services, message_id: str) -> MessageItem:
    """For a message in status ``unknown``: it is not sent again."""
    return MessageItem.of(await services.done(services.unknown_messages.drop(message_id)))
