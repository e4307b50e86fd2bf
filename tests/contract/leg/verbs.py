"""One leg alone: what is played to the caller, which keys count, and how each verb tells that it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from ivr_engine.errors import CallEnded, CallMoved
from ivr_engine.ports import Digit, Failed, Finished, Leg, Timeout
from tests.contract.leg.world import Rig, World, answered, eventually, in_half_a_second, left, near, not_, now

VERBS: dict[str, Callable[[World, Leg], Awaitable[object]]] = {
    "answer": lambda _, leg: leg.answer(),
    "play": lambda world, leg: leg.play([world.prompt(2)]),
    "gather": lambda world, leg: leg.gather([world.prompt(2)], window_s=1),
    "gather in silence": lambda _, leg: leg.gather([], window_s=1),
    "stop_playing": lambda _, leg: leg.stop_playing(),
    "until": lambda _, leg: leg.until(asyncio.sleep(1)),
    "give_to_fallback": lambda _, leg: leg.give_to_fallback(),
    "park": lambda world, leg: world.telephony.park(leg, "default"),
}

LASTING: dict[str, Callable[[World, Leg], Awaitable[object]]] = {
    "play": lambda world, leg: leg.play([world.prompt(10)]),
    "gather, message": lambda world, leg: leg.gather([world.prompt(10)], window_s=10),
    "gather, window": lambda world, leg: leg.gather([], window_s=10),
    "until": lambda _, leg: leg.until(asyncio.sleep(10)),
}


class VerbsContract:
    """What every leg promises; a subclass has the fixture ``rig``."""

    # ── playing and keys ─────────────────────────────────────────────────────────────────────────

    def test_the_arrival_says_who_calls_which_number(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            _, arrival = await world.call()
            assert arrival.number == "700"
            assert arrival.caller
            assert arrival.leg.id

        rig.run(scenario)

    def test_play_lasts_as_long_as_the_prompts_and_ignores_keys(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            began = now()
            async with in_half_a_second(lambda: caller.press("1")):
                assert await leg.play([world.prompt(2), world.prompt(0.5)]) == Finished()
            assert now() - began == near(2.5, world)

        rig.run(scenario)

    def test_answering_twice_is_fine(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            _, leg = await answered(world)
            await leg.answer()
            assert await leg.play([]) == Finished()

        rig.run(scenario)

    def test_a_sound_that_is_not_there_is_a_result_not_an_error(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            _, leg = await answered(world)
            assert isinstance(await leg.play([world.missing_prompt()]), Failed)
            assert await leg.play([world.prompt(0.5)]) == Finished()

        rig.run(scenario)

    @pytest.mark.parametrize("key", ["1", "0", "*", "#"])
    def test_a_key_during_the_prompt_stops_it(self, rig: Rig, key: str) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            began = now()
            async with in_half_a_second(lambda: caller.press(key)):
                assert await leg.gather([world.prompt(10)], window_s=10) == Digit(key)
            assert now() - began == near(0.5, world)
            began = now()
            assert await leg.play([world.prompt(0.5)]) == Finished()
            assert now() - began == near(0.5, world), "the old prompt is not in the way"

        rig.run(scenario)

    def test_the_window_runs_from_the_end_of_the_prompts(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            began = now()
            assert await leg.gather([world.prompt(0.5)], window_s=1.0) == Timeout()
            assert now() - began == near(1.5, world)

            async with in_half_a_second(lambda: caller.press("7")):
                assert await leg.gather([], window_s=5.0) == Digit("7")

        rig.run(scenario)

    def test_the_first_key_decides_and_earlier_ones_are_forgotten(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await world.telephony.park(leg, "default")
            await caller.press("9")
            assert await leg.play([world.prompt(2)]) == Finished()
            assert await leg.gather([], window_s=0.5) == Timeout()

            async def two_keys() -> None:
                await caller.press("2")
                await caller.press("1")

            async with in_half_a_second(two_keys):
                assert await leg.gather([world.prompt(10)], window_s=1) == Digit("2")
            await asyncio.sleep(world.tolerance_s)
            assert await leg.gather([], window_s=0.5) == Timeout()

        rig.run(scenario)

    def test_cancelling_touches_nothing_and_what_plays_can_still_be_stopped(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            for verb in ("play", "gather, message"):
                caller, leg = await answered(world)
                await world.telephony.park(leg, "default")
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(LASTING[verb](world, leg), 0.5)
                assert await caller.connected()
                await leg.stop_playing()
                began = now()
                assert await leg.play([world.prompt(0.5)]) == Finished()
                assert now() - began == near(0.5, world), f"{verb}: the cancelled prompt went on"
                await leg.stop_playing()

        rig.run(scenario)

    def test_a_key_between_two_questions_counts_for_the_next_that_goes_on(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)

            async def asked(key: str) -> None:
                async with in_half_a_second(lambda: caller.press(key)):
                    assert await leg.gather([world.prompt(2)], window_s=1) == Digit(key)

            await asked("1")
            await caller.press("2")
            await asyncio.sleep(0.5)
            began = now()
            assert await leg.gather([world.prompt(2)], window_s=1, go_on=True) == Digit("2")
            assert now() - began < 0.5 + world.late_s
            await caller.press("3")
            await asyncio.sleep(0.5)
            assert await leg.gather([], window_s=0.5) == Timeout()
            await asked("4")
            await caller.press("5")
            await asyncio.sleep(0.5)
            assert await leg.play([world.prompt(0.5)]) == Finished()
            assert await leg.gather([], window_s=0.5, go_on=True) == Timeout()

        rig.run(scenario)

    # ── the end of a leg ─────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize("verb", VERBS)
    def test_every_verb_says_that_the_caller_is_gone(self, rig: Rig, verb: str) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await caller.hang_up()
            await left(world, leg)
            with pytest.raises(CallEnded):
                await VERBS[verb](world, leg)

        rig.run(scenario)

    @pytest.mark.parametrize("verb", LASTING)
    def test_a_verb_ends_when_the_caller_hangs_up(self, rig: Rig, verb: str) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            began = now()
            async with in_half_a_second(caller.hang_up):
                with pytest.raises(CallEnded):
                    await LASTING[verb](world, leg)
                assert now() - began == near(0.5, world)

        rig.run(scenario)

    def test_until_hands_on_results_and_errors_and_cancels_what_it_waited_for(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            assert await leg.until(asyncio.sleep(0.1, "result")) == "result"

            async def fails() -> None:
                raise KeyError("own")

            with pytest.raises(KeyError):
                await leg.until(fails())
            cancelled = asyncio.Event()

            async def waits() -> None:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    cancelled.set()
                    raise

            async with in_half_a_second(caller.hang_up):
                with pytest.raises(CallEnded):
                    await leg.until(waits())
                assert cancelled.is_set()

        rig.run(scenario)

    def test_hanging_up(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await leg.hang_up()
            await eventually(lambda: not_(caller.connected()))
            await leg.hang_up()
            with pytest.raises(CallEnded):
                await leg.play([world.prompt(2)])

        rig.run(scenario)

    def test_the_fallback_keeps_the_caller(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            with suppress(CallMoved):  # the event may overtake the answer: done it is either way
                await leg.give_to_fallback()
            with pytest.raises(CallEnded):
                await leg.play([world.prompt(2)])
            await asyncio.sleep(0.5)
            assert await caller.connected()

        rig.run(scenario)

    def test_a_caller_moved_to_the_fallback_by_others_is_not_gone(self, rig: Rig) -> None:
        async def scenario(world: World) -> None:
            caller, leg = await answered(world)
            await world.telephony.park(leg, "default")
            async with in_half_a_second(lambda: world.watchdog_moves(leg.id)):
                with pytest.raises(CallMoved):
                    await leg.until(asyncio.sleep(10))
            assert await caller.connected()

        rig.run(scenario)
