"""Asterisk refuses or is silent, the connection breaks, the store fails: the call goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from itertools import product
from typing import Any, Final

import pytest
import structlog
from structlog.testing import capture_logs

from ivr_engine.domain.calls import EndReason
from ivr_engine.errors import Gone, NotInStasis, NotUp, Rejected, Unreachable
from ivr_engine.sim.people import answers
from tests.flow.centre import contact_centre, virtual

ANSWERS: Final = {
    "400 or 500": Rejected("it is wrong as it stands"),
    "404": Gone("it no longer exists"),
    "409 or 422": NotInStasis("the id is taken"),
    "412": NotUp("the channel is not answered"),
    "nothing": Unreachable("no answer"),
}
ON_THE_CALLER: Final = ("answer", "park", "play", "stop")
BESIDE_THE_CALLER: Final = ("dial", "connect", "adopt", "end_leg")
AS_IF_THE_AGENT_HUNG_UP: Final = (("connect", "404"), ("adopt", "404"), ("adopt", "409 or 422"))


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        *product(ON_THE_CALLER, [each for each in ANSWERS if each != "404"]),
        *product(BESIDE_THE_CALLER, ANSWERS),
    ],
)
@virtual
async def test_a_request_that_fails_once_ends_no_call(verb: str, answer: str) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        phones = [centre.phone(name, answers(1.0)) for name in ("anna", "ben")]
        faults = engine.telephony.faults[verb] = [ANSWERS[answer]]
        with _warnings_too() as lines:
            caller = await centre.call()
            await caller.hears_prompt("consent", within_s=60)
            for phone in phones:
                await engine.desk.sign_in(phone.name)
            await caller.hears_prompt("agent", within_s=60)
            assert "fallback" not in caller.ears.sounds
            caller.hang_up()
            await asyncio.sleep(30)
            await centre.nothing_left()
        assert not faults, "asked and refused"
        assert lines or (verb, answer) in AS_IF_THE_AGENT_HUNG_UP, "said"


@contextmanager
def _warnings_too() -> Generator[list[MutableMapping[str, Any]]]:
    """The lines of a contact centre, which else tells of errors only."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with capture_logs() as lines:
        yield lines


@pytest.mark.parametrize("verb", ON_THE_CALLER)
@virtual
async def test_a_request_about_the_caller_that_meets_nobody_ends_the_call(verb: str) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        engine.telephony.faults[verb] = [ANSWERS["404"]]
        caller = await centre.call()

        async def over() -> bool:
            return [call.end_reason for call in await centre.rows(caller)] == [EndReason.CALLER_HUNG_UP]

        await centre.until(over, "the end")
        await centre.nothing_left()


@virtual
async def test_a_store_that_fails_for_a_while_costs_nobody_the_call() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        engine.store.faults.extend(Unreachable("locked") for _ in range(5))
        caller.press("1")
        await caller.hears_times("consent", 2, within_s=60)
        caller.press("1")
        await caller.hears_prompt("sms_sent", within_s=60)
        assert len(await centre.messages(caller)) == 1


@pytest.mark.parametrize("for_s", [0.1, 3.0, 30.0])
@virtual
async def test_a_broken_connection_that_comes_back(for_s: float) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        centre.phone("anna", answers(1.0))
        gone = await centre.call(caller="+4915112345601")
        stays = await centre.call(caller="+4915112345602")
        await stays.hears_prompt("consent")
        place = (await centre.row(stays)).entered_at
        engine.telephony.lose_connection(for_s)
        gone.hang_up()
        arrives = await centre.call(caller="+4915112345603")
        await asyncio.sleep(for_s + 5)
        assert (await centre.row(gone)).ended_at is not None
        assert (await centre.row(stays)).entered_at == place
        assert await centre.position(stays) == 1
        assert await centre.position(arrives) == 2
        await engine.desk.sign_in("anna")
        await stays.hears_prompt("agent", within_s=60)
        assert len(await centre.all_calls()) == 3


@virtual
async def test_a_caller_moved_to_the_fallback_by_the_watchdog_comes_back_to_the_old_place() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("music")
        second = await centre.call(caller="+4915112345601")
        await caller.hears_prompt("consent")
        centre.switch.give_to_fallback(centre.switch.channels[caller.channel_id])
        await caller.hears_prompt("fallback", within_s=1)
        await caller.hears_prompt("music", within_s=5)
        assert await centre.position(caller) == 1
        assert await centre.position(second) == 2
        assert len(await centre.rows(caller)) == 1
