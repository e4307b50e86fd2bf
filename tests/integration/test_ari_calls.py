"""The ARI adapter with real calls on a real Asterisk: claim, prompts, keys, music, phones, endings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from ivr_engine.asterisk.ari_models import ChannelDtmfReceived, Message
from ivr_engine.asterisk.settings import AriSettings, AriTimes
from ivr_engine.asterisk.telephony import AriTelephony
from ivr_engine.errors import CallEnded, Gone, Rejected
from ivr_engine.ports import (
    Arrival,
    DialResult,
    Digit,
    Failed,
    Finished,
    PhoneAccount,
    Prompt,
    Snapshot,
    Timeout,
)
from ivr_engine.sipp import process as sipp
from ivr_engine.sipp.ears import MUSIC
from ivr_engine.sipp.process import Server, Sipp
from ivr_engine.sipp.sounds import Library
from scripts.stack import Asterisk
from tests.integration.short_fallback import short_fallback
from tests.integration.sip import eventually
from tests.sipp.scenarios import file

WAIT = Prompt("wait", "sound:ivr-fallback/wait", 12.0)
"""Its length at most; the text is the site's."""
MISSING = Prompt("missing", "sound:ivr-fallback/no-such-file", 1.0)
CALLER = "+4915112345678"


PATIENCE_S = 20.0
"""For an answer to a request; a connection with no answer to a ping for half of it counts as dead. A busy
machine keeps Asterisk waiting for less."""


def settings(asterisk: Asterisk, name: str, transport: str) -> AriSettings:
    return AriSettings(
        url=asterisk.ari_url,
        user=asterisk.ari_user,
        password=asterisk.ari_password,
        application=name,
        transport="http" if transport == "http" else "websocket",
        times=AriTimes(deadline_s=PATIENCE_S, heartbeat_s=PATIENCE_S, retry_first_s=0.05),
    )


class ListeningTelephony(AriTelephony):
    """Remembers the keys that Asterisk told of: one that was pressed is told a moment later."""

    def __init__(self, settings: AriSettings) -> None:
        super().__init__(settings)
        self.keys = ""

    def route(self, event: Message) -> None:
        super().route(event)
        if isinstance(event, ChannelDtmfReceived):
            self.keys += event.digit


class Engine:
    """A telephony that runs, and what its two streams brought."""

    def __init__(self, telephony: ListeningTelephony) -> None:
        self.telephony = telephony
        self.arrivals: asyncio.Queue[Arrival] = asyncio.Queue()
        self.snapshots: list[Snapshot] = []

    async def arrives(self, within_s: float = 10) -> Arrival:
        async with asyncio.timeout(within_s):
            return await self.arrivals.get()

    async def take_arrivals(self) -> None:
        async for arrival in self.telephony.arrivals():
            self.arrivals.put_nowait(arrival)

    async def reconcile(self) -> None:
        async for snapshot in self.telephony.connections():
            self.snapshots.append(snapshot)

    async def told_of_key(self, press: Awaitable[object]) -> None:
        """Await ``press``, and until the key has reached the engine."""
        before = len(self.telephony.keys)
        await press

        async def told() -> bool:
            return len(self.telephony.keys) > before

        await eventually(told)


@asynccontextmanager
async def engine(
    asterisk: Asterisk, name: str | None = None, transport: str = "websocket"
) -> AsyncGenerator[Engine]:
    one = Engine(ListeningTelephony(settings(asterisk, name or f"ivr-{uuid4().hex[:6]}", transport)))
    tasks = [
        asyncio.ensure_future(part) for part in (one.telephony.run(), one.take_arrivals(), one.reconcile())
    ]
    try:

        async def connected() -> bool:
            # The first event is the one sent to itself: the engine before of this name is switched off.
            return bool(one.snapshots and one.telephony.counts.events)

        await eventually(connected)
        yield one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Sip:
    """Callers and phones for one test."""

    def __init__(self, asterisk: Asterisk, folder: Path) -> None:
        self._server = Server(asterisk.sip_port)
        self._folder = folder
        sounds = short_fallback()
        self._library = Library.of_files({name: sounds / f"{name}.alaw" for name in ("wait", "goodbye")})

    def caller(self, scenario: str = "wait") -> AbstractAsyncContextManager[Sipp]:
        return sipp.calls(
            file(scenario),
            self._server,
            number="700",
            callers=[CALLER],
            library=self._library,
            folder=self._folder,
        )

    def phone(self, scenario: str, account: PhoneAccount) -> AbstractAsyncContextManager[Sipp]:
        return sipp.phone(
            file(scenario),
            self._server,
            account=account.name,
            password=account.password,
            library=self._library,
            folder=self._folder,
        )


