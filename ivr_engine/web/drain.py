"""Emptying an engine before it is stopped."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from pydantic import BaseModel, Field


class DrainItem(BaseModel):
    calls: int = Field(description="Calls that are still here; the engine ends when the last one is over.")


def drain_router(drain: Callable[[], int]) -> APIRouter:
    """For ``WebServices.more``. ``drain`` may be asked for again; it tells the calls that are left."""
    router = APIRouter(prefix="/drain", tags=["health"])

    @router.post("", summary="Take no new calls, and end after the last one")
    async def begin() -> DrainItem:
        """New callers are left to other engines or the fallback; ``/health`` says ``draining``, with 503.
        There is no way back but a new start."""
        return DrainItem(calls=drain())

    return router
