"""The ``Leg`` port over ARI: what is played to the caller, and the keys they press.

Events are handed in by the reading task (``hear``) and never wait: while a verb listens, keys and playback
ends go into its bounded queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeGuard, TypeVar

import structlog

from ivr_engine.asterisk.ari_client import AriClient
from ivr_engine.asterisk.ari_models import (
    ChannelDtmfReceived,
    PlaybackFinished,
    RecordingFailed,
    RecordingFinished,
)
from ivr_engine.asterisk.channel import AriChannel
from ivr_engine.asterisk.playbacks import Playbacks
from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.errors import ExternalError, Gone, NotInStasis
from ivr_engine.ports import Digit, Failed, Finished, GatherResult, PlayResult, Prompt, Timeout

T = TypeVar("T")
Heard = ChannelDtmfReceived | PlaybackFinished | RecordingFinished | RecordingFailed
Inbox = asyncio.Queue[Heard]

log = structlog.get_logger()

MOST_TYPED = 20
"""Keys kept between two questions; of more the last ones."""
HANG_UP_FOLLOWS_S = 0.25
"""A prompt that a hang-up cut short is reported as failed, sometimes just before the hang-up itself."""


class AriLeg(AriChannel):
    """One party. Made by ``AriTelephony`` only, which routes the channel's events here."""

    def __init__(self, client: AriClient, settings: AriSettings, channel_id: str) -> None:
        super().__init__(client, settings, channel_id)
        self._inboxes: list[Inbox] = []
        self._typed: deque[str] | None = None
        """Keys nobody waited for since the last ``gather`` began; ``None``: something else was done since."""
        self._playbacks = Playbacks(channel_id)

    # ── called by the reading task ───────────────────────────────────────────────────────────────

    def hear(self, event: Heard) -> bool:
        """Queue a key or a playback's end for whoever listens; false when a queue is full."""
        if isinstance(event, PlaybackFinished):
            self._playbacks.ended(event.playback.id)
        if not self._inboxes and self._typed is not None and isinstance(event, ChannelDtmfReceived):
            self._typed.append(event.digit)
        for inbox in self._inboxes:
            if inbox.full():
                return False
            inbox.put_nowait(event)
        return True

    def adopted(self, state: str) -> None:
        """As ``entered``, for a channel that another engine had before."""
        self._playbacks.adopted()
        self.entered(state)

    # ── the verbs ────────────────────────────────────────────────────────────────────────────────

    async def play(self, prompts: Sequence[Prompt]) -> PlayResult:
        self._typed = None
        async with self._while_alive():
            if not prompts:
                return Finished()
            with self._listening() as inbox:
                started = await self._start(prompts)
                if isinstance(started, Failed):
                    return started
                try:
                    async with asyncio.timeout(self._longest(prompts)):
                        while True:
                            ended = await self._end_of(started, await inbox.get())
                            if ended is not None:
                                return ended
                except TimeoutError:
                    log.warning("playback.end_missing", channel=self._id, prompts=[p.name for p in prompts])
                    return Failed("Asterisk never reported the end of the prompt")

    async def gather(
        self, prompts: Sequence[Prompt], *, window_s: float, go_on: bool = False
    ) -> GatherResult:
        typed = self._typed = self._typed if go_on and self._typed else deque(maxlen=MOST_TYPED)
        async with self._while_alive():
            if typed:
                return Digit(typed.popleft())
            with self._listening() as inbox:
                try:
                    return await self._gathered(inbox, prompts, window_s)
                finally:
                    typed.extend(_keys_left(inbox))

    async def _gathered(self, inbox: Inbox, prompts: Sequence[Prompt], window_s: float) -> GatherResult:
        if prompts:
            heard = await self._key_or_end(inbox, prompts)
            if not isinstance(heard, Finished):
                return heard
        return await self._key_within(inbox, window_s)

    async def _key_or_end(self, inbox: Inbox, prompts: Sequence[Prompt]) -> Digit | Finished | Failed:
        """The first key, which stops the prompts, or how the prompts ended without one."""
        started = await self._start(prompts)
        if isinstance(started, Failed):
            return started
        try:
            async with asyncio.timeout(self._longest(prompts)):
                while True:
                    event = await inbox.get()
                    if isinstance(event, ChannelDtmfReceived):
                        break
                    ended = await self._end_of(started, event)
                    if ended is not None:
                        return ended
        except TimeoutError:
            # An event lost with a connection must not cost the caller the time to press a key.
            log.warning("playback.end_missing", channel=self._id, prompts=[p.name for p in prompts])
            return Finished()
        await self._stop(started)
        return Digit(event.digit)

    async def _key_within(self, inbox: Inbox, window_s: float) -> Digit | Timeout:
        try:
            async with asyncio.timeout(window_s):
                while True:
                    event = await inbox.get()
                    if isinstance(event, ChannelDtmfReceived):
                        return Digit(event.digit)
        except TimeoutError:
            return Timeout()

    async def record(self, name: str, *, longest_s: int, silence_s: int) -> PlayResult:
        self._typed = None
        async with self._while_alive():
            with self._listening() as inbox:
                if not await self._recording(name, longest_s, silence_s):
                    return Finished()
                try:
                    async with asyncio.timeout(longest_s + self._settings.times.playback_margin_s):
                        while True:
                            event = await inbox.get()
                            if _is_end_of(event, name):
                                return _recorded(event)
                except TimeoutError:
                    log.warning("recording.end_missing", channel=self._id, recording=name)
                    return Finished()

    async def _recording(self, name: str, longest_s: int, silence_s: int) -> bool:
        """Begin it, or find it begun; false when it is over."""
        # Asterisk records no channel that is in a bridge.
        await self.leave_bridge()
        try:
            await self._client.channels.record(
                channel_id=self._id,
                name=name,
                format="wav",
                max_duration_seconds=longest_s,
                max_silence_seconds=silence_s,
                if_exists="fail",
                terminate_on="#",
            )
        except Gone as error:
            self.end()
            raise self._life.over() from error
        except NotInStasis:
            # 409: there is one of that name, going on or over; or the channel is not ours.
            await self.check()
            with suppress(Gone):
                await self._client.recordings.get_live(recording_name=name)
                return True
            await self._client.recordings.get_stored(recording_name=name)
            return False
        return True

    async def stop_playing(self) -> None:
        async with self._while_alive():
            for playback in self._playbacks.to_stop():
                await self._stop(playback)

    async def until(self, awaitable: Awaitable[T]) -> T:
        self._typed = None
        async with self._while_alive(awaitable):
            return await awaitable

    # ── how they do it ───────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _listening(self) -> Generator[Inbox, None, None]:
        """From here on keys count: the listener exists before the request is sent."""
        inbox = Inbox(self._settings.leg_queue)
        self._inboxes.append(inbox)
        try:
            yield inbox
        finally:
            self._inboxes.remove(inbox)

    async def _start(self, prompts: Sequence[Prompt]) -> str | Failed:
        playback = self._playbacks.next()
        try:
            await self._on_channel(
                self._client.channels.play_with_id(
                    channel_id=self._id, playback_id=playback, media=[p.media for p in prompts]
                )
            )
        except ExternalError as error:
            log.warning("prompt.not_played", channel=self._id, why=str(error))
            return Failed(str(error))
        return playback

    async def _stop(self, playback: str) -> None:
        try:
            await self._client.playbacks.stop(playback_id=playback)
        except Gone:
            self._playbacks.ended(playback)
        except ExternalError as error:
            log.warning("prompt.not_stopped", channel=self._id, why=str(error))

    @staticmethod
    async def _end_of(playback: str, event: Heard) -> Finished | Failed | None:
        if not isinstance(event, PlaybackFinished) or event.playback.id != playback:
            return None
        if event.playback.state == "failed":
            await asyncio.sleep(HANG_UP_FOLLOWS_S)
            return Failed(f"Asterisk could not play {event.playback.media_uri}; is the file there?")
        return Finished()

    def _longest(self, prompts: Sequence[Prompt]) -> float:
        return sum(p.seconds for p in prompts) + self._settings.times.playback_margin_s


def _keys_left(inbox: Inbox) -> Iterator[str]:
    while not inbox.empty():
        event = inbox.get_nowait()
        if isinstance(event, ChannelDtmfReceived):
            yield event.digit


def _is_end_of(event: Heard, name: str) -> TypeGuard[RecordingFinished | RecordingFailed]:
    return isinstance(event, RecordingFinished | RecordingFailed) and event.recording.name == name


def _recorded(event: RecordingFinished | RecordingFailed) -> PlayResult:
    if isinstance(event, RecordingFailed):
        return Failed(
            f"Asterisk could not record ({event.recording.cause or 'no cause given'}); is the disk full?"
        )
    return Finished()
