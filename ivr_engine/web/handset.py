"""The caller's phone in the SMS simulator, for testers: what it got, and answering from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from ivr_engine.domain.numbers import to_e164
from ivr_engine.errors import Refused
from ivr_engine.ports import Handset
from ivr_engine.web.numbers import asked_number

MAX_FILES: Final = 10

PhoneNumber = Annotated[
    str, Path(description="The phone's number, E.164", max_length=40, examples=["+4915112345678"])
]

_EXAMPLE: Final = {"text": "My order is 4711", "to": "+4930123456"}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"text": {"type": "string"}, "to": {"type": "string"}},
                },
                "example": _EXAMPLE,
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "to": {"type": "string"},
                        "media": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            },
        },
    }
}


class HandsetMedia(BaseModel):
    """A picture or video; ``url`` is the simulator's and wants its credentials."""

    url: str
    content_type: str


class HandsetMessage(BaseModel):
    """A text as it arrived at the phone."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    id: str
    sender: str = Field(alias="from")
    to: str
    text: str
    status: str
    created_at: float = Field(description="Seconds since 1970, UTC")
    media: list[HandsetMedia] = Field(default_factory=list[HandsetMedia])


class HandsetMessages(BaseModel):
    items: list[HandsetMessage]


class Sent(BaseModel):
    """``id`` is the provider's."""

    id: str


class _Letter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = Field(default="", max_length=1600)
    to: str | None = Field(default=None, max_length=40)


def handset_router(handset: Handset, country: Callable[[], str]) -> APIRouter:
    """For ``WebServices.more``. ``country``: where numbers without a country code are from."""
    router = APIRouter(prefix="/handset", tags=["handset"])

    def phone(raw: str) -> str:
        number = to_e164(asked_number(raw, country()), country())
        if number is None:
            raise HTTPException(422, "this is no phone number")
        return number

    @router.get("/{number}/messages", summary="What the phone got, oldest first")
    async def read(number: PhoneNumber) -> HandsetMessages:
        """Texts that the provider accepted for this phone."""
        found = await handset.read(phone(number))
        return HandsetMessages(items=[HandsetMessage.model_validate(m) for m in found])

    @router.post("/{number}/messages", summary="Write from the phone", status_code=201, openapi_extra=_BODY)
    async def write(number: PhoneNumber, request: Request) -> Sent:
        """JSON, or a multipart form with up to ten files in ``media``. Without ``to`` it answers whoever
        wrote last."""
        letter, media = await _letter(request)
        if not letter.text and not media:
            raise Refused("write a text or send a file")
        to = letter.to and (to_e164(letter.to, country()) or letter.to)
        return Sent(id=await handset.answer(phone(number), to, letter.text, media))

    return router


def no_handset_router(provider: str) -> APIRouter:
    """In its place where texts go to real phones: says so, rather than that there is no such address."""
    router = APIRouter(prefix="/handset", tags=["handset"])

    @router.get("/{number}/messages", summary="Only with the SMS simulator")
    @router.post("/{number}/messages", include_in_schema=False)
    async def nobody(number: PhoneNumber) -> HandsetMessages:
        """The phone is the caller's own where the SMS provider is not the simulator."""
        raise Refused(
            f"handsets are part of the SMS simulator, and here texts go by {provider}: "
            "use a real phone, or set 'provider: simulator' in sms.yaml",
            missing=True,
        )

    return router


async def _letter(request: Request) -> tuple[_Letter, list[tuple[str, bytes]]]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return _Letter.model_validate_json(await request.body()), []
        if kind == "multipart/form-data":
            async with request.form(max_files=MAX_FILES, max_fields=10) as form:
                return _Letter.model_validate(_texts(form)), await _files(form)
    except ValidationError as error:
        raise HTTPException(422, error.errors()[0]["msg"]) from None
    raise HTTPException(415, "send JSON or a multipart form")


def _texts(form: FormData) -> Mapping[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


async def _files(form: FormData) -> list[tuple[str, bytes]]:
    """(content type claimed, content)"""
    return [
        (part.content_type or "application/octet-stream", await part.read())
        for part in form.getlist("media")
        if isinstance(part, UploadFile)
    ]
