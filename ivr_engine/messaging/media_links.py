"""Where a provider finds the pictures and videos that go out with a text.

The link is made when the text leaves, not when it was written: it may have waited for its number's pace, or
for the morning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from ivr_engine.domain.messages import Media, Message
from ivr_engine.domain.records import replace

Link = Callable[[str, str], tuple[str, datetime]]
"""The address of (message id, file id), and until when it is good."""


def with_links(links: Mapping[str, Link]) -> Callable[[Message], Message]:
    """The message as its provider is given it. ``links``: by the provider's name."""

    def dressed(message: Message) -> Message:
        link = links[message.provider]

        def there(media: Media) -> Media:
            return replace(media, url=link(message.id, media.id)[0]) if media.file else media

        return replace(message, media=tuple(map(there, message.media)))

    return dressed
