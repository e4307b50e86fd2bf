"""The connection: lost in every way, found again, fenced; and what comes over it, however odd."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ivr_engine.asterisk.ari_client import Replaced, Waits
from ivr_engine.asterisk.settings import AriTimes
from ivr_engine.asterisk.transport_ws import Counts, EventSocket
from ivr_engine.domain.records import replace
from ivr_engine.errors import CallEnded, CallMoved, Unreachable
from ivr_engine.ports import Digit, Failed, Finished, Timeout
from tests.unit.ari_rig import HELLO, rig, until
from tests.unit.fake_ari import APP, NEVER, channel, event, fake_ari, finished

ODD_FRAMES = [
    b"",
    b"null",
    b"{",
    b"[]",
    b'"text"',
    b"\xff\xfe\x00",
    b'{"type":"NeverHeardOf","application":"a","timestamp":""}',
    b'{"type":"ChannelDtmfReceived"}',
    b'{"type":"ChannelDtmfReceived","application":"a","timestamp":"","digit":5,"channel":{}}',
    b'{"type":"StasisStart","application":"a","timestamp":"","args":' + b"[" * 100_000,
    b'{"type":"RESTResponse","application":"a","timestamp":"","transaction_id":"","request_id":"no",'
    b'"status_code":200,"reason_phrase":"","uri":""}',
    json.dumps(event("ChannelDtmfReceived", "nobody")).encode(),
    json.dumps(event("ChannelVarset", variable="x", value="y" * 5_000_000)).encode(),
    json.dumps(event("StasisEnd", "nobody")).encode().replace(b'"name": "PJSIP', b'"name": "\xe9\xff'),
]


# ── odd frames and events ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("frame", ODD_FRAMES, ids=[frame[:40].decode("latin1") for frame in ODD_FRAMES])
async def test_no_frame_harms_the_connection_or_the_call(frame: bytes) -> None:
    async with rig() as one:
        leg = await one.call()
        await one.fake.say(frame)
        assert await leg.play([HELLO]) == Finished()
        assert one.fake.opened == 1


async def test_what_is_odd_is_counted() -> None:
    async with rig() as one:
        await one.call()
        for frame in ODD_FRAMES:
            await one.fake.say(frame)
        counts = one.telephony.counts
        await until(lambda: (counts.unknown, counts.late_answers) == (1, 1) and counts.malformed >= 8)


@settings(max_examples=300)
@given(
    st.binary()
    | st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x)).map(
        lambda value: json.dumps({"type": "StasisStart", "channel": value, "args": value}).encode()
    )
)
def test_any_bytes_are_parsed_or_counted(frame: bytes) -> None:
    counts = Counts()
    socket = EventSocket(None, counts)  # type: ignore[arg-type]
    socket._handle(frame, lambda event: None)  # pyright: ignore[reportPrivateUsage]
    assert counts.events + counts.unknown + counts.malformed + counts.late_answers == 1


@pytest.mark.parametrize("seed", range(20))
async def test_shuffled_doubled_and_missing_events_end_in_a_result(seed: int) -> None:
    """Whatever order the events of two calls come in, every verb ends by itself and in time."""
    dice = random.Random(seed)
    async with rig() as one:
        one.fake.finishes = False
        legs = [await one.call("c1"), await one.call("c2")]
        verbs = [asyncio.create_task(leg.gather([HELLO], window_s=0.2)) for leg in legs]
        await one.asked("POST", "play/*", 2)
        events = [
            event("ChannelDtmfReceived", "c1", digit="3"),
            event("ChannelStateChange", "c1"),
            event("ChannelHangupRequest", "c1", soft=True, cause=32),
            event("StasisStart", "c1"),
            finished("c1-prompt-0", "c1"),
            finished("c2-prompt-0", "c2", "failed"),
            finished("c2-prompt-3", "c1"),
            event("StasisEnd", "c2"),
            event("ChannelDestroyed", "c2"),
            event("ChannelLeftBridge", "c1", bridge={}),
        ]
        chosen = [dice.choice(events) for _ in range(15)]
        await one.fake.emit(*chosen)
        async with asyncio.timeout(5):
            results = await asyncio.gather(*verbs, return_exceptions=True)
        for result in results:
            assert isinstance(result, Digit | Timeout | Failed | CallEnded), result
        assert one.fake.opened == 1


async def test_a_prompt_whose_end_never_comes_does_not_hold_the_caller() -> None:
    async with rig() as one:
        one.fake.finishes = False
        leg = await one.call()
        with capture_logs() as lines:
            assert isinstance(await leg.play([HELLO]), Failed)
            assert await leg.gather([HELLO], window_s=0.05) == Timeout()
        said = [(line["event"], line["prompts"]) for line in lines]
        assert said == [("playback.end_missing", ["hello"])] * 2


async def test_the_late_end_of_one_prompt_is_not_the_end_of_the_next() -> None:
    async with rig() as one:
        one.fake.finishes = False
        leg = await one.call()
        first = asyncio.create_task(leg.play([HELLO]))
        old = await one.playing()
        assert isinstance(await first, Failed)
        second = asyncio.create_task(leg.play([replace(HELLO, seconds=30)]))
        new = await one.playing(2)
        await one.fake.emit(finished(old), finished(old), event("ChannelDtmfReceived"))
        before = one.telephony.counts.events
        await one.fake.emit(event("ChannelStateChange"))
        await until(lambda: one.telephony.counts.events > before)
        assert not second.done()
        await one.fake.emit(finished(new))
        assert await second == Finished()


async def test_keys_count_from_the_first_moment_of_the_prompt_and_not_before() -> None:
    async with rig() as one:
        leg = await one.call()
        await one.fake.emit(event("ChannelDtmfReceived", digit="8"))
        await leg.answer()
        one.fake.finishes = False
        listening = asyncio.create_task(leg.gather([HELLO], window_s=5))
        playback = await one.playing()
        await one.fake.emit(event("ChannelDtmfReceived", digit="2"), event("ChannelDtmfReceived", digit="1"))
        assert await listening == Digit("2")
        await one.asked("DELETE", f"playbacks/{playback}")


async def test_cancelling_touches_nothing_in_asterisk() -> None:
    async with rig() as one:
        one.fake.finishes = False
        leg = await one.call()
        for verb in (leg.play([HELLO]), leg.gather([HELLO], window_s=9), leg.until(asyncio.sleep(9))):
            task = asyncio.create_task(verb)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not [each for each in one.fake.asked if each.method == "DELETE"]


async def test_the_end_of_the_call_ends_whatever_waits_for_an_answer() -> None:
    async with rig() as one:
        leg = await one.call()
        one.fake.answers["POST", "c1/answer"] = NEVER
        waiting = asyncio.create_task(leg.answer())
        await one.asked("POST", "c1/answer")
        await one.fake.emit(event("ChannelHangupRequest", cause=16), event("ChannelDestroyed", cause=16))
        with pytest.raises(CallEnded):
            await waiting


async def test_events_nobody_reads_end_that_call_and_no_other() -> None:
    async with rig(leg_queue=4) as one:
        one.fake.finishes = False
        leg, other = await one.call("c1"), await one.call("c2")
        stuck = asyncio.Event()
        with leg._listening():  # pyright: ignore[reportPrivateUsage]
            await one.fake.emit(*[event("ChannelDtmfReceived") for _ in range(6)])
            with pytest.raises(CallEnded):
                await leg.until(stuck.wait())
        await one.asked("POST", "c1/continue")
        assert one.telephony.counts.overflows == 1
        await other.answer()


async def test_more_calls_than_the_engine_takes_are_left_to_others() -> None:
    async with rig(arrival_queue=2, taking=False) as one:
        for number in range(5):
            await one.fake.emit(event("CallBroadcast", f"c{number}", "Ring"))
            await one.telephony.end_leg("barrier")
        claimed = len(one.fake.requests("POST", "events/claim"))
        assert 2 <= claimed < 5
        # One that was claimed before the queue was seen to be full goes to the fallback.
        await one.asked("POST", "continue", claimed - 2)


# ── connections that end ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["clean", "cut"])
async def test_a_lost_connection_is_made_again_and_stock_is_taken(how: str) -> None:
    async with rig() as one:
        stays, leaves, elsewhere = await one.call("c1"), await one.call("c2"), await one.call("c3")
        del one.fake.channels["c2"]
        one.fake.channels["c3"] = channel("c3", app="MusicOnHold")
        if how == "clean":
            await one.fake.close_sockets()
        else:
            one.fake.cut_sockets()
        for gone in (leaves, elsewhere):
            with pytest.raises(CallEnded):
                await gone.until(asyncio.Event().wait())
        await until(lambda: len(one.snapshots) == 2)
        assert one.snapshots[1].mine == {"c1"}
        assert one.snapshots[1].all == {"c1", "c3"}
        await stays.answer()


async def test_requests_wait_for_the_next_connection_those_under_way_fail() -> None:
    async with rig() as one:
        leg = await one.call()
        one.fake.once["POST", "c1/answer"] = NEVER
        under_way = asyncio.create_task(leg.answer())
        await one.asked("POST", "c1/answer")
        await one.fake.close_sockets()
        with pytest.raises(Unreachable):
            await under_way
        await leg.answer()
        assert one.fake.opened == 2


async def test_a_half_open_socket_is_found_by_its_silence() -> None:
    async with rig() as one:
        await one.call()
        one.fake.deaf = True
        await until(lambda: one.fake.opened >= 2)
        one.fake.deaf = False
        await until(lambda: len(one.snapshots) >= 2)


async def test_a_server_that_always_closes_is_not_hammered() -> None:
    async with fake_ari() as fake:
        fake.close_at_once = True
        async with rig(fake, wait=False) as one:
            await until(lambda: fake.opened >= 4)
            assert not one.snapshots
            fake.close_at_once = False
            await until(lambda: bool(one.snapshots))


async def test_a_server_that_comes_late_is_found() -> None:
    with capture_logs() as lines:
        async with fake_ari() as fake:
            fake.answers["PUT", "eventFilter"] = 500
            async with rig(fake, wait=False) as one:
                await until(lambda: fake.opened >= 3)
                assert not one.telephony.connected
                fake.answers.clear()
                await until(lambda: bool(one.snapshots))
                assert one.telephony.connected
                await one.asked("POST", "events/user/ivr-echo")
    said = [line for line in lines if line["event"] in ("ari.disconnected", "ari.connected")]
    *before, after = (line["event"] for line in said)
    assert len(before) >= 2
    assert set(before) == {"ari.disconnected"}
    assert after == "ari.connected"
    assert "500" in said[0]["why"]
    assert said[0]["again_in_s"] > 0


def test_waits_double_up_to_a_limit_with_jitter_and_start_anew_after_stability() -> None:
    waits = Waits(AriTimes(retry_first_s=1, retry_most_s=5, stable_s=10))
    bounds = [(0.5, 1), (1, 2), (2, 4), (2.5, 5), (2.5, 5)]
    for least, most in bounds:
        assert least <= waits.after(0.1) <= most
    assert waits.after(11) <= 1


async def test_being_replaced_stops_the_engine_for_good() -> None:
    async with rig() as one:
        await one.fake.emit({"type": "ApplicationReplaced", "application": "another", "timestamp": ""})
        await one.fake.emit({"type": "ApplicationReplaced", "application": APP, "timestamp": ""})
        await until(lambda: bool(one.stopped))
        assert one.telephony.replaced
        assert not one.telephony.connected
        assert one.fake.opened == 1
        with pytest.raises(Replaced):
            await one.telephony.run()
        assert one.fake.opened == 1


async def test_signs_of_life_go_over_the_socket_while_it_stands() -> None:
    async with rig() as one:
        await one.asked("POST", "asterisk/variable", 2)
        sign = one.fake.requests("POST", "asterisk/variable")[0]
        assert sign.over == "ws"
        assert sign.query["variable"] == f"IVR_ALIVE_{APP}"
        assert int(sign.query["value"]) > 1_700_000_000


async def test_a_connection_without_events_is_opened_again() -> None:
    async with fake_ari() as fake:
        fake.echoes = False
        async with rig(fake, wait=False) as one:
            await until(lambda: fake.opened >= 2)
            assert one.fake.requests("POST", "events/user/ivr-echo")
            fake.echoes = True
            await one.asked(
                "POST", "events/user/ivr-echo", len(fake.requests("POST", "events/user/ivr-echo")) + 2
            )


async def test_only_events_that_are_used_are_asked_for() -> None:
    async with rig() as one:
        wanted = {each["type"] for each in one.fake.requests("PUT", "eventFilter")[0].body["allowed"]}
        assert {"RESTResponse", "ApplicationReplaced", "StasisStart", "ChannelDtmfReceived"} <= wanted
        assert "ChannelVarset" not in wanted


# ── reconciling ──────────────────────────────────────────────────────────────────────────────────


async def test_events_of_a_channel_not_adopted_yet_are_kept_for_it() -> None:
    async with fake_ari() as fake:
        fake.channels["c1"] = channel("c1")
        async with rig(fake, wait=False, reconciling=False) as one:
            await until(lambda: bool(one.snapshots))
            await fake.emit(event("ChannelDestroyed", "c1", cause=17), event("StasisStart", "c2", "Ring"))
            await one.telephony.end_leg("barrier")
            assert one.arrivals.empty()
            leg = await one.telephony.adopt("c1")
            with pytest.raises(CallEnded) as ended:
                await leg.answer()
            assert ended.value.cause == 17
            one.reconciling.set()
            assert (await one.arrives()).leg.id == "c2"


async def test_a_caller_nobody_knows_is_an_arrival_once() -> None:
    async with fake_ari() as fake:
        fake.channels["c1"], fake.channels["a1"] = channel("c1"), channel("a1")
        fake.variables["c1", "IVR_NUMBER"] = "700"
        async with rig(fake, wait=False, reconciling=False) as one:
            await until(lambda: bool(one.snapshots))
            await fake.emit(event("StasisStart", "c1"))
            found = await one.telephony.stray("c1")
            assert found is not None
            assert found.number == "700"
            assert await one.telephony.stray("c1") is None, "it is in somebody's hands"
            assert await one.telephony.stray("a1") is None, "a phone we rang"
            one.reconciling.set()
            await one.telephony.end_leg("barrier")
            assert one.arrivals.empty()


async def test_a_reconciliation_that_never_comes_starts_the_connection_again() -> None:
    async with fake_ari() as fake, rig(fake, wait=False, reconciling=False, early_queue=10) as one:
        await until(lambda: bool(one.snapshots))
        await fake.emit(*[event("ChannelDtmfReceived", "c1") for _ in range(12)])
        await until(lambda: fake.opened == 2)
        one.reconciling.set()
        await until(lambda: len(one.snapshots) == 2)


async def test_a_channel_that_left_unseen_and_comes_back_is_a_new_arrival() -> None:
    async with rig() as one:
        leg = await one.call()
        one.fake.once["POST", "c1/answer"] = 409
        with pytest.raises(CallEnded):
            await leg.answer()
        await one.fake.emit(event("StasisStart", "c1", "Up"))
        again = (await one.arrives()).leg
        assert again is not leg
        await again.answer()


@pytest.mark.parametrize("events_first", [True, False])
async def test_given_to_the_fallback_whichever_is_told_first_the_leg_has_moved(events_first: bool) -> None:
    async with rig() as one:
        leg = await one.call()
        one.fake.events_first = events_first
        await leg.give_to_fallback()
        with pytest.raises(CallMoved):
            await leg.answer()


@pytest.mark.parametrize("events_first", [True, False])
async def test_every_verb_works_whichever_is_told_first(events_first: bool) -> None:
    async with rig() as one:
        one.fake.events_first = events_first
        leg = await one.call()
        await leg.answer()
        assert await leg.play([HELLO]) == Finished()
        phone = await one.telephony.dial("anna", leg_id="a1", caller="+49", timeout_s=5)
        assert {made.over for made in one.fake.requests("POST", "channels/create")} == {"http"}
        await one.telephony.connect("talk", [leg, phone])
        await leg.hang_up()
