"""The ids of one channel's prompts.

Asterisk cannot list what is being played on a channel. So the ids are taken in turn from a few that
follow from the channel's own: an engine that finds the channel after a crash can stop what the engine
before it was playing, and the late end of one prompt is not taken for the end of the next.
"""

from __future__ import annotations

ROUND = 4


class Playbacks:
    """``channel_id``: an adopted channel may be playing any of its ids."""

    def __init__(self, channel_id: str) -> None:
        self._ids = [f"{channel_id}-prompt-{n}" for n in range(ROUND)]
        self._next = 0
        self._playing: list[str] = []

    def adopted(self) -> None:
        """Whatever the engine before started may still be playing."""
        self._playing = list(self._ids)

    def next(self) -> str:
        """The id of a prompt about to be started."""
        playback = self._ids[self._next]
        self._next = (self._next + 1) % ROUND
        if playback not in self._playing:
            self._playing.append(playback)
        return playback

    def ended(self, playback: str) -> None:
        if playback in self._playing:
            self._playing.remove(playback)

    def to_stop(self) -> list[str]:
        """What plays or may be playing, the oldest first."""
        return list(self._playing)
