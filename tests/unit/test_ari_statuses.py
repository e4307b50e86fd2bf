"""Every status Asterisk may answer, and no answer at all, for each verb of the two ports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from zlib import crc32

import pytest

from ivr_engine.asterisk.leg import AriLeg
from ivr_engine.asterisk.rooms import ROOMS
from ivr_engine.asterisk.settings import AriTimes
from ivr_engine.domain.records import replace
from ivr_engine.errors import CallEnded, Gone, NotInStasis, NotUp, Rejected, Unreachable
from ivr_engine.ports import Digit, Failed, Finished, PhoneAccount
from tests.unit.ari_rig import HELLO, QUICK, Rig, rig, until
from tests.unit.fake_ari import NEVER, channel, event, fake_ari

IMPATIENT = replace(QUICK, deadline_s=0.2, slow_deadline_s=0.2)
"""Where no answer comes, waiting for it takes long."""
STATUSES = (400, 404, 409, 412, 422, 500, NEVER)
PLAIN = {
    400: Rejected,
    404: Gone,
    409: NotInStasis,
    412: NotUp,
    422: NotInStasis,
    500: Rejected,
    NEVER: Unreachable,
}
"""A request that is about nothing in particular."""
ON_CHANNEL = {**PLAIN, 404: CallEnded, 409: CallEnded, 422: CallEnded}
"""A request on the channel itself: when it is gone or not ours any more, the call has ended."""


def _times(status: int) -> AriTimes:
    return IMPATIENT if status == NEVER else QUICK


Verb = Callable[[Rig, AriLeg], Awaitable[object]]


async def dial(one: Rig, leg: AriLeg) -> None:
    await one.telephony.dial("anna", leg_id="a1", caller=None, timeout_s=5)


async def adopt(one: Rig, leg: AriLeg) -> None:
    await one.fake.emit(event("StasisEnd", "c1"))
    with pytest.raises(CallEnded):
        await leg.until(asyncio.Event().wait())
    await one.fake.emit(event("StasisStart", "c2"))
    again = (await one.arrives()).leg
    assert again.id == "c2"
    one.telephony._routing._legs.clear()  # pyright: ignore[reportPrivateUsage]  # as if nobody had taken it
    await one.telephony.adopt("c2")


async def overhear(one: Rig, leg: AriLeg) -> None:
    by = await one.call("c2")
    await one.telephony.overhear(leg, by, bridge_id="talk", snoop_id="s1")


async def stray(one: Rig, leg: AriLeg) -> None:
    one.fake.channels["c9"] = channel("c9")
    one.fake.variables["c9", "IVR_NUMBER"] = "700"
    await one.telephony.stray("c9")


async def unpark(one: Rig, leg: AriLeg) -> None:
    await one.telephony.park(leg, "default")
    await one.telephony.unpark(leg)
    assert leg.bridge is None


ROOM = f"ivr-unit-music-default-{crc32(b'c1') % ROOMS}"

VERBS: dict[str, tuple[Verb, tuple[str, str], Mapping[int, type[Exception] | None]]] = {
    "answer": (lambda one, leg: leg.answer(), ("POST", "c1/answer"), {**ON_CHANNEL}),
    "hang up": (lambda one, leg: leg.hang_up(), ("DELETE", "channels/c1"), {**PLAIN, 404: None}),
    "fallback": (lambda one, leg: leg.give_to_fallback(), ("POST", "c1/continue"), {**ON_CHANNEL}),
    "park": (
        lambda one, leg: one.telephony.park(leg, "default"),
        ("POST", f"{ROOM}/addChannel"),
        {**PLAIN},
    ),
    "park, bridge": (
        lambda one, leg: one.telephony.park(leg, "default"),
        ("POST", f"bridges/{ROOM}"),
        {**PLAIN, 409: None, 422: None},
    ),
    "park, music": (
        lambda one, leg: one.telephony.park(leg, "default"),
        ("POST", f"{ROOM}/moh"),
        {**PLAIN},
    ),
    "connect": (
        lambda one, leg: one.telephony.connect("talk", [leg]),
        ("POST", "talk/addChannel"),
        {**PLAIN},
    ),
    "end bridge": (
        lambda one, leg: one.telephony.end_bridge("talk"),
        ("DELETE", "bridges/talk"),
        {**PLAIN, 404: None, 409: None, 422: None},
    ),
    "end leg": (lambda one, leg: one.telephony.end_leg("x"), ("DELETE", "channels/x"), {**PLAIN, 404: None}),
    "dial, create": (dial, ("POST", "channels/create"), {**PLAIN}),
    "dial": (dial, ("POST", "a1/dial"), {**PLAIN}),
    "adopt": (adopt, ("GET", "channels/c2"), {**PLAIN}),
    "account": (
        lambda one, leg: one.telephony.put_account(PhoneAccount("anna", "secret")),
        ("PUT", "endpoint/anna"),
        {**PLAIN},
    ),
    "no account any more": (
        lambda one, leg: one.telephony.remove_account("anna"),
        ("DELETE", "endpoint/anna"),
        {**PLAIN, 404: None},
    ),
    "mute": (lambda one, leg: leg.mute(True), ("POST", "c1/mute"), {**ON_CHANNEL}),
    "unmute": (lambda one, leg: leg.mute(False), ("DELETE", "c1/mute"), {**ON_CHANNEL}),
    "look": (lambda one, leg: leg.check(), ("GET", "channels/c1"), {**ON_CHANNEL}),
    "let go": (
        lambda one, leg: leg.release(),
        ("POST", "c1/continue"),
        {**PLAIN, 404: None, 409: None, 422: None},
    ),
    "unpark": (
        unpark,
        ("POST", f"{ROOM}/removeChannel"),
        {**PLAIN, 400: None, 404: None, 409: None, 422: None, 500: None},
    ),
    "connect, bridge": (
        lambda one, leg: one.telephony.connect("talk", [leg]),
        ("POST", "bridges/talk"),
        {**PLAIN, 409: None, 422: None},
    ),
    # Refused, it may be there from before: then it is in the application, or nothing comes any more.
    "overhear": (
        overhear,
        ("POST", "c1/snoop/s1"),
        dict.fromkeys(PLAIN, Unreachable) | {404: Gone, 412: NotUp},
    ),
    # 409: one of that name is there; here it is not, on looking.
    "record": (
        lambda one, leg: leg.record("tape", longest_s=1, silence_s=1),
        ("POST", "c1/record"),
        {**PLAIN, 404: CallEnded, 409: Gone, 422: Gone},
    ),
    "record a talk": (
        lambda one, leg: one.telephony.record("talk", "tape", longest_s=1),
        ("POST", "talk/record"),
        {**PLAIN, 409: None, 422: None},
    ),
    "end a recording": (
        lambda one, leg: one.telephony.end_recording("tape"),
        ("POST", "tape/stop"),
        {**PLAIN, 404: None, 409: None, 422: None},
    ),
    "fetch a recording, look": (
        lambda one, leg: one.telephony.recordings.fetch("tape"),
        ("GET", "live/tape"),
        {**PLAIN},
    ),
    "fetch a recording": (
        lambda one, leg: one.telephony.recordings.fetch("tape"),
        ("GET", "tape/file"),
        {**PLAIN},
    ),
    "delete a recording": (
        lambda one, leg: one.telephony.recordings.delete("tape"),
        ("DELETE", "stored/tape"),
        {**PLAIN, 404: None},
    ),
    "header": (
        lambda one, leg: one.telephony.header(leg, "X-Point"),
        ("GET", "c1/variable"),
        {**PLAIN, 400: None, 404: None, 409: None, 422: None, 500: None},
    ),
    "stray": (stray, ("GET", "c9/variable"), {**PLAIN, 404: None, 409: None, 422: None}),
    "phones": (lambda one, leg: one.telephony.phones(), ("GET", "endpoints/PJSIP"), {**PLAIN}),
    "stock": (lambda one, leg: one.telephony.snapshot(), ("GET", "applications/*"), {**PLAIN}),
    "stock, channels": (lambda one, leg: one.telephony.snapshot(), ("GET", "channels"), {**PLAIN}),
    "stock, bridges": (lambda one, leg: one.telephony.snapshot(), ("GET", "bridges"), {**PLAIN}),
}
"""What prompts are played, stopped and claimed with is below."""


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("verb", VERBS)
async def test_each_status_means_the_same_for_everyone(verb: str, status: int) -> None:
    act, request, meaning = VERBS[verb]
    async with rig(times=_times(status)) as one:
        leg = await one.call()
        one.fake.answers[request] = status
        expected = meaning[status]
        if expected is None:
            await act(one, leg)
        else:
            with pytest.raises(expected) as raised:
                await act(one, leg)
            assert issubclass(raised.type, expected)
            if expected is not CallEnded:
                assert ";" in str(raised.value) or "?" in str(raised.value), "says what to do"
        assert one.fake.requests(*request)


@pytest.mark.parametrize("transport", ["websocket", "http"])
@pytest.mark.parametrize("status", STATUSES)
async def test_a_prompt_that_cannot_be_played_is_a_result(status: int, transport: str) -> None:
    async with rig(transport=transport, times=_times(status)) as one:
        leg = await one.call()
        one.fake.answers["POST", "play/*"] = status
        if ON_CHANNEL[status] is CallEnded:
            with pytest.raises(CallEnded):
                await leg.play([HELLO])
            with pytest.raises(CallEnded):
                await leg.gather([HELLO], window_s=1)
        else:
            assert isinstance(await leg.play([HELLO]), Failed)
            assert isinstance(await leg.gather([HELLO], window_s=1), Failed)


@pytest.mark.parametrize("status", STATUSES)
async def test_a_prompt_that_cannot_be_stopped_does_not_cost_the_key(status: int) -> None:
    async with rig(times=_times(status)) as one:
        leg = await one.call()
        one.fake.finishes = False
        one.fake.answers["DELETE", "playbacks/*"] = status
        listening = asyncio.create_task(leg.gather([HELLO], window_s=5))
        await one.playing()
        await one.fake.emit(event("ChannelDtmfReceived", digit="2"))
        assert await listening == Digit("2")


@pytest.mark.parametrize("status", STATUSES)
async def test_a_claim_that_fails_leaves_the_call_to_others(status: int) -> None:
    async with rig(times=_times(status)) as one:
        one.fake.answers["POST", "events/claim"] = status
        await one.fake.emit(event("CallBroadcast", "c9", "Ring"))
        await one.asked("POST", "events/claim")
        one.fake.answers.clear()
        leg = await one.call("c1")
        assert leg.id == "c1"
        assert one.arrivals.empty()


ON_CONNECTING = [
    ("PUT", "*/eventFilter"),
    ("GET", "applications/*"),
    ("GET", "channels"),
    ("GET", "bridges"),
    ("POST", "asterisk/variable"),
    ("POST", "events/user/ivr-echo"),
]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("request_", ON_CONNECTING, ids=" ".join)
async def test_a_connection_that_cannot_be_made_use_of_is_made_again(
    request_: tuple[str, str], status: int
) -> None:
    async with fake_ari() as fake:
        fake.answers[request_] = status
        async with rig(fake, wait=False, times=_times(status)) as one:
            await until(lambda: fake.opened >= 2)
            fake.answers.clear()
            await one.asked("POST", "events/user/ivr-echo", len(fake.requests("POST", "events/user/*")) + 1)
            assert (await one.call()).id == "c1"


@pytest.mark.parametrize("status", [each for each in STATUSES if each != NEVER])
async def test_an_account_that_is_refused_keeps_no_other_from_being_pushed(status: int) -> None:
    async with rig(times=_times(status)) as one:
        await one.telephony.put_account(PhoneAccount("anna", "secret"))
        await one.telephony.put_account(PhoneAccount("ben", "secret"))
        one.fake.answers["PUT", "auth/anna"] = status
        await one.fake.close_sockets()
        await one.asked("PUT", "endpoint/ben", times=2)


@pytest.mark.parametrize("status", STATUSES)
async def test_music_that_does_not_begin_again_costs_no_call(status: int) -> None:
    async with rig(times=_times(status)) as one:
        leg = await one.call()
        await one.telephony.park(leg, "default")
        one.fake.answers["POST", f"{ROOM}/moh"] = status
        bridge = {**one.fake.bridge(ROOM), "channels": ["c1"]}
        await one.fake.emit(event("ChannelEnteredBridge", bridge=bridge))
        await one.asked("POST", f"{ROOM}/moh", times=2)
        assert await leg.play([HELLO]) == Finished()


@pytest.mark.parametrize("status", STATUSES)
async def test_a_leg_that_is_gone_is_noticed_when_it_cannot_be_bridged(status: int) -> None:
    """400 and 422 do not say that the channel is gone; the channel's own 404 does."""
    async with rig(times=_times(status)) as one:
        leg = await one.call()
        other = await one.call("c2")
        one.fake.answers["POST", "addChannel"] = status
        del one.fake.channels["c2"]
        expected = Gone if status in (400, 404, 409, 422, 500) else PLAIN[status]
        with pytest.raises(expected):
            await one.telephony.connect("talk", [leg, other])
        if status in (400, 409, 422, 500):
            with pytest.raises(CallEnded):
                await other.answer()
            with pytest.raises(CallEnded):
                await one.telephony.park(other, "default")
            one.fake.answers.clear()
            await leg.answer()


