"""What ``/health`` asks, and when a service manager is told that all is well."""

from __future__ import annotations

from pathlib import Path

from ivr_engine.bootstrap.parts import Parts
from ivr_engine.errors import ConfigError, ExternalError
from ivr_engine.guard import Services
from ivr_engine.web.health import (
    DRAINING,
    Check,
    HealthBoard,
    disk_check,
    prompts_check,
    socket_check,
    store_check,
)
from ivr_engine.web.sms_numbers import sms_numbers_check
from ivr_engine.web.trunks import trunks_check


class EngineHealth:
    def __init__(self, parts: Parts, services: Services) -> None:
        self._parts = parts
        self._services = services
        self.board = HealthBoard(self._checks())

    async def ready(self) -> bool:
        """Calls can be taken."""
        return all(f.ok for f in await self.board.look() if f.needed)

    async def alive(self) -> bool:
        """No only for what a new process would mend: a part of the engine fails though all else is well.
        Without Asterisk or database the callers there are better off with an engine that waits."""
        return {f.name for f in await self.board.look() if f.needed and not f.ok} != {"services"}

    def _checks(self) -> tuple[Check, ...]:
        parts = self._parts
        return (
            socket_check(parts.telephony),
            store_check(parts.store),
            prompts_check(parts.reloader.playable),
            disk_check(parts.settings.state),
            Check("services", self._all_run, "a part of the engine is failing and being restarted"),
            Check(DRAINING, self._not_draining, "takes no new calls, and ends after the last one"),
            Check("load", self._takes_calls, "overloaded: new callers are left to others", needed=False),
            Check("sms", self._provider_answers, "the SMS provider does not answer", needed=False),
            sms_numbers_check(parts.store, lambda: parts.site),
            Check("configuration", self._site_is_right, self._why_not_in_force, needed=False),
            *((trunks_check(parts.trunks.trunks),) if parts.settings.trunks else ()),
            *parts.dialplan.checks(),
        )

    async def _all_run(self) -> None:
        if self._services.failing:
            raise ExternalError(", ".join(f"{n}: {why}" for n, why in self._services.failing.items()))

    async def _not_draining(self) -> None:
        if self._parts.admission.draining:
            raise ExternalError(f"{self._parts.reception.calls} calls are left")

    async def _takes_calls(self) -> None:
        if why := self._parts.admission.overloaded:
            raise ExternalError(f"the last call on offer was not taken: {why}")

    async def _provider_answers(self) -> None:
        texts = self._parts.texts
        if texts.outbox.provider_down:
            others = f"; {texts.second.name} is given the texts" if texts.second else ""
            raise ExternalError(f"SMS provider {texts.provider.name} is down{others}")

    async def _site_is_right(self) -> None:
        if problems := self._parts.reloader.state.problems:
            raise problems[0]

    def _why_not_in_force(self) -> str:
        """For anybody: which file, nothing of what stands in it."""
        problems = self._parts.reloader.state.problems
        places = sorted({_place(p) for p in problems if isinstance(p, ConfigError)})
        wrong = f"wrong: {', '.join(places[:5])}" if places else "it cannot be loaded"
        return f"the configuration as it is now is not in force; {wrong}"


def _place(problem: ConfigError) -> str:
    name = Path(problem.file).name
    return f"{name} line {problem.line}" if problem.line else name
