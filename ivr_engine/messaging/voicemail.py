"""Messages that callers left: fetched from the telephone system once they are over, attached to a ticket,
and only then deleted there.

A row stands for each recording from before it begins until it is deleted. The file is on the disk, under the
recording's own name, before the ticket has it; whatever a crash cuts short is done again to the same end.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.events import TicketOpened, VoicemailDropped, VoicemailKept
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import TicketFile, Voicemail, ticket_for
from ivr_engine.errors import ExternalError, Gone, IvrError
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, Recordings, Store, Tx

_log = structlog.get_logger()

_SCAN: Final = 100
"""Recordings looked at in one go."""
_HEADER: Final = 44
"""Bytes of a WAV file before the sound."""
_BLOCKS_A_SECOND: Final = 50
_AUDIBLE: Final = 300
"""Peak of 20 ms, of 32767: 40 dB below full scale. A quiet voice is above, a line's noise below."""
_BYTES_A_SECOND: Final = 16_000
"""8 kHz, 16 bit, one channel: what Asterisk writes as ``wav``. Its own count is not trusted: of a recording
that a crash of Asterisk cut short it is 0."""


def seconds_of(wav: bytes) -> float:
    """The length of what the telephone system recorded; 0 for what is no recording."""
    return round(max(0, len(wav) - _HEADER) / _BYTES_A_SECOND, 1) if wav.startswith(b"RIFF") else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicemailPolicy:
    """Seconds. ``shortest_s``: less is nobody's message, nor is what has less than ``spoken_s`` of sound in
    it: who says nothing is recorded until silence ends it. ``missing_s``: a recording not there so long after
    it was to begin never began. Retries double from ``retry_first_s`` to ``retry_most_s``."""

    poll_s: float = 2.0
    shortest_s: float = 1.0
    spoken_s: float = 0.2
    missing_s: float = 60.0
    retry_first_s: float = 2.0
    retry_most_s: float = 300.0


def spoken(wav: bytes, at_least_s: float) -> bool:
    """Whether somebody may have spoken so long; looks no further than it must."""
    samples = array("h")
    samples.frombytes(wav[_HEADER : _HEADER + (len(wav) - _HEADER) // 2 * 2])
    block = _BYTES_A_SECOND // 2 // _BLOCKS_A_SECOND
    needed = at_least_s * _BLOCKS_A_SECOND
    for first in range(0, len(samples), block):
        needed -= max(samples[first : first + block]) > _AUDIBLE
        if needed <= 0:
            return True
    return False


class VoicemailStorer:
    """Hold ``run`` in the root task group. ``engine``: whose recordings; ``keep``: writes a file, by name,
    durably."""

    def __init__(
        self,
        *,
        store: Store,
        recordings: Recordings,
        clock: Clock,
        keep: Callable[[str, bytes], Awaitable[None]],
        engine: str,
        policy: VoicemailPolicy | None = None,
    ) -> None:
        self._store = store
        self._recordings = recordings
        self._clock = clock
        self._keep_file = keep
        self._engine = engine
        self._policy = policy or VoicemailPolicy()
        self._trouble = Trouble("voicemail.store_down", "voicemail.store_back")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.turn()
            except ExternalError as error:
                self._trouble.met(error, meaning="messages of callers are fetched when it is over")
            else:
                self._trouble.over()
            await asyncio.sleep(self._policy.poll_s)

    async def turn(self) -> None:
        """Look after every recording that is due. ``ExternalError``: the store is gone."""
        now = self._clock.now()
        for voicemail in await self._store.run(lambda tx: tx.voicemails.due(self._engine, now, _SCAN)):
            try:
                await self._look_after(voicemail)
            except (IvrError, OSError) as error:
                _log.warning("voicemail.not_fetched", voicemail=voicemail.id, why=str(error))
                await self._put_off(voicemail)

    async def _look_after(self, voicemail: Voicemail) -> None:
        if not voicemail.kept:
            call = await self._store.run(lambda tx: tx.calls.get(voicemail.call_id))
            if call.chapter is Chapter.RECORDING and call.where.recording == voicemail.id:
                return
            if not await self._keep(voicemail):
                return
        await self._recordings.delete(voicemail.id)
        await self._store.run(lambda tx: tx.voicemails.remove(voicemail.id))

    async def _keep(self, voicemail: Voicemail) -> bool:
        """False while it is being made, or may still come."""
        try:
            content = await self._recordings.fetch(voicemail.id)
        except Gone:
            if self._clock.now() - voicemail.started_at < timedelta(seconds=self._policy.missing_s):
                return False
            content = b""
        if content is None:
            return False
        seconds = seconds_of(content)
        if seconds < self._policy.shortest_s or not spoken(content, self._policy.spoken_s):
            await self._store.run(lambda tx: self._dropped(tx, voicemail, seconds))
            return True
        name = f"{voicemail.id}.wav"
        await self._keep_file(name, content)
        await self._store.run(lambda tx: self._attached(tx, voicemail, name, len(content), seconds))
        return True

    def _dropped(self, tx: Tx, voicemail: Voicemail, seconds: float) -> None:
        tx.voicemails.save(replace(voicemail, kept=True))
        tx.events.add(self._clock.now(), voicemail.call_id, VoicemailDropped(voicemail.id, seconds))

    def _attached(self, tx: Tx, voicemail: Voicemail, name: str, size: int, seconds: float) -> None:
        now = self._clock.now()
        call = self._with_ticket(tx, tx.calls.get(voicemail.call_id))
        ticket = call.ticket_id or ""
        file = TicketFile(
            id=f"f-{voicemail.id}",
            at=voicemail.started_at,
            file=name,
            content_type="audio/wav",
            size=size,
            source_id=voicemail.id,
        )
        tx.tickets.attach(ticket, file)
        tx.voicemails.save(replace(voicemail, kept=True))
        tx.events.add(now, call.id, VoicemailKept(voicemail.id, ticket, seconds))

    def _with_ticket(self, tx: Tx, call: Call) -> Call:
        """One ticket a call, however many messages."""
        if call.ticket_id is not None:
            return call
        now = self._clock.now()
        ticket = ticket_for(call, tx.messages.of_call(call.id), id=f"t-{call.id}", now=now)
        call = replace(call, ticket_id=ticket.id)
        tx.tickets.add(ticket)
        tx.calls.save(call)
        tx.events.add(now, call.id, TicketOpened(ticket.id))
        return call

    async def _put_off(self, voicemail: Voicemail) -> None:
        policy = self._policy
        wait = min(policy.retry_most_s, policy.retry_first_s * 2 ** min(voicemail.attempts, 20))
        later = self._clock.now() + timedelta(seconds=wait)
        await self._store.run(lambda tx: tx.voicemails.put_off(voicemail.id, later))
