"""Any CRM, by signed requests: the generic adapter, and the one to copy for a named CRM."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from ivr_engine.crm.bodies import body_of
from ivr_engine.crm.http import SignedPost
from ivr_engine.domain.crm import Kind, Posting, Topic

Link = Callable[[str, str], tuple[str, datetime]]
"""Where a file of a ticket is to be had without a token (ticket, file), and until when."""


class WebhookCrm:
    """``ports.Crm``. What the other side answers beside its status is of no interest."""

    at_once = 8

    def __init__(self, name: str, topics: Iterable[Topic], post: SignedPost, link: Link) -> None:
        self.name = name
        topics = frozenset(topics)
        self.kinds: Collection[Kind] = frozenset(kind for kind in Kind if kind.topic in topics)
        self._post = post
        self._link = link

    async def post(self, posting: Posting) -> None:
        file = posting.file
        link = self._link(posting.conversation.ticket_id, file.id) if file is not None else None
        await self._post.post(posting.id, body_of(posting, link))

    async def close(self) -> None:
        await self._post.close()
