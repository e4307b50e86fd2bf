"""The lane for callers of a PBX, whose dialplan hands them over by FastAGI."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping

from ivr_engine.asterisk.agi import FastAgi
from ivr_engine.asterisk.agi_settings import AgiSettings, agi_settings
from ivr_engine.asterisk.pbx import PbxWatch
from ivr_engine.callflow.admission import Admission
from ivr_engine.callflow.dialplan import DialplanCalls
from ivr_engine.callflow.house import House
from ivr_engine.errors import ExternalError
from ivr_engine.observability.masking import hide
from ivr_engine.web.health import Check


class DialplanLane:
    """Closed without ``IVR_AGI_PORT``; calls of before are then ended. ``held``: calls in other lanes. Raises
    ``ConfigError`` naming the variable that is wrong."""

    def __init__(
        self, variables: Mapping[str, str], house: House, admission: Admission, held: Callable[[], int]
    ) -> None:
        settings = agi_settings(variables)
        self._pbx = _pbx(settings)
        self.calls = DialplanCalls(house, admission, self._pbx, held)
        self._agi = None if settings is None else FastAgi(settings, self.calls.receive)

    def check(self) -> None:
        """``ConfigError`` when its port is taken."""
        if self._agi is not None:
            self._agi.check()

    def checks(self) -> tuple[Check, ...]:
        """What ``/health`` asks of it."""
        if self._pbx is None:
            return ()
        why = "the PBX's manager interface does not answer: its calls end with their visits"
        return (Check("pbx", self._told_of_ends, why, needed=False),)

    async def _told_of_ends(self) -> None:
        if self._pbx is not None and not self._pbx.connected:
            raise ExternalError("not connected")

    def services(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """By name, as health shows them."""
        agi, pbx = self._agi, self._pbx
        return {
            "dialplan calls": self.calls.run,
            **({"fastagi": agi.run} if agi is not None else {}),
            **({"pbx": functools.partial(pbx.run, self.calls)} if pbx is not None else {}),
        }


def _pbx(settings: AgiSettings | None) -> PbxWatch | None:
    if settings is None:
        return None
    for secret in filter(None, (settings.secret, settings.pbx and settings.pbx.password)):
        hide(secret)
    return PbxWatch(settings.pbx) if settings.pbx is not None else None
