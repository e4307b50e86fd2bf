"""The CRM that works with nothing else installed: contacts, tickets, comments and files in the store.

Tickets, messages and pictures are written where they happen, in the same transaction. What is posted here is
the rest: who was connected, transfers, the end, as comments. A comment is made once for each posting.
"""

from __future__ import annotations

from collections.abc import Collection

from ivr_engine.domain.crm import BUILT_IN, Kind, Posting, Topic, in_words
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import Comment
from ivr_engine.errors import Refused, Rejected
from ivr_engine.ports import Store, Tx


class BuiltIn:
    """``ports.Crm``."""

    name = BUILT_IN
    at_once = 64
    """Committed together."""
    kinds: Collection[Kind] = frozenset(
        kind for kind in Kind if kind.topic in (Topic.TRANSFER, Topic.CONVERSATION) and in_words(kind, {})
    )

    def __init__(self, store: Store) -> None:
        self._store = store

    async def post(self, posting: Posting) -> None:
        try:
            await self._store.run(lambda tx: _write(tx, posting))
        except Refused as refusal:
            raise Rejected(refusal.reason) from refusal

    async def close(self) -> None:
        """The store is the engine's."""


def _write(tx: Tx, posting: Posting) -> None:
    ticket = posting.conversation.ticket_id
    for said in posting.said if posting.kind is Kind.MESSAGE else ():
        source = said.message_id or posting.id
        comment = Comment(
            id=f"c-{source}", at=said.at, author=said.by or said.author, text=said.text, source_id=source
        )
        tx.tickets.comment(ticket, comment)
    if posting.file is not None:
        tx.tickets.attach(ticket, replace(posting.file, source_id=posting.file.source_id or posting.id))
    words = in_words(posting.kind, posting.facts)
    if words:
        comment = Comment(
            id=f"c-{posting.id}", at=posting.at, author="system", text=words, source_id=posting.id
        )
        tx.tickets.comment(ticket, comment)
