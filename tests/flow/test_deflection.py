"""Over capacity, the caller goes on by SMS: the text, the proof, the goodbye; who cannot be written to."""

from __future__ import annotations

import asyncio
from typing import Any

from ivr_engine.domain.calls import EndReason
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.events import ConsentNotOffered, OverCapacityChosen, SmsWithheld
from ivr_engine.sim.people import Caller
from tests.flow.centre import MOBILE, Centre, cannot_be_written_to, contact_centre, virtual
from tests.flow.crashes import failures_at_each_step, successor
from tests.flow.databases import on_both

TEXT = {"en": "{brand}: write to us", "de": "{brand}: schreiben Sie uns"}


def offering(**more: Any) -> dict[str, Any]:
    support = {
        "label": "Support",
        "announcement_interval": 30,
        "over_capacity": {
            "nobody_signed_in": True,
            "keys": {"1": {"wait": True}, "2": {"sms": {"text": TEXT}}},
        },
    }
    return {"queues": {"support": support}} | more


async def chooses(centre: Centre, number: str = MOBILE) -> Caller:
    caller = await centre.call(caller=number)
    await caller.hears_prompt("over_capacity")
    caller.press("2")
    return caller


@on_both
@virtual
async def test_the_text_goes_out_and_the_call_ends_politely() -> None:
    async with contact_centre(**offering()) as centre:
        engine = centre.engine()
        caller = await chooses(centre)
        await caller.hears_prompt("deflected")
        await asyncio.sleep(10)
        assert not caller.connected
        row = await centre.row(caller)
        assert row.end_reason is EndReason.SAID_GOODBYE
        assert row.consent.status is None, "nothing was said to the wait-time SMS"
        [sms] = await centre.messages(caller)
        assert (sms.text, sms.purpose, sms.recipient) == ("Example: write to us", "deflection", MOBILE)
        [proof] = await centre.ledger(caller)
        assert (proof.key, proof.outcome, proof.purpose) == ("2", WaitTimeSmsStatus.ALLOWED, "deflection")
        assert proof.wording
        assert OverCapacityChosen("sms", "2") in await centre.happened(caller)
        assert ConsentNotOffered("left_the_line", "support", "en") in await centre.happened(caller)
        assert engine.wakes > 0


@cannot_be_written_to
@virtual
async def test_who_cannot_be_written_to_is_told_so_and_waits(
    number: str, settings: dict[str, Any], why: str
) -> None:
    async with contact_centre(**offering(**settings)) as centre:
        centre.engine()
        caller = await chooses(centre, number)
        await caller.hears_prompt("sms_not_sent")
        await caller.hears_prompt("music")
        assert SmsWithheld(why, "support", "en", "deflection") in await centre.happened(caller)
        assert await centre.messages(caller) == []
        assert await centre.ledger(caller) == []
        assert await centre.position(caller) == 1


@virtual
async def test_a_cap_holds_for_these_too() -> None:
    async with contact_centre(**offering(abuse={"per_number": 1})) as centre:
        centre.engine()
        first = await chooses(centre)
        await first.hears_prompt("deflected")
        second = await chooses(centre)
        await second.hears_prompt("sms_not_sent")
        assert await centre.messages(second) == []
        assert SmsWithheld("number_cap", "support", "en", "deflection") in await centre.happened(second)


async def _tell(last_step: int | None) -> list[str]:
    async with contact_centre(**offering()) as centre:
        engine = centre.engine(last_step=last_step)
        caller = await centre.call()
        async with asyncio.TaskGroup() as group:
            next_one = group.create_task(successor(centre, engine))
            while "deflected" not in caller.ears.sounds:
                await asyncio.sleep(0.5)
                if caller.hears_now == "over_capacity":
                    caller.press("2")
            async with asyncio.timeout(60):
                while caller.connected:  # noqa: ASYNC110  a phone tells nobody
                    await asyncio.sleep(0.5)
            next_one.cancel()
        await asyncio.sleep(5)
        assert len(await centre.messages(caller)) == 1
        assert [record.key for record in await centre.ledger(caller)] == ["2"]
        assert (await centre.row(caller)).ended_at is not None
        return engine.life.steps


def test_a_crash_at_every_step() -> None:
    failures = failures_at_each_step(_tell, at_least=15)
    assert not failures, "\n".join(failures)
