"""The choice of language: asked in each of them, kept for the caller's next call."""

from __future__ import annotations

from ivr_engine.callflow import asking, ways
from ivr_engine.callflow.asking import Decided
from ivr_engine.callflow.house import House
from ivr_engine.callflow.ways import Going
from ivr_engine.domain.calls import Call
from ivr_engine.domain.events import LanguageChosen
from ivr_engine.domain.menu import Chosen
from ivr_engine.domain.records import replace
from ivr_engine.ports import Leg, Tx
from ivr_engine.site.flows import ChooseLanguage


async def choose(house: House, leg: Leg, call: Call) -> Call:
    """On in the language chosen, or as it was. Of a caller who hides the number nothing is kept."""
    choice = house.doing(call, ChooseLanguage)
    prompts = [house.prompts.get(language, choice.prompt) for language in choice.keys.values()]

    def follow(tx: Tx, current: Call, decided: Decided, _key: str | None) -> Going:
        if not isinstance(decided, Chosen):
            return ways.go_on(house, tx, current, choice.then)
        if current.caller is not None:
            tx.callers.keep_language(current.caller, decided.way, house.clock.now())
        going = Going(replace(current, language=decided.way), (LanguageChosen(decided.way),))
        further = ways.go_on(house, tx, going.call, choice.then)
        return going.then(further.call, *further.happenings)

    return await asking.ask(house, leg, call, prompts, choice.rules(), choice.wait, follow)