async def test_the_music_bridge_is_made_again_when_somebody_took_it_away() -> None:
    async with rig() as one:
        first, second = await one.call("c1"), await one.call("c2")
        await one.telephony.park(first, "default")
        one.fake.once["POST", "addChannel"] = 404
        await one.telephony.park(second, "default")
        # They wait in two rooms of that music; the second was made twice.
        assert len(one.fake.requests("POST", "moh")) == 3
        assert len(one.fake.requests("POST", "addChannel")) == 3


async def test_an_unregistered_phone_is_refused_and_leaves_nothing_behind() -> None:
    async with rig() as one:
        one.fake.answers["POST", "channels/create"] = 500
        with pytest.raises(Rejected):
            await one.telephony.dial("anna", leg_id="a1", caller=None, timeout_s=5)
        await one.asked("DELETE", "channels/a1")


@pytest.mark.parametrize("name", ["", "a&PJSIP/b", "a/b", "a@b", "a b", "a,b", "é"])
async def test_only_names_of_accounts_are_dialled(name: str) -> None:
    async with rig() as one:
        with pytest.raises(Rejected):
            await one.telephony.dial(name, leg_id="a1", caller=None, timeout_s=5)
        with pytest.raises(Rejected):
            await one.telephony.put_account(PhoneAccount(name, "secret"))
        assert not one.fake.requests("POST", "channels/create")


