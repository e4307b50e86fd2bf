"""The ``Recordings`` port over ARI. Over HTTP: a file is too large for the event socket."""

from __future__ import annotations

from contextlib import suppress

from ivr_engine.asterisk import ari_operations
from ivr_engine.asterisk.transport import Transport
from ivr_engine.errors import Gone


class AriRecordings:
    """``transport`` is ``AriClient.slow``; it bounds the size of an answer."""

    def __init__(self, transport: Transport) -> None:
        self._ari = ari_operations.Recordings(transport)

    async def fetch(self, name: str) -> bytes | None:
        # The file is there, and grows, while it is being recorded.
        with suppress(Gone):
            await self._ari.get_live(recording_name=name)
            return None
        return await self._ari.get_stored_file(recording_name=name)

    async def delete(self, name: str) -> None:
        with suppress(Gone):
            await self._ari.delete_stored(recording_name=name)