@pytest.fixture
def sip(asterisk: Asterisk, tmp_path: Path) -> Sip:
    return Sip(asterisk, tmp_path)


@pytest.fixture
def account() -> PhoneAccount:
    return PhoneAccount(f"agent-{uuid4().hex[:6]}", "secret")


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_a_call_is_claimed_and_hears_prompts_and_its_keys_count(
    asterisk: Asterisk, sip: Sip, transport: str
) -> None:
    async with engine(asterisk, transport=transport) as one, sip.caller() as call:
        ear = call.ears[0]
        arrival = await one.arrives()
        leg = arrival.leg
        assert (arrival.caller, arrival.number) == (CALLER, "700")
        await leg.answer()
        assert isinstance(await leg.play([MISSING]), Failed)
        await one.telephony.park(leg, "default")
        await ear.hears(MUSIC)
        assert await leg.play([WAIT]) == Finished()
        ear.forgets()
        listening = asyncio.create_task(leg.gather([WAIT], window_s=5))
        await ear.hears("wait")
        await ear.presses("1")
        assert await listening == Digit("1")
        await ear.hears(MUSIC)
        await one.told_of_key(ear.presses("7"))
        assert await leg.play([WAIT]) == Finished()
        # Keys pressed before do not count; pressing nothing is a time-out.
        assert await leg.gather([], window_s=0.3) == Timeout()
        await leg.hang_up()
        await call.done()
        with pytest.raises(CallEnded):
            await leg.play([WAIT])


async def test_the_caller_hanging_up_ends_whatever_waits(asterisk: Asterisk, sip: Sip) -> None:
    async with engine(asterisk) as one, sip.caller() as call:
        leg = (await one.arrives()).leg
        await leg.answer()
        await one.telephony.park(leg, "default")
        await call.logs("answered")
        asyncio.get_running_loop().call_later(0.5, call.hang_up_all)
        with pytest.raises(CallEnded) as ended:
            await leg.until(asyncio.sleep(10))
        assert ended.value.cause == 16
        await call.done()


async def test_a_caller_survives_the_engine_and_is_adopted_by_the_next(asterisk: Asterisk, sip: Sip) -> None:
    name = f"ivr-{uuid4().hex[:6]}"
    async with sip.caller() as call:
        async with engine(asterisk, name) as first:
            leg = (await first.arrives()).leg
            await leg.answer()
            await first.telephony.park(leg, "default")
        await call.ears[0].hears(MUSIC)
        async with engine(asterisk, name) as second:
            snapshot = second.snapshots[0]
            assert leg.id in snapshot.mine
            assert any(leg.id in m for b, m in snapshot.bridges.items() if b.startswith(f"{name}-music-"))
            again = await second.telephony.stray(leg.id)
            assert again is not None
            assert (again.caller, again.number) == (CALLER, "700")
            adopted = await second.telephony.adopt(leg.id)
            assert adopted is again.leg
            await second.telephony.park(adopted, "default")
            assert await adopted.play([WAIT]) == Finished()
            await adopted.hang_up()
            await call.done()

            async def cleared_away() -> bool:
                return leg.id not in (await second.telephony.snapshot()).all

            await eventually(cleared_away)
            with pytest.raises(Gone):
                await second.telephony.adopt(leg.id)


async def test_given_to_the_fallback_the_leg_is_over_and_the_call_arrives_again(
    asterisk: Asterisk, sip: Sip
) -> None:
    async with engine(asterisk) as one, sip.caller() as call:
        leg = (await one.arrives()).leg
        await leg.answer()
        await one.telephony.park(leg, "default")
        await leg.give_to_fallback()
        with pytest.raises(CallEnded):
            await leg.until(asyncio.sleep(5))
        await call.ears[0].hears("wait", whole=True)
        again = await one.arrives()
        assert again.leg.id == leg.id
        assert again.number == "700"
        await again.leg.hang_up()
        await call.done()


