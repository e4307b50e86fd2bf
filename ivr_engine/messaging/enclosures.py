"""Pictures and videos that agents send: checked and stored like those that come in, before the text is."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Final

from ivr_engine.domain.messages import Media, MediaStatus
from ivr_engine.errors import ExternalError, Refused
from ivr_engine.messaging.pictures import NotKept, kept
from ivr_engine.messaging.written import delete, keep

MOST_BYTES: Final = 5 * 1024 * 1024
"""Of one file, as it is sent; carriers take no more. Source: Twilio, "MMS media size"."""


class Enclosures:
    """``folder`` is where the files go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._decoding = asyncio.Lock()  # one picture at a time: each may need a hundred megabytes

    async def store(self, content: bytes) -> Media:
        """``Refused`` for what may not be sent; ``ExternalError`` when the disk is full."""
        async with self._decoding:
            checked = await asyncio.to_thread(kept, content)
        if isinstance(checked, NotKept):
            raise Refused(checked.reason)
        if len(checked.content) > MOST_BYTES:
            raise Refused(f"the file is too large: at most {MOST_BYTES // 1024 // 1024} MB are carried")
        media_id = uuid.uuid4().hex
        name = f"{media_id}.{checked.extension}"
        try:
            await keep(self._folder, name, checked.content)
        except OSError as error:
            raise ExternalError(f"the file could not be stored: {error.strerror}") from error
        return Media(
            id=media_id,
            url="",
            content_type=checked.content_type,
            status=MediaStatus.STORED,
            file=name,
            size=len(checked.content),
        )

    async def drop(self, media: Media) -> None:
        """It is not sent after all."""
        if media.file is not None:
            await delete(self._folder, media.file)
