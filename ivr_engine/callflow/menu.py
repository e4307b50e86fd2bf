"""A menu: press 1 for this, 2 for that."""

from __future__ import annotations

from ivr_engine.callflow import asking, ways
from ivr_engine.callflow.asking import Decided
from ivr_engine.callflow.house import House
from ivr_engine.callflow.ways import Going
from ivr_engine.domain.calls import Call
from ivr_engine.domain.menu import Back, Chosen
from ivr_engine.domain.records import replace
from ivr_engine.domain.visit import Asked
from ivr_engine.ports import Leg, Tx
from ivr_engine.site.flows import Menu


async def choose(house: House, leg: Leg, call: Call) -> Call:
    """To the node of the key pressed, back to the menu before, or on by the way of those who choose none."""
    menu, visit = house.doing(call, Menu), call.where
    rules = menu.rules(house.site.flows[visit.flow].everywhere, has_before=bool(visit.trail))

    def follow(tx: Tx, current: Call, decided: Decided, key: str | None) -> Going:
        if isinstance(decided, Chosen):
            current = replace(current, visit=current.where.leaving_menu())
            return ways.go_on(house, tx, current, decided.way, Asked(menu.prompt, key))
        target = current.where.trail[-1] if isinstance(decided, Back) else menu.otherwise
        return ways.go_on(house, tx, current, target)

    return await asking.ask(house, leg, call, [house.prompt(call, menu.prompt)], rules, menu.wait, follow)
