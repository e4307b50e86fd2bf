"""Asking another system whose a phone number is, by a signed request."""

from __future__ import annotations

import uuid

import msgspec
from pydantic import ValidationError

from ivr_engine.crm.bodies import KnownContacts, NumberAsked
from ivr_engine.crm.http import SignedPost
from ivr_engine.domain.contacts import Found
from ivr_engine.errors import ExternalError


class WebhookDirectory:
    """``ports.ContactDirectory``."""

    def __init__(self, system: str, post: SignedPost) -> None:
        self.system = system
        self._post = post

    async def find(self, number: str) -> list[Found]:
        body = msgspec.json.encode(NumberAsked(number=number).model_dump(mode="json"))
        answer = await self._post.post(f"lookup-{uuid.uuid4().hex}", body)
        try:
            known = KnownContacts.model_validate_json(answer)
        except ValidationError:
            # Not its text: it may quote the answer.
            raise ExternalError("its answer is not what docs/crm.md describes") from None
        return [Found(_clean(each.id), _clean(each.name), _clean(each.language)) for each in known.contacts]

    async def close(self) -> None:
        await self._post.close()


def _clean(text: str) -> str:
    return "".join(character for character in text if character.isprintable()).strip()
