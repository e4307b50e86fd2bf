"""Lines to the world, as they are now; empty where none is watched (``IVR_TRUNKS``)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from fastapi import APIRouter

from ivr_engine.domain.trunks import Trunk, TrunkState
from ivr_engine.errors import ExternalError
from ivr_engine.web.errors import ERRORS
from ivr_engine.web.health import Check
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import Items
from ivr_engine.web.shapes.trunks import TrunkItem

Trunks = Callable[[], Collection[Trunk]]


router = APIRouter(prefix="/trunks", tags=["trunks"], responses=ERRORS)


@router.get("", summary="Lines to the world")
async def list_trunks(services: Services) -> Items[TrunkItem]:
    """Every trunk that is watched: whether calls can pass over it, since when, and why not."""
    return Items(
        items=[TrunkItem(name=t.name, state=t.state, why=t.why, since=t.since) for t in services.trunks()]
    )


def trunks_check(trunks: Trunks) -> Check:
    """Every watched trunk is up. Not needed: calls come over the others, and by themselves soon again."""

    async def probe() -> None:
        troubles = [f"{trunk.name}: {trunk.why}" for trunk in trunks() if trunk.state is not TrunkState.UP]
        if troubles:
            raise ExternalError("; ".join(troubles))

    return Check("trunks", probe, "a line to the world is down or not seen: GET /api/v1/trunks", needed=False)
