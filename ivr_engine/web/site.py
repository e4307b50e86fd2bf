"""The configuration: which one is in force, and taking the files as they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Response

from ivr_engine.errors import ConfigError, IvrError
from ivr_engine.site.reload import State
from ivr_engine.web.shapes.site import ProblemItem, SiteItem

WAITS_S: Final = 5.0
"""Seconds a request waits for the end of the loading; new prompts may take longer."""


def site_router(
    state: Callable[[], State], reload: Callable[[float], Awaitable[State]], draw: Callable[[str], str]
) -> APIRouter:
    """For ``WebServices.more``. ``draw`` makes the SVG of a flow, ``Refused(missing)`` when there is none;
    it may take its time."""
    router = APIRouter(prefix="/site", tags=["site"])

    @router.get("", summary="The configuration in force")
    async def show() -> SiteItem:
        """Whether it is what the files say now, and if not, why."""
        return _item(state())

    @router.post("/reload", summary="Take the files as they are now")
    async def load() -> SiteItem:
        """As happens by itself a second or two after a change. With a mistake in them nothing changes, and
        the problems say why. ``loading``: not at an end within 5 seconds; ask for the configuration again."""
        return _item(await reload(WAITS_S))

    @router.get(
        "/flows/{name}.svg",
        summary="A picture of a flow",
        response_class=Response,
        responses={200: {"content": {"image/svg+xml": {}}}},
    )
    async def picture(name: str) -> Response:
        """As it is in force, with the texts of the default language in short."""
        drawn = await asyncio.to_thread(draw, name)
        return Response(
            drawn,
            media_type="image/svg+xml",
            headers={"Content-Security-Policy": "default-src 'none'; sandbox"},
        )

    return router


def _item(state: State) -> SiteItem:
    return SiteItem(
        ok=not state.problems and not state.loading,
        loading=state.loading,
        version=state.version,
        problems=[_problem(problem) for problem in state.problems],
    )


def _problem(error: IvrError) -> ProblemItem:
    if isinstance(error, ConfigError):
        return ProblemItem(file=error.file, line=error.line, what=error.what, remedy=error.remedy)
    return ProblemItem(what=str(error))
