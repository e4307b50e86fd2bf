"""Pictures and videos: fetched from the provider after the webhook was answered, checked, stored, attached.

The file is on the disk before the row says so, under the random id of its row; a crash in between costs a
second fetch that writes the same name again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from ivr_engine.domain.events import MediaKept
from ivr_engine.domain.messages import Media, MediaStatus, Message
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import file_from
from ivr_engine.errors import ExternalError, IvrError
from ivr_engine.messaging.metrics import MEDIA
from ivr_engine.messaging.pictures import NotKept, kept
from ivr_engine.messaging.written import write_whole
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, SmsProvider, Store, Tx

_log = structlog.get_logger()

_FETCH_AT_MOST_S: Final = 60.0
"""Above every deadline an adapter has of its own."""
_SCAN: Final = 500
"""Messages with open media looked at in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPolicy:
    """Seconds: ``retry_first_s`` doubles up to ``retry_most_s``; after ``give_up_s`` a file is refused.
    ``at_once``: messages whose files are fetched side by side."""

    retry_first_s: float = 2.0
    retry_most_s: float = 300.0
    give_up_s: float = 86_400.0
    poll_s: float = 5.0
    at_once: int = 4


class MediaStorer:
    """Hold ``run`` in the root task group. ``folder`` is where the files go."""

    def __init__(
        self,
        *,
        store: Store,
        provider: SmsProvider,
        second: SmsProvider | None = None,
        clock: Clock,
        folder: Path,
        policy: MediaPolicy | None = None,
    ) -> None:
        self._store = store
        self._provider = provider
        self._second = second
        self._clock = clock
        self._folder = folder
        self._policy = policy or MediaPolicy()
        self._woken = asyncio.Event()
        self._in_hand: set[str] = set()
        self._trouble = Trouble("media.store_down", "media.store_back")
        self._decoding = asyncio.Lock()  # one picture at a time: each may need a hundred megabytes

    def wake(self) -> None:
        """A message with media was stored."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled. A file that hangs holds up neither the others nor what comes after it."""
        self._in_hand.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                await self._turn(group)
                try:
                    async with asyncio.timeout(self._policy.poll_s):
                        await self._woken.wait()
                except TimeoutError:
                    continue

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        try:
            waiting = await self._store.run(lambda tx: tx.messages.with_pending_media(_SCAN))
        except ExternalError as error:
            self._trouble.met(error, meaning="pictures are not fetched until it is over")
            return
        self._trouble.over()
        now = self._clock.now()
        for message in waiting:
            due = message.next_attempt_at is None or message.next_attempt_at <= now
            if due and message.id not in self._in_hand and len(self._in_hand) < self._policy.at_once:
                self._in_hand.add(message.id)
                group.create_task(self._take_in_hand(message))

    async def _take_in_hand(self, message: Message) -> None:
        try:
            await self._store_media_of(message)
        except IvrError as error:  # the store is gone, or the message is: both are seen at the next turn
            _log.warning("media.not_stored", message=message.id, why=str(error))
        else:
            self._woken.set()  # there is a place again
        finally:
            self._in_hand.discard(message.id)

    async def _store_media_of(self, message: Message) -> None:
        try:
            for media in message.media:
                if media.status is MediaStatus.PENDING:
                    await self._finish(message, await self._obtained(message, media))
        except (ExternalError, OSError) as error:
            await self._put_off(message, error)

    async def _obtained(self, message: Message, media: Media) -> Media:
        """``media`` stored or refused; raises when it may work later."""
        provider = self._provider
        if self._second is not None and self._second.name == message.provider:
            provider = self._second
        try:
            async with asyncio.timeout(_FETCH_AT_MOST_S):
                _claimed, content = await provider.fetch(media)
        except TimeoutError as error:
            raise ExternalError("the provider's media: too slow") from error
        except ExternalError as error:
            if error.retryable:
                raise
            return replace(media, status=MediaStatus.REFUSED, problem=str(error))
        async with self._decoding:
            return await asyncio.to_thread(_checked_and_written, media, content, self._folder)

    async def _finish(self, message: Message, media: Media) -> None:
        def write(tx: Tx) -> None:
            now = self._clock.now()
            current = tx.messages.get(message.id)
            tx.messages.save(_with(current, media, attempts=0, next_attempt_at=None))
            file = file_from(media, now)
            if current.ticket_id is not None and file is not None:
                tx.tickets.attach(current.ticket_id, file)
            if file is not None:
                tx.events.add(now, current.call_id, MediaKept(message.id, media.id))

        await self._store.run(write)
        MEDIA.labels(media.status).inc()
        if media.status is MediaStatus.REFUSED:
            _log.warning("media.refused", message=message.id, media=media.id, reason=media.problem)

    async def _put_off(self, message: Message, error: Exception) -> None:
        def write(tx: Tx) -> bool:
            now = self._clock.now()
            current = tx.messages.get(message.id)
            if now - current.created_at > timedelta(seconds=self._policy.give_up_s):
                tx.messages.save(_given_up(current))
                return True
            wait = min(self._policy.retry_most_s, self._policy.retry_first_s * 2 ** min(current.attempts, 20))
            later = now + timedelta(seconds=wait)
            tx.messages.save(replace(current, attempts=current.attempts + 1, next_attempt_at=later))
            return False

        given_up = await self._store.run(write)
        _log.warning("media.not_fetched", message=message.id, why=str(error), given_up=given_up)


def _with(message: Message, media: Media, *, attempts: int, next_attempt_at: datetime | None) -> Message:
    """``media`` in its place; what was decided about it before stays."""
    files = tuple(
        media if one.id == media.id and one.status is MediaStatus.PENDING else one for one in message.media
    )
    return replace(message, media=files, attempts=attempts, next_attempt_at=next_attempt_at)


def _given_up(message: Message) -> Message:
    files = tuple(
        replace(one, status=MediaStatus.REFUSED, problem="could not be fetched from the provider")
        if one.status is MediaStatus.PENDING
        else one
        for one in message.media
    )
    return replace(message, media=files, next_attempt_at=None)


def _checked_and_written(media: Media, content: bytes, folder: Path) -> Media:
    """In a thread. ``OSError``: the disk is full or the folder not writable; later, then."""
    result = kept(content)
    if isinstance(result, NotKept):
        return replace(media, status=MediaStatus.REFUSED, problem=result.reason)
    name = f"{media.id}.{result.extension}"
    write_whole(folder, name, result.content)
    return replace(
        media,
        status=MediaStatus.STORED,
        file=name,
        size=len(result.content),
        content_type=result.content_type,
    )