async def test_accounts_are_pushed_again_on_every_connection_over_http() -> None:
    async with rig() as one:
        await one.telephony.put_account(PhoneAccount("anna", "secret"))
        await one.fake.close_sockets()
        await one.asked("PUT", "endpoint/anna", times=2)
        assert {each.over for each in one.fake.requests("PUT", "endpoint/anna")} == {"http"}
        assert one.fake.requests("PUT", "auth/anna")[0].body["fields"]


async def test_with_the_http_transport_nothing_is_asked_over_the_socket() -> None:
    async with rig(transport="http") as one:
        leg = await one.call()
        await leg.answer()
        assert await leg.play([HELLO]) == Finished()
        await one.telephony.park(leg, "default")
        await leg.hang_up()
        assert {each.over for each in one.fake.asked} == {"http"}


async def test_over_the_socket_only_what_may_block_goes_by_http() -> None:
    async with rig() as one:
        leg = await one.call()
        await leg.answer()
        assert await one.telephony.header(leg, "X-Point") == ""
        await one.telephony.put_account(PhoneAccount("anna", "secret"))
        by_http = {each.path.split("/")[0] for each in one.fake.asked if each.over == "http"}
        assert by_http == {"applications", "channels", "bridges", "asterisk"}
        assert one.fake.requests("POST", "c1/answer")[0].over == "http"
        assert one.fake.requests("GET", "c1/variable")[0].over == "http"
        assert await leg.play([HELLO]) == Finished()
        assert {each.over for each in one.fake.asked if "/play/" in each.path} == {"ws"}
