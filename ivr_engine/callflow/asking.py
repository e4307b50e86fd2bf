"""Asking for a key, again and again within the limits: what a menu and the choice of language share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from ivr_engine.callflow.house import House
from ivr_engine.callflow.ways import Going
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import Happening, KeyChosen, MenuGivenUp, NothingPressed, WrongKeyPressed
from ivr_engine.domain.menu import Again, Back, Chosen, GivenUp, MenuRules, Step, answered
from ivr_engine.domain.records import replace
from ivr_engine.ports import Digit, Failed, Leg, Prompt, Tx

log = structlog.get_logger()

Decided = Chosen | Back | GivenUp
Follow = Callable[[Tx, Call, Decided, str | None], Going]
"""Where a decision leads, and the key it was made by."""


async def ask(
    house: House,
    leg: Leg,
    call: Call,
    prompts: Sequence[Prompt],
    rules: MenuRules,
    wait_s: float,
    follow: Follow,
) -> Call:
    """Until the caller has chosen or a limit is passed; each answer and what follows from it is one
    transaction. An engine that takes over in between asks again, and counts nothing for it."""
    wrong = house.prompt(call, "wrong_number")
    to_play = prompts
    while True:
        key = await _key(leg, to_play, wait_s)
        call, step = await _record(house, call, key, rules, follow)
        if not isinstance(step, Again):
            return call
        to_play = [wrong, *prompts] if step.wrong_key else prompts


async def _key(leg: Leg, prompts: Sequence[Prompt], wait_s: float) -> str | None:
    heard = await leg.gather(prompts, window_s=wait_s, go_on=True)
    if isinstance(heard, Failed):
        # Who knows the menu by heart can use it all the same.
        log.error("menu.not_played", prompts=[p.name for p in prompts], why=heard.why)
        heard = await leg.gather([], window_s=wait_s, go_on=True)
    return heard.key if isinstance(heard, Digit) else None


async def _record(
    house: House, call: Call, key: str | None, rules: MenuRules, follow: Follow
) -> tuple[Call, Step]:
    def write(tx: Tx) -> tuple[Call, Step]:
        current = tx.calls.get(call.id)
        visit = current.where
        state, step = answered(visit.menu, rules, key, house.clock.now())
        current = replace(current, visit=replace(visit, menu=state))
        going = Going(current, tuple(_happened(visit.node, key, step)))
        if not isinstance(step, Again):
            further = follow(tx, current, step, key)
            going = going.then(further.call, *further.happenings)
        return going.stored(house, tx), step

    return await house.store.run(write)


def _happened(node: str, key: str | None, step: Step) -> list[Happening]:
    known = isinstance(step, Chosen | Back) or (isinstance(step, Again) and not step.wrong_key)
    happened: list[Happening] = []
    if key is None:
        happened.append(NothingPressed(node))
    elif known:
        happened.append(KeyChosen(node, key))
    else:
        happened.append(WrongKeyPressed(key))
    if isinstance(step, GivenUp):
        happened.append(MenuGivenUp(node, step.limit))
    return happened
