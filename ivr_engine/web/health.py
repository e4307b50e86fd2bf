"""``/health``: can calls be taken? Yes only when every check that calls depend on says so.

Asked often and by machines: answers are kept for a moment, each check has its own deadline, and none
blocks the event loop. Open without a token, so it names checks and says nothing about the inside.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.errors import ExternalError, IvrError, Unreachable
from ivr_engine.ports import Store, Telephony

DRAINING: Final = "draining"
"""The check that fails while the engine takes no new calls because it is to end."""

CHECK_ANSWERS_S: Final = 2.0
"""Seconds a check has to answer; after them it has failed."""

KEPT_S: Final = 1.0
"""Seconds an answer is given again before the checks run anew."""

DISK_FREE_MB: Final = 200
"""Megabytes that must be free where the state lies."""

STARTING_S: Final = 10.0
"""Seconds from the start in which what has not been well yet is not worth a line in the log."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Check:
    """``probe`` raises an ``IvrError`` (its reason goes to the log) when the thing is not well.

    ``trouble`` is (or gives) the sentence shown to whoever asks. ``needed``: without it no call can be taken.
    """

    name: str
    probe: Callable[[], Awaitable[None]]
    trouble: str | Callable[[], str]
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    ok: bool
    needed: bool
    detail: str


class HealthBoard:
    """Runs the checks, side by side, at most once in ``KEPT_S``."""

    def __init__(self, checks: tuple[Check, ...], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._checks = checks
        self._monotonic = monotonic
        self._began = monotonic()
        self._been_well = set[str]()
        self._told = set[str]()
        """Of these the log says that they are not well."""
        self._findings: tuple[Finding, ...] = ()
        self._found_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def look(self) -> tuple[Finding, ...]:
        """Every check's finding, at most ``KEPT_S`` old. Takes at most ``CHECK_ANSWERS_S``."""
        async with self._one_at_a_time:
            if self._monotonic() - self._found_at >= KEPT_S:
                async with asyncio.TaskGroup() as group:
                    running = [group.create_task(self._run(check)) for check in self._checks]
                self._findings = tuple(task.result() for task in running)
                self._found_at = self._monotonic()
            return self._findings

    async def _run(self, check: Check) -> Finding:
        try:
            async with asyncio.timeout(CHECK_ANSWERS_S):
                await check.probe()
        except (IvrError, OSError, TimeoutError) as error:
            self._tell_of(check, error)
            detail = check.trouble if isinstance(check.trouble, str) else check.trouble()
            return Finding(check.name, ok=False, needed=check.needed, detail=detail)
        if check.name in self._told:
            log.info("health.check_passes_again", check=check.name)
        self._told.discard(check.name)
        self._been_well.add(check.name)
        return Finding(check.name, ok=True, needed=check.needed, detail="ok")

    def _tell_of(self, check: Check, error: Exception) -> None:
        starting = check.name not in self._been_well and self._monotonic() - self._began < STARTING_S
        if starting or check.name in self._told:
            return
        log.error("health.check_failed", check=check.name, error=str(error) or type(error).__name__)
        self._told.add(check.name)


def socket_check(telephony: Telephony) -> Check:
    """The application socket is active: events arrive."""

    async def probe() -> None:
        if not telephony.connected:
            raise Unreachable("the application socket to Asterisk is not open")

    return Check("asterisk", probe, "no connection to Asterisk: new callers hear the fallback")


def store_check(store: Store) -> Check:
    """A row can be written and read."""
    return Check("store", store.check, "the store cannot be written: nothing can be kept")


def prompts_check(ready: Callable[[], bool]) -> Check:
    """``ready``: every prompt of the site lies where Asterisk reads it. It may look at the disk."""

    async def probe() -> None:
        if not await asyncio.to_thread(ready):
            raise ExternalError("prompts are missing")

    return Check("prompts", probe, "prompts are missing: callers would hear silence")


def disk_check(folder: Path, free_mb: int = DISK_FREE_MB) -> Check:
    """Enough space where the state lies."""

    async def probe() -> None:
        free = (await asyncio.to_thread(shutil.disk_usage, folder)).free // 1_000_000
        if free < free_mb:
            raise ExternalError(f"{free} MB free, {free_mb} MB needed")

    return Check("disk", probe, "the disk with the state folder is nearly full")


# ── the route ────────────────────────────────────────────────────────────────────────────────────


class CheckItem(BaseModel):
    name: str
    ok: bool
    needed: bool = Field(description="Without it no call can be taken.")
    detail: str


class Health(BaseModel):
    """Whether calls can be taken now, check by check."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ok",
                    "checks": [{"name": "asterisk", "ok": True, "needed": True, "detail": "ok"}],
                }
            ]
        }
    )
    status: str = Field(description="ok: calls can be taken; failing: not; draining: not any more")
    checks: list[CheckItem]


async def _board(request: Request) -> HealthBoard:
    board: HealthBoard = request.app.state.services.health
    return board


router = APIRouter(tags=["health"])


@router.get(
    "/health",
    summary="Can calls be taken?",
    responses={503: {"model": Health, "description": "At least one needed check fails"}},
)
async def health(board: Annotated[HealthBoard, Depends(_board)], response: Response) -> Health:
    """200 when calls can be taken, else 503; names each check. Needs no token and tells no secret."""
    findings = await board.look()
    well = all(f.ok for f in findings if f.needed)
    if not well:
        response.status_code = 503
    items = [CheckItem(name=f.name, ok=f.ok, needed=f.needed, detail=f.detail) for f in findings]
    draining = any(f.name == DRAINING and not f.ok for f in findings)
    return Health(status="ok" if well else DRAINING if draining else "failing", checks=items)
