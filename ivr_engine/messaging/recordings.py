"""Recordings of talks: fetched from the telephone system once they are over, attached to the call's ticket,
kept for as long, and as many, as the configuration says, then deleted.

A row stands for each from before it begins. Each step is stored before what it stands for is done, or is
fine to be done again; what a crash cuts short ends the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from ivr_engine.domain.calls import Chapter
from ivr_engine.domain.events import RecordingDeleted, RecordingDropped, RecordingKept
from ivr_engine.domain.recordings import RecordingStatus, TalkRecording, file_name, too_many
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import TicketFile
from ivr_engine.errors import ExternalError, Gone, IvrError
from ivr_engine.messaging.voicemail import seconds_of
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, Recordings, Store, Tx
from ivr_engine.site.general import RecordingSettings

_log = structlog.get_logger()

_SCAN: Final = 100
_GIGABYTE: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPolicy:
    """Seconds. ``shortest_s``: less is nothing. ``missing_s``: a recording not there so long after it was to
    begin never began. Retries double from ``retry_first_s`` to ``retry_most_s``. ``sweep_s``: between two
    looks at what is too old or too much."""

    poll_s: float = 2.0
    shortest_s: float = 0.5
    missing_s: float = 60.0
    retry_first_s: float = 2.0
    retry_most_s: float = 300.0
    sweep_s: float = 60.0


class RecordingKeeper:
    """Hold ``run`` in the root task group. ``engine``: whose recordings; ``stop`` ends one in the telephone
    system; ``keep`` writes a file by name, durably; ``delete`` takes it away, fine when it is gone."""

    def __init__(
        self,
        *,
        store: Store,
        recordings: Recordings,
        stop: Callable[[str], Awaitable[None]],
        clock: Clock,
        keep: Callable[[str, bytes], Awaitable[None]],
        delete: Callable[[str], Awaitable[None]],
        engine: str,
        settings: Callable[[], RecordingSettings],
        policy: RecordingPolicy | None = None,
    ) -> None:
        self._store = store
        self._recordings = recordings
        self._stop = stop
        self._clock = clock
        self._keep_file = keep
        self._delete_file = delete
        self._engine = engine
        self._settings = settings
        self._policy = policy or RecordingPolicy()
        self._trouble = Trouble("recordings.store_down", "recordings.store_back")
        self._next_sweep = clock.now()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.turn()
            except ExternalError as error:
                self._trouble.met(error, meaning="recordings are fetched and deleted when it is over")
            else:
                self._trouble.over()
            await asyncio.sleep(self._policy.poll_s)

    async def turn(self) -> None:
        """Look after everything that is due. ``ExternalError``: the store is gone."""
        for recording in await self._store.run(self._over):
            await self._try(recording, self._fetch)
        for recording in await self._store.run(lambda tx: self._due(tx, RecordingStatus.FETCHED)):
            await self._try(recording, self._clear_away)
        if self._clock.now() >= self._next_sweep:
            self._next_sweep = self._clock.now() + timedelta(seconds=self._policy.sweep_s)
            await self._sweep()

    async def _try(self, recording: TalkRecording, do: Callable[[TalkRecording], Awaitable[None]]) -> None:
        try:
            await do(recording)
        except (IvrError, OSError) as error:
            _log.warning("recording.not_fetched", recording=recording.id, why=str(error))
            await self._put_off(recording)

    def _due(self, tx: Tx, status: RecordingStatus) -> list[TalkRecording]:
        return tx.recordings.due(self._engine, status, self._clock.now(), _SCAN)

    def _over(self, tx: Tx) -> list[TalkRecording]:
        """Not those that are being made as they should."""
        made = tx.recordings.due(self._engine, RecordingStatus.MAKING, self._clock.now(), 100 * _SCAN)
        calls = {each.call_id: tx.calls.get(each.call_id) for each in made}
        wanted = {c.talk.recording for c in calls.values() if c.chapter is Chapter.TALKING}
        return [each for each in made if each.id not in wanted][:_SCAN]

    # ── fetching ─────────────────────────────────────────────────────────────────────────────────

    async def _fetch(self, recording: TalkRecording) -> None:
        try:
            content = await self._recordings.fetch(recording.id)
        except Gone:
            if self._clock.now() - recording.started_at < timedelta(seconds=self._policy.missing_s):
                return
            content = b""
        if content is None:
            await self._stop(recording.id)
            return
        seconds = seconds_of(content)
        if seconds < self._policy.shortest_s:
            await self._store.run(lambda tx: self._dropped(tx, recording, seconds))
            await self._recordings.delete(recording.id)
            return
        await self._keep_file(file_name(recording.id), content)
        await self._store.run(lambda tx: self._kept(tx, recording, len(content), seconds))

    def _dropped(self, tx: Tx, recording: TalkRecording, seconds: float) -> None:
        tx.recordings.save(replace(recording, status=RecordingStatus.EMPTY))
        tx.events.add(self._clock.now(), recording.call_id, RecordingDropped(recording.id, seconds))

    def _kept(self, tx: Tx, recording: TalkRecording, size: int, seconds: float) -> None:
        ticket_id = tx.calls.get(recording.call_id).ticket_id
        kept = replace(
            recording,
            status=RecordingStatus.FETCHED,
            size=size,
            seconds=seconds,
            attempts=0,
            next_attempt_at=None,
        )
        tx.recordings.save(kept)
        if ticket_id is not None:
            file = TicketFile(
                id=f"f-{recording.id}",
                at=recording.started_at,
                file=kept.file,
                content_type="audio/wav",
                size=size,
                source_id=recording.id,
            )
            tx.tickets.attach(ticket_id, file)
        tx.events.add(self._clock.now(), recording.call_id, RecordingKept(recording.id, seconds))

    async def _clear_away(self, recording: TalkRecording) -> None:
        await self._recordings.delete(recording.id)
        kept = replace(recording, status=RecordingStatus.KEPT)
        await self._store.run(lambda tx: tx.recordings.save(kept))

    async def _put_off(self, recording: TalkRecording) -> None:
        policy = self._policy
        wait = min(policy.retry_most_s, policy.retry_first_s * 2 ** min(recording.attempts, 20))
        later = replace(
            recording,
            attempts=recording.attempts + 1,
            next_attempt_at=self._clock.now() + timedelta(seconds=wait),
        )
        await self._store.run(lambda tx: tx.recordings.save(later))

    # ── deleting ─────────────────────────────────────────────────────────────────────────────────

    async def _sweep(self) -> None:
        """What is too old, or too much. Whichever engine comes first does it for all."""
        settings = self._settings()
        await self._store.run(lambda tx: self._expire(tx, settings))
        for recording in await self._store.run(
            lambda tx: tx.recordings.with_status(RecordingStatus.EXPIRING)
        ):
            try:
                await self._delete_file(file_name(recording.id))
            except OSError as error:
                _log.error("recording.not_deleted", recording=recording.id, why=str(error))
                continue
            gone = replace(recording, status=RecordingStatus.DELETED)
            await self._store.run(lambda tx, gone=gone: tx.recordings.save(gone))

    def _expire(self, tx: Tx, settings: RecordingSettings) -> None:
        now = self._clock.now()
        kept = tx.recordings.with_status(RecordingStatus.KEPT)
        old = [each for each in kept if now - each.started_at > timedelta(days=settings.keep_days)]
        over = too_many(kept, round(settings.keep_gigabytes * _GIGABYTE))
        for each in {one.id: one for one in (*old, *over)}.values():
            expire(tx, each, "age" if each in old else "space")
            tx.events.add(now, each.call_id, RecordingDeleted(each.id, "age" if each in old else "space"))


def expire(tx: Tx, recording: TalkRecording, _why: str = "") -> None:
    """No longer on the ticket; the file is deleted at the next sweep."""
    ticket_id = tx.calls.get(recording.call_id).ticket_id
    if ticket_id is not None:
        tx.tickets.detach(ticket_id, recording.id)
    tx.recordings.save(replace(recording, status=RecordingStatus.EXPIRING))
