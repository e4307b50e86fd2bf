"""What somebody should look at now: lines to the world that are down, caps on SMS that are reached."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from fastapi import APIRouter

from ivr_engine.domain.abuse import Cap, Caps, Counter
from ivr_engine.domain.trunks import Trunk, TrunkState
from ivr_engine.ports import Tx
from ivr_engine.web.errors import ERRORS
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import Items
from ivr_engine.web.shapes.alarms import AlarmItem

router = APIRouter(prefix="/alarms", tags=["health"], responses=ERRORS)


@router.get("", summary="What somebody should look at now")
async def list_alarms(services: Services) -> Items[AlarmItem]:
    """Lines to the world that are down (`IVR_TRUNKS`). Caps on the SMS that callers ask for (`abuse` in the
    settings) that are reached today: nobody whom they concern is offered an SMS until the day is over; each
    is in the event feed too, as ``sms_cap_reached``."""
    caps, now = services.site().abuse.caps, services.clock.now()
    capped = await services.look(lambda tx: reached(tx, caps, now))
    return Items(items=[*down(services.trunks()), *capped])


def down(trunks: Collection[Trunk]) -> list[AlarmItem]:
    """Those no call can pass over; not those that Asterisk does not tell of."""
    return [
        AlarmItem(
            kind="trunk_down",
            what=f"the line {trunk.name} is down: {trunk.why}",
            cap=None,
            whose=trunk.name,
            limit=None,
            since=trunk.since,
            until=None,
            remedy="ask Asterisk: pjsip show registrations, pjsip show endpoint; then the provider",
        )
        for trunk in trunks
        if trunk.state is TrunkState.DOWN
    ]


def reached(tx: Tx, caps: Caps, now: datetime) -> list[AlarmItem]:
    """Of all numbers first."""
    limits = [limit for limit in (caps.per_number, caps.per_prefix, caps.per_day) if limit is not None]
    high = tx.sms_counts.high(min(limits), now) if limits else {}
    found = [
        _item(counter, since, now)
        for key, (used, since) in high.items()
        if (counter := caps.of_key(key)) is not None and used >= counter.limit
    ]
    return sorted(found, key=lambda item: (list(Cap).index(Cap(item.cap)), item.whose), reverse=True)


def _item(counter: Counter, since: datetime, now: datetime) -> AlarmItem:
    by = {
        Cap.NUMBER: f"by {counter.whose}",
        Cap.PREFIX: f"by numbers that begin with {counter.whose}",
        Cap.DAY: "by callers today",
    }
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return AlarmItem(
        kind="sms_cap_reached",
        what=f"{counter.limit} SMS were asked for {by[counter.cap]}",
        cap=counter.cap,
        whose=counter.whose,
        limit=counter.limit,
        since=since,
        until=tomorrow,
        remedy=counter.remedy,
    )