async def test_a_phone_answers_both_are_connected_and_the_phone_hanging_up_is_noticed(
    asterisk: Asterisk, sip: Sip, account: PhoneAccount
) -> None:
    async with engine(asterisk) as one:
        telephony = one.telephony
        await telephony.put_account(account)
        async with sip.caller() as call, sip.phone("agent-answers", account) as desk:
            leg = (await one.arrives()).leg
            await leg.answer()
            await telephony.park(leg, "default")
            other = await telephony.dial(
                account.name, leg_id=f"leg-{account.name}", caller=CALLER, timeout_s=20
            )
            assert await other.rung(20) is DialResult.ANSWERED
            await telephony.connect(f"talk-{account.name}", [leg, other])
            call.ears[0].speaks("wait")
            await desk.ears[0].hears("wait")
            desk.cue((await desk.logs("answered")).call_id)
            with pytest.raises(CallEnded):
                await other.until(asyncio.sleep(10))
            await telephony.end_bridge(f"talk-{account.name}")
            call.ears[0].forgets()
            await telephony.park(leg, "default")
            await call.ears[0].hears(MUSIC)
            await leg.hang_up()
            await call.done()


@pytest.mark.parametrize(
    ("scenario", "timeout_s", "result"),
    [
        ("agent-busy", 20, DialResult.BUSY),
        ("agent-declines", 20, DialResult.DECLINED),
        ("agent-no-answer", 2, DialResult.NO_ANSWER),
    ],
)
async def test_how_ringing_ended(
    asterisk: Asterisk, sip: Sip, account: PhoneAccount, scenario: str, timeout_s: float, result: DialResult
) -> None:
    async with engine(asterisk) as one:
        await one.telephony.put_account(account)
        async with sip.phone(scenario, account):
            leg = await one.telephony.dial(
                account.name, leg_id=f"leg-{account.name}", caller=None, timeout_s=timeout_s
            )
            assert await leg.rung(20) is result
            # How it ended may be told before the end of the channel.
            with pytest.raises(CallEnded):
                await leg.until(asyncio.sleep(10))
            with pytest.raises(CallEnded):
                await leg.answer()


async def test_a_phone_that_is_not_registered_is_refused(asterisk: Asterisk, account: PhoneAccount) -> None:
    async with engine(asterisk) as one:
        await one.telephony.put_account(account)
        with pytest.raises(Rejected):
            await one.telephony.dial(account.name, leg_id=f"leg-{account.name}", caller=None, timeout_s=2)


async def test_an_account_taken_away_is_gone(asterisk: Asterisk, sip: Sip, account: PhoneAccount) -> None:
    async with engine(asterisk) as one:
        await one.telephony.put_account(account)
        async with sip.phone("agent-answers", account):
            await one.telephony.remove_account(account.name)
            with pytest.raises(Rejected):
                await one.telephony.dial(account.name, leg_id=f"leg-{account.name}", caller=None, timeout_s=2)
            for kind in ("endpoint", "aor", "auth"):
                said = await asyncio.to_thread(asterisk.cli, f"pjsip show {kind} {account.name}")
                assert "Unable to find" in said
            # So that it can say goodbye.
            await one.telephony.put_account(account)
        await one.telephony.remove_account(account.name)


async def test_the_ring_stops_when_the_leg_is_ended(
    asterisk: Asterisk, sip: Sip, account: PhoneAccount
) -> None:
    async with engine(asterisk) as one:
        await one.telephony.put_account(account)
        async with sip.phone("agent-no-answer", account) as desk:
            leg = await one.telephony.dial(
                account.name, leg_id=f"leg-{account.name}", caller=CALLER, timeout_s=30
            )
            await desk.logs("rings")
            ended_at = time.time()
            await one.telephony.end_leg(leg.id)
            cancelled = await desk.logs("cancelled")
            assert cancelled.at - ended_at < 1
            assert await leg.rung(1) is DialResult.NO_ANSWER


async def test_a_ringing_phone_is_adopted_by_the_next_engine(
    asterisk: Asterisk, sip: Sip, account: PhoneAccount
) -> None:
    name, leg_id = f"ivr-{uuid4().hex[:6]}", f"leg-{account.name}"
    async with engine(asterisk, name) as first:
        await first.telephony.put_account(account)
        phone = sip.phone("agent-answers", account)
        desk = await phone.__aenter__()
        try:
            await first.telephony.dial(account.name, leg_id=leg_id, caller=None, timeout_s=30)
            await desk.logs("rings")
        except BaseException:
            await phone.__aexit__(None, None, None)
            raise
    try:
        async with engine(asterisk, name) as second:
            leg = await second.telephony.adopt(leg_id)
            try:
                assert await leg.rung(10) is DialResult.ANSWERED
                assert await (await second.telephony.adopt(leg_id)).rung(0) is DialResult.ANSWERED
                assert await second.telephony.stray(leg_id) is None
            finally:
                await second.telephony.end_leg(leg_id)
    finally:
        await phone.__aexit__(None, None, None)
