"""Nodes of flows that send the caller a text. A key of a menu leads there: that key is the consent to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import Field

from ivr_engine.site.values import Language, Link, Name, PromptName, Settings, SmsText
from ivr_engine.site.way import Way

LINK_FACTS: Final = frozenset({"call", "number", "language"})
"""What can be filled into a link: the call's id, the number dialled, the language."""


class Texting(Settings):
    """What both have in common."""

    queue: Name
    """Whose text it is: it comes from this queue's numbers, and goes to the countries that this queue's
    callers may be written to in."""
    text: dict[Language, SmsText] = Field(min_length=1)
    """The SMS, per language."""
    not_sent: PromptName = "text_not_sent"
    """For who cannot be written to: a landline, a hidden number, somebody who opted out."""
    otherwise: Name
    """Where to after that."""

    def ways(self) -> Iterator[Way]:
        yield Way(("otherwise",), self.otherwise)


class GoBySms(Texting):
    """The call ends politely and goes on by SMS: what the caller answers is for the queue. ``{brand}`` is
    filled in."""

    prompt: PromptName = "deflected"
    """The last words."""


class AppLink(Texting):
    """A text with a link, into an app or a page; then the call goes on. ``{brand}`` and ``{link}`` are filled
    in."""

    link: Link
    """Where to, over https. ``{call}``, ``{number}`` (the one dialled) and ``{language}`` are filled in, and
    encoded."""
    prompt: PromptName = "link_sent"
    """Said when it is on its way."""
    then: Name
    """The node after it."""

    def ways(self) -> Iterator[Way]:
        yield Way(("then",), self.then)
        yield from super().ways()
