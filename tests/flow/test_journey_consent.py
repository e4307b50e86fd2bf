"""Every branch of the consent conversation, as the caller hears it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from ivr_engine.domain.calls import Chapter
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.events import ConsentGiven, ConsentNotOffered, WrongKeyPressed
from ivr_engine.domain.messages import MessageStatus
from ivr_engine.sim import clock
from tests.flow.centre import (
    CONSENT_S,
    INTERVAL_S,
    MOBILE,
    POSITION_S,
    SENT_S,
    WRONG_S,
    contact_centre,
    virtual,
)
from tests.flow.databases import on_both

ALLOWED, DENIED, NO_RESPONSE = WaitTimeSmsStatus
TRAVEL_S = 0.1
WINDOW_S = 10.0
WRONG_KEYS = ["0", "3", "4", "5", "6", "7", "8", "9", "*", "#"]


@pytest.mark.parametrize("after_s", [0.0, 3.0, CONSENT_S + 0.05, CONSENT_S + WINDOW_S - 0.05])
@virtual
async def test_1_allows_from_the_first_moment_to_the_last(after_s: float) -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        await asyncio.sleep(after_s)
        caller.press("1")
        await caller.hears_prompt("sms_sent", within_s=TRAVEL_S)
        await caller.hears_no_more("sms_sent")
        assert caller.hears_now == "music"
        row = await centre.row(caller)
        assert row.consent.status is ALLOWED
        [sms] = await centre.messages(caller)
        assert (sms.recipient, sms.sender, sms.status) == (MOBILE, "+4930123456", MessageStatus.QUEUED)
        assert sms.text == "Example: answer here"
        [proof] = await centre.ledger(caller)
        assert (proof.outcome, proof.key, proof.number, proof.language) == (ALLOWED, "1", MOBILE, "en")
        assert proof.wording
        assert proof.audio_hash
        assert engine.wakes > 0

        await caller.hears_times("position.1", 4)
        assert len(caller.ears.times("consent")) == 1, "never asked again"
        assert len(await centre.messages(caller)) == 1
        after_sent = caller.ears.ends("sms_sent")[0]
        assert caller.ears.times("position.1")[1] == pytest.approx(after_sent + INTERVAL_S, abs=TRAVEL_S)


@on_both
@virtual
async def test_2_refuses_for_the_whole_call_and_keeps_the_place() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        caller.press("2")
        await caller.hears_prompt("music")
        await caller.hears_times("position.1", 4)
        assert len(caller.ears.times("consent")) == 1
        assert "sms_sent" not in caller.ears.sounds
        happened = await centre.happened(caller)
        assert happened.count(ConsentNotOffered("already_answered", "support", "en")) == 2, "each time"
        row = await centre.row(caller)
        assert row.consent.status is DENIED
        assert await centre.position(caller) == 1
        assert await centre.messages(caller) == []
        assert [(r.outcome, r.key) for r in await centre.ledger(caller)] == [(DENIED, "2")]


@pytest.mark.parametrize("key", WRONG_KEYS)
@virtual
async def test_a_wrong_key_is_said_to_be_wrong_and_the_message_comes_again(key: str) -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        caller.press(key)
        await caller.hears_prompt("wrong_number", within_s=TRAVEL_S)
        await caller.hears_times("consent", 2)
        assert caller.ears.times("consent")[1] == pytest.approx(
            caller.ears.times("wrong_number")[0] + WRONG_S, abs=TRAVEL_S
        )
        caller.press("1")
        await caller.hears_prompt("sms_sent")
        assert WrongKeyPressed(key) in await centre.happened(caller)
        assert (await centre.row(caller)).consent.status is ALLOWED


@on_both
@virtual
async def test_after_three_repeats_a_wrong_key_ends_the_round_as_no_response() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        for time in range(1, 5):
            await caller.hears_times("consent", time)
            caller.press("9")
        await caller.hears_prompt("music", within_s=TRAVEL_S)
        ended = asyncio.get_running_loop().time()
        await asyncio.sleep(1)
        row = await centre.row(caller)
        assert (row.consent.status, row.consent.rounds, row.consent.wrong_keys) == (NO_RESPONSE, 1, 0)
        assert len(caller.ears.times("wrong_number")) == 3
        await caller.hears_times("consent", 5)
        asked = caller.ears.times("consent")[4]
        assert asked == pytest.approx(ended + INTERVAL_S + POSITION_S, abs=TRAVEL_S), "asked again"
        caller.press("1")
        await caller.hears_prompt("sms_sent")
        assert [r.outcome for r in await centre.ledger(caller)] == [NO_RESPONSE, ALLOWED]


@virtual
async def test_a_key_during_wrong_number_counts_too() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        caller.press("5")
        await caller.hears_prompt("wrong_number")
        caller.press("1")
        await caller.hears_prompt("sms_sent", within_s=TRAVEL_S)


@virtual
async def test_a_key_right_after_a_wrong_one_is_not_lost() -> None:
    """Pressed in the moment between the two plays of the message, when nothing is being said."""
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        caller.press("5")
        caller.press("1")
        await caller.hears_prompt("sms_sent", within_s=TRAVEL_S)
        assert (await centre.row(caller)).consent.status is ALLOWED
        assert WrongKeyPressed("5") in await centre.happened(caller)


@virtual
async def test_the_first_key_decides() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        caller.press("2")
        caller.press("1")
        await asyncio.sleep(60)
        assert (await centre.row(caller)).consent.status is DENIED
        assert await centre.messages(caller) == []


@virtual
async def test_ten_seconds_of_silence_are_no_response_and_it_is_asked_again() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        await caller.hears_no_more("consent")
        message_over = asyncio.get_running_loop().time()
        await asyncio.sleep(WINDOW_S - 0.2)
        assert (await centre.row(caller)).chapter is Chapter.CONSENT
        await asyncio.sleep(0.3)
        row = await centre.row(caller)
        assert (row.chapter, row.consent.status, row.consent.rounds) == (Chapter.WAITING, NO_RESPONSE, 1)
        caller.press("1")  # too late: during the music
        await caller.hears_times("position.1", 2)
        again = caller.ears.times("position.1")[1]
        assert again == pytest.approx(message_over + WINDOW_S + INTERVAL_S, abs=TRAVEL_S)
        assert (await centre.row(caller)).consent.status is NO_RESPONSE
        await caller.hears_times("consent", 2)
        caller.press("2")
        await asyncio.sleep(1)
        assert [(r.outcome, r.key) for r in await centre.ledger(caller)] == [
            (NO_RESPONSE, None),
            (DENIED, "2"),
        ]


@virtual
async def test_keys_during_the_music_and_the_position_are_ignored() -> None:
    async with contact_centre() as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("music")
        for key in "12":
            caller.press(key)
        await caller.hears_prompt("position.1")
        caller.press("1")
        await asyncio.sleep(POSITION_S / 2)
        assert caller.hears_now == "position.1", "it is said to its end"
        await caller.hears_prompt("consent")
        await asyncio.sleep(1)
        assert (await centre.row(caller)).consent.status is None
        caller.press("1")
        await caller.hears_prompt("sms_sent")


@virtual
async def test_the_maximum_number_of_plays_counts_rounds() -> None:
    sms = {"maximum_plays": 2, "text": {"en": "x", "de": "x"}}
    async with contact_centre(wait_time_sms=sms) as centre:
        centre.engine()
        caller = await centre.call()
        for time in (1, 2, 3):
            await caller.hears_times("consent", time)
            if time == 1:
                caller.press("7")  # the second play of the message belongs to the first round
        await caller.hears_times("position.1", 5)
        assert len(caller.ears.times("consent")) == 3
        assert ConsentNotOffered("maximum_plays", "support", "en") in await centre.happened(caller)
        assert len(await centre.ledger(caller)) == 2


NOT_OFFERED: list[tuple[str, dict[str, Any], str]] = [
    ("switched_off", {"in_call_sms": {"enabled": False}}, MOBILE),
    ("switched_off", {"support": {"label": "S", "in_call_sms": False}}, MOBILE),
    ("switched_off", {"wait_time_sms": {"enabled": False, "text": {"en": "x"}}}, MOBILE),
    ("switched_off", {"support": {"label": "S", "wait_time_sms": {"enabled": False}}}, MOBILE),
    ("not_over_capacity", {"support": {"label": "S", "wait_time_sms": {}}}, MOBILE),
    ("number_hidden", {}, "anonymous"),
    ("number_hidden", {}, "not a number"),
    ("number_not_valid", {}, "4711"),
    ("number_not_valid", {}, "+49123"),
    ("cannot_receive_sms", {}, "+493012345678"),
    ("country_not_allowed", {}, "+447400123456"),
]


@pytest.mark.parametrize(("why", "settings", "number"), NOT_OFFERED)
@virtual
async def test_not_offered(why: str, settings: dict[str, Any], number: str) -> None:
    async with contact_centre(**settings) as centre:
        centre.engine()
        caller = await centre.call(caller=number)
        await caller.hears_times("position.1", 3)
        assert "consent" not in caller.ears.sounds
        assert ConsentNotOffered(why, "support", "en") in await centre.happened(caller)
        assert await centre.ledger(caller) == []
        assert (await centre.row(caller)).consent.status is None


@virtual
async def test_offered_abroad_where_that_is_allowed() -> None:
    sms = {"non_domestic": True, "countries": ["GB"], "text": {"en": "x", "de": "x"}}
    async with contact_centre(wait_time_sms=sms) as centre:
        centre.engine()
        caller = await centre.call(caller="+447400123456")
        await caller.hears_prompt("consent")


@virtual
async def test_language_and_texts_of_the_queue_are_used() -> None:
    queue = {
        "label": "S",
        "wait_time_sms": {"requires_over_capacity": False, "text": {"de": "eigener Text {brand}"}},
        "prompts": {"consent": "consent_support"},
    }
    numbers = {"700": {"queue": "support", "language": "de"}}
    async with contact_centre(support=queue, numbers=numbers) as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent_support")
        caller.press("1")
        await caller.hears_prompt("sms_sent")
        [sms] = await centre.messages(caller)
        assert sms.text == "eigener Text Example"
        [proof] = await centre.ledger(caller)
        assert proof.language == "de"
        assert "consent_support" in proof.wording


def test_random_key_sequences() -> None:
    """Whatever is pressed whenever: the stored status is what the first valid key of a round said."""

    async def one(dice: random.Random) -> None:
        async with contact_centre() as centre:
            centre.engine()
            caller = await centre.call()
            for _ in range(dice.randrange(12)):
                await asyncio.sleep(dice.choice((0.0, 0.01, 0.5, 3.0, 9.0)))
                caller.press(dice.choice("1222*#0345678999"))
            await asyncio.sleep(60)
            row, ledger = await centre.row(caller), await centre.ledger(caller)
            sent = await centre.messages(caller)
            outcomes = [record.outcome for record in ledger]
            assert row.consent.status == (outcomes[-1] if outcomes else None)
            assert all(o is NO_RESPONSE for o in outcomes[:-1])
            assert len(sent) == outcomes.count(ALLOWED)
            assert row.consent.rounds == len(outcomes)
            assert len([h for h in await centre.happened(caller) if isinstance(h, ConsentGiven)]) == len(
                outcomes
            )
            if ALLOWED in outcomes:
                assert len(caller.ears.times("sms_sent")) == 1
                assert caller.ears.ends("sms_sent")[0] - caller.ears.times("sms_sent")[0] == pytest.approx(
                    SENT_S, abs=TRAVEL_S
                )

    for seed in range(150):
        clock.run(one(random.Random(seed)), seed=seed)
