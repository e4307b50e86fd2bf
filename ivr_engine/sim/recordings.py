"""``ports.Recordings`` of the simulated telephone system: as long as the callers spoke, and one tone."""

from __future__ import annotations

from typing import Final

from ivr_engine.errors import Gone
from ivr_engine.sim.telephony import SimTelephony

TONE: Final = b"\x00\x10\x00\x10\x00\xf0\x00\xf0"


class SimRecordings:
    """As one engine reaches them."""

    def __init__(self, telephony: SimTelephony) -> None:
        self._telephony = telephony

    async def fetch(self, name: str) -> bytes | None:
        return await self._telephony.request("fetch", lambda: self._wav(name))

    def _wav(self, name: str) -> bytes | None:
        tapes = self._telephony.switch.tapes
        if tapes.is_recording(name):
            return None
        if name not in tapes.recorded:
            raise Gone(f"no recording {name}")
        return b"RIFF".ljust(44, b"\0") + TONE * round(tapes.recorded[name] * 8000 / len(TONE) * 2)

    async def delete(self, name: str) -> None:
        await self._telephony.request("delete", lambda: self._telephony.switch.tapes.recorded.pop(name, None))
