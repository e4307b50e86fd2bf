"""Which of a provider's messages are whose, for a provider whose list has no place for our own id.

Two texts to one person can be the same word for word, so that a look into the list cannot tell them apart by
what they say. What tells is who owns an id already, and whether another text like it has an open outcome.
Kept in memory, bounded; what was before the engine started, its store tells.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from ivr_engine.domain.messages import Message

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

KEPT: Final = 20_000
"""Ids remembered: hours at the pace of one sender, where minutes are needed."""


class Recent(Generic[K, V]):
    """A mapping that forgets what was put into it longest ago."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._items.get(key)

    def put(self, key: K, value: V) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        while len(self._items) > self._most:
            self._items.popitem(last=False)

    def drop(self, key: K) -> None:
        self._items.pop(key, None)

    def items(self) -> list[tuple[K, V]]:
        return list(self._items.items())


Likeness = tuple[str, str, str]


class Claims:
    """``open``: sent by this process and not known yet under which id, if any, the provider has it."""

    def __init__(self) -> None:
        self._owners: Recent[str, str] = Recent()
        self._open: Recent[str, Likeness] = Recent()

    def sending(self, message: Message) -> None:
        """A request is about to leave."""
        self._open.put(message.id, _likeness(message))

    def settled(self, message_id: str, provider_id: str | None) -> None:
        """The outcome is known: the provider's id, or ``None`` when it took nothing."""
        self._open.drop(message_id)
        if provider_id is not None:
            self._owners.put(provider_id, message_id)

    def owner(self, provider_id: str) -> str | None:
        """The id of our message that the provider's message is, if this process knows."""
        return self._owners.get(provider_id)

    def has_open_twin(self, message: Message) -> bool:
        """Another message that the list could not tell from this one has an open outcome too."""
        like = _likeness(message)
        return any(id != message.id and other == like for id, other in self._open.items())


def _likeness(message: Message) -> Likeness:
    return message.sender, message.recipient, " ".join(message.text.split())
