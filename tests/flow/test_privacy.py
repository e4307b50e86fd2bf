"""Forgetting a number, whatever happens in between; and what is too old. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ivr_engine.domain.calls import Chapter, EndReason
from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.events import CallStarted, ErasureAsked, NumberErased, RetentionApplied
from ivr_engine.domain.messages import Direction, MediaStatus, MessageStatus
from ivr_engine.domain.opt_outs import Erasure, ErasureState, How, Said, pseudonyms
from ivr_engine.domain.recordings import RecordingStatus, TalkRecording
from ivr_engine.domain.records import replace
from ivr_engine.messaging import opt_outs
from ivr_engine.messaging.privacy import PrivacyKeeper, PrivacyPolicy
from ivr_engine.messaging.written import delete
from ivr_engine.ports import Store, Tx
from ivr_engine.sim import clock
from ivr_engine.sim.clock import SimClock
from ivr_engine.sim.life import Life, MortalStore
from ivr_engine.site.opt_outs import Retention
from ivr_engine.store import connect
from tests.contract.store_examples import call, comment, consent, kept_file, media, message, ticket
from tests.flow.databases import new_database, on_both

PHONE, OTHER = "+4915112345678", "+4915187654321"
DAY = timedelta(days=1)
EVERYTHING = Retention(messages=None, media=None, calls=None, consents=None)
POLICY = PrivacyPolicy(portion=3)


class House:
    def __init__(self, folder: Path) -> None:
        self.clock = SimClock()
        self.store: Store = connect(new_database.get()(), inline=True, pseudonym=pseudonyms("a key"))
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.retention = EVERYTHING

    def keeper(self, life: Life | None = None) -> PrivacyKeeper:
        life = life or Life()

        async def away(name: str) -> None:
            life.step("before a file goes")
            await delete(self.folder, name)
            life.step("after a file went")

        return PrivacyKeeper(
            store=MortalStore(self.store, life),
            clock=self.clock,
            delete=away,
            retention=lambda: self.retention,
            policy=POLICY,
        )

    @property
    def files(self) -> set[str]:
        return {file.name for file in self.folder.iterdir()}

    async def events(self, *kinds: type[Any]) -> list[Any]:
        every = await self.store.run(lambda tx: tx.events.after(0, 10_000))
        return [event.what for event in every if isinstance(event.what, kinds)]

    async def fill(self, *phones: str, messages: int = 4) -> None:
        for n, phone in enumerate(phones):
            names = [f"p{n}-{m}.png" for m in range(messages)] + [f"r{n}.wav", f"v{n}.wav"]
            for name in names:
                (self.folder / name).write_bytes(b"x")
            await self.store.run(lambda tx, n=n, phone=phone: self._fill(tx, n, phone, messages))

    def _fill(self, tx: Tx, n: int, phone: str, messages: int) -> None:
        at = self.clock.now()
        row = call(id=f"c{n}", caller=phone, chapter=Chapter.WAITING, started_at=at, ticket_id=f"t{n}")
        tx.calls.add(row.ended(EndReason.CALLER_HUNG_UP, at))
        tx.events.add(at, f"c{n}", CallStarted(phone, "700"))
        tx.tickets.add(
            ticket(
                id=f"t{n}",
                call_id=f"c{n}",
                caller=phone,
                opened_at=at,
                comments=(comment(n),),
                files=tuple(
                    replace(kept_file(n, source), file=f"{source}.wav", at=at, id=f"f-{source}")
                    for source in (f"r{n}", f"v{n}")
                ),
            )
        )
        tx.recordings.add(
            TalkRecording(
                id=f"r{n}",
                engine="ivr-1",
                call_id=f"c{n}",
                agent="anna",
                started_at=at,
                status=RecordingStatus.KEPT,
            )
        )
        tx.callers.keep_language(phone, "de", at)
        tx.consents.add(replace(consent(n, phone), at=at, call_id=f"c{n}", outcome=WaitTimeSmsStatus.ALLOWED))
        for m in range(messages):
            photo = media(id=f"p{n}-{m}", status=MediaStatus.STORED, file=f"p{n}-{m}.png")
            inbound = {"direction": Direction.INBOUND, "status": MessageStatus.RECEIVED, "sender": phone}
            tx.messages.add(
                message(**inbound, recipient="+4930123456", media=(photo,), created_at=at, call_id=f"c{n}")
            )
            tx.messages.add(message(recipient=phone, status=MessageStatus.DELIVERED, created_at=at))

    async def left_of(self, phone: str) -> dict[str, int]:
        def look(tx: Tx) -> dict[str, int]:
            return {
                "messages": len(tx.messages.search(number=phone, limit=1000)),
                "tickets": len(tx.tickets.search(caller=phone)),
                "calls": len(tx.calls.search(caller=phone)),
                "language": int(tx.callers.language(phone) is not None),
                "consents": sum(record.number == phone for record in tx.consents.search(number=phone)),
            }

        return await self.store.run(look)


Story = Callable[[House], Coroutine[Any, Any, None]]


def tell(folder: Path, story: Story) -> None:
    async def main() -> None:
        house = House(folder / "media")
        try:
            await story(house)
        finally:
            await house.store.close()

    clock.run(main(), inline=True)


@on_both
def test_a_number_is_forgotten_and_the_proof_kept_under_a_pseudonym(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.fill(PHONE, OTHER)
        await asyncio.sleep(1)
        said = Said(at=house.clock.now(), how=How.SMS, wording="STOP", actor="caller")
        await house.store.run(lambda tx: opt_outs.opt_out(tx, PHONE, said))
        keeper = house.keeper()
        asked = await keeper.ask(PHONE, "api")
        assert await keeper.ask(PHONE, "anna") == asked
        await keeper.turn()
        assert set((await house.left_of(PHONE)).values()) == {0}
        assert set((await house.left_of(OTHER)).values()) == {8, 1}
        assert house.files == {f"p1-{m}.png" for m in range(4)} | {"r1.wav", "v1.wav"}
        done = await house.store.run(lambda tx: tx.erasures.get(asked.id))
        assert done.state is ErasureState.DONE
        assert done.done_at is not None
        assert done.deleted == {
            "messages": 8,
            "files": 7,
            "tickets": 1,
            "calls": 1,
            "known_callers": 1,
            "consents_kept_under_a_pseudonym": 2,
            "opt_outs_kept_under_a_pseudonym": 1,
        }
        assert await house.store.run(lambda tx: tx.opt_outs.is_opted_out(PHONE))
        ledger = await house.store.run(lambda tx: tx.consents.page(None, 100, number=PHONE))
        assert [record.outcome for record in ledger] == ["allowed", "withdrawn"]
        assert {record.number for record in ledger} == {done.number}
        assert PHONE not in str((done, ledger, await house.events(object)))
        assert await house.events(ErasureAsked, NumberErased) == [
            ErasureAsked(asked.id, "api"),
            NumberErased(asked.id, done.deleted),
        ]
        await keeper.turn()
        again = await keeper.ask(PHONE, "api")
        await keeper.turn()
        assert set((await house.store.run(lambda tx: tx.erasures.get(again.id))).deleted.values()) == {0}

    tell(tmp_path, story)


def test_an_engine_killed_at_any_step_leaves_nothing_half_done(tmp_path: Path) -> None:
    steps = 0

    async def killed(house: House, at: int) -> bool:
        life = Life(at)
        with suppress(BaseException):
            await house.keeper(life).turn()
        return life.dead.is_set()

    async def story(house: House) -> None:
        nonlocal steps
        await house.fill(PHONE, OTHER)
        asked = await house.keeper().ask(PHONE, "api")
        while await killed(house, steps):
            steps += 1
            await house.store.run(lambda tx: _whole(tx, house))
        await house.keeper().turn()
        assert set((await house.left_of(PHONE)).values()) == {0}
        assert set((await house.left_of(OTHER)).values()) == {8, 1}
        done = await house.store.run(lambda tx: tx.erasures.get(asked.id))
        assert done.state is ErasureState.DONE
        assert {k: done.deleted[k] for k in ("messages", "tickets", "calls")} == {
            "messages": 8,
            "tickets": 1,
            "calls": 1,
        }
        assert not {name for name in house.files if "0" in name.partition("-")[0]}

    def _whole(tx: Tx, house: House) -> None:
        """Every file that is gone belonged to what was to go."""
        kept = {one.file for m in tx.messages.search(number=OTHER, limit=100) for one in m.media}
        assert kept <= house.files

    tell(tmp_path, story)
    assert steps > 10


def test_what_is_under_way_ends_first(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.fill(PHONE)
        open_call = call(id="now", caller=PHONE, chapter=Chapter.WAITING)
        await house.store.run(lambda tx: tx.calls.add(open_call))
        keeper = house.keeper()
        asked = await keeper.ask(PHONE, "api")
        await keeper.turn()
        waiting: Erasure = await house.store.run(lambda tx: tx.erasures.get(asked.id))
        assert (waiting.state, waiting.waits_for) == (ErasureState.WAITING, "a call")
        assert (await house.left_of(PHONE))["messages"] == 8
        running = asyncio.create_task(keeper.run())
        await asyncio.sleep(70)
        over = open_call.ended(EndReason.CALLER_HUNG_UP, house.clock.now())
        await house.store.run(lambda tx: tx.calls.save(over))
        await asyncio.sleep(70)
        running.cancel()
        assert set((await house.left_of(PHONE)).values()) == {0}

    tell(tmp_path, story)


@pytest.mark.parametrize("kind", ["messages", "media", "calls", "consents", "nothing"])
def test_what_is_too_old_goes_and_nothing_else(tmp_path: Path, kind: str) -> None:
    async def story(house: House) -> None:
        await house.fill(PHONE)
        await asyncio.sleep(9 * 86_400)
        if kind != "nothing":
            house.retention = Retention.model_validate({**EVERYTHING.model_dump(), kind: 10})
        keeper = house.keeper()
        await keeper.turn()
        assert (await house.left_of(PHONE))["messages"] == 8  # not ten days old
        await asyncio.sleep(2 * 86_400)
        await keeper.turn()
        left = await house.left_of(PHONE)
        wanted = {"messages": 8, "tickets": 1, "calls": 1, "language": 1, "consents": 1}
        assert left == {**wanted, **({kind: 0} if kind in ("messages", "consents") else {})}
        pictures = {f"p0-{m}.png" for m in range(4)}
        assert house.files == {
            "r0.wav",
            *(() if kind == "media" else ("v0.wav",)),
            *(() if kind in ("messages", "media") else pictures),
        }
        if kind == "calls":  # a recording is kept longer: then call and ticket are, too
            [recording] = await house.store.run(lambda tx: tx.recordings.of_call("c0"))
            gone = replace(recording, status=RecordingStatus.DELETED)
            await house.store.run(lambda tx: tx.recordings.save(gone))
            await asyncio.sleep(2 * 3600)
            await keeper.turn()
            left = await house.left_of(PHONE)
            assert (left["calls"], left["tickets"], left["messages"]) == (0, 0, 8)
        told = {k for e in await house.events(RetentionApplied) for k in e.deleted}
        assert (
            told
            == {
                "messages": {"messages"},
                "media": {"files"},
                "calls": {"calls", "tickets"},
                "consents": {"consents"},
                "nothing": set[str](),
            }[kind]
        )

    tell(tmp_path, story)


def test_others_are_served_between_two_steps(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.fill(PHONE, messages=100)
        keeper = house.keeper()
        await keeper.ask(PHONE, "api")
        loop, longest = asyncio.get_running_loop(), 0.0
        erasing = asyncio.create_task(keeper.turn())
        while not erasing.done():
            began = loop.time()
            await house.store.run(lambda tx: tx.calls.search(limit=1))
            longest = max(longest, loop.time() - began)
            await asyncio.sleep(0.01)
        assert longest < 0.01
        assert loop.time() > 200 / POLICY.portion * POLICY.pause_s
        assert set((await house.left_of(PHONE)).values()) == {0}

    tell(tmp_path, story)
