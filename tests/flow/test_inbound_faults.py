"""Texts from phones under faults: told ten times at once, and sent while there was no engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ivr_engine.callflow.in_call_sms import InCallSmsCommands
from ivr_engine.domain.events import MessageReceived
from ivr_engine.domain.messages import Direction, Message, Purpose
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import ticket_for
from ivr_engine.messaging.inbound import InboundRules
from ivr_engine.messaging.reconcile import ReconcilePolicy, Reconciliation
from ivr_engine.ports import Tx
from ivr_engine.sim.people import answers
from ivr_engine.sim.sms import SimSms
from tests.figures import Figure
from tests.flow.centre import MOBILE, contact_centre, virtual
from tests.flow.messaging_rig import Rig, rig
from tests.flow.test_in_call_sms import IN_CALL, PHOTO, SENDER
from tests.flow.test_messaging_webhooks import post, text
from tests.flow.test_resume import restart

TEXTS = 50
COPIES = 10


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path, services=False) as it:
        call = await it.call()
        await it.send()

        def open_ticket(tx: Tx) -> None:
            tx.tickets.add(ticket_for(call, tx.messages.of_call("c1"), id="t1", now=call.started_at))
            tx.calls.save(replace(tx.calls.get("c1"), ticket_id="t1"))

        await it.store.run(open_ticket)
        yield it


async def test_a_webhook_ten_times_at_once_is_one_message(it: Rig, figure: Figure) -> None:
    """Real sockets: each text comes ten times in the same moment, mixed with the others."""
    bodies = [text(f"SM{n}", text=f"text {n}") for n in range(TEXTS)] * COPIES
    async with aiohttp.ClientSession(it.url, timeout=aiohttp.ClientTimeout(total=20)) as http:
        statuses = Counter(await asyncio.gather(*(post(it, http, body) for body in bodies)))
    stored = Counter(message.text for message in await it.received())
    events = await it.store.run(lambda tx: tx.events.of_call("c1"))
    told = sum(isinstance(event.what, MessageReceived) for event in events)
    comments = Counter(c.text for c in (await it.store.run(lambda tx: tx.tickets.get("t1"))).comments)
    figure(
        26,
        f"each webhook {COPIES} times at once",
        webhooks=statuses[204],
        messages=stored.total(),
        events=told,
        lost=TEXTS - len(stored),
        doubled=stored.total() - len(stored),
    )
    assert statuses == {204: TEXTS * COPIES}
    assert stored == {f"text {n}": 1 for n in range(TEXTS)}
    assert told == TEXTS
    assert comments == stored | {"Answer here": 1}


def test_what_is_sent_while_the_engine_is_down_is_found_once(figure: Figure) -> None:
    figures: dict[str, Any] = {}

    @virtual
    async def story() -> None:
        async with contact_centre(in_call_sms=IN_CALL) as centre:
            engine = centre.engine()
            centre.phone("anna", answers(1.0))
            await engine.desk.sign_in("anna")
            caller = await centre.call()
            await caller.hears_prompt("agent")
            await asyncio.sleep(0.5)
            call_id = (await centre.row(caller)).id
            await InCallSmsCommands(engine.house).send(call_id, PHOTO)
            company = SimSms(centre.clock)
            rules = InboundRules.of(company.name, centre.site)
            found: list[Message] = []

            def reconciliation() -> Reconciliation:
                return Reconciliation(
                    store=centre.store,
                    provider=company,
                    clock=centre.clock,
                    rules=lambda: rules,
                    stored=found.append,
                    policy=ReconcilePolicy(),
                )

            await reconciliation().look()
            await engine.crash()
            began = asyncio.get_running_loop().time()
            for n in range(100):  # a text every six seconds, of whose webhooks none is answered
                media = [("image/png", b"png")] if n % 10 == 0 else []
                company.text_from(MOBILE, SENDER, f"text {n}", "http://engine.sim/inbound", media)
                await asyncio.sleep(6.0)
            down_s = asyncio.get_running_loop().time() - began
            await restart(centre, engine, after_s=0.0)
            looking = asyncio.create_task(reconciliation().run())
            await asyncio.sleep(300.0)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            stored = [m for m in await centre.messages(caller) if m.direction is Direction.INBOUND]
            [ticket] = await centre.tickets()
            theirs = Counter(c.text for c in ticket.comments if c.author == "customer")
            figures.update(
                minutes_down=round(down_s / 60),
                texts=100,
                found=len(found),
                lost=100 - len({m.text for m in stored}),
                doubled=len(stored) - len({m.text for m in stored}),
            )
            assert {m.text for m in stored} == {f"text {n}" for n in range(100)}
            assert {m.purpose for m in stored} == {Purpose.REPLY}
            assert theirs == {f"text {n}": 1 for n in range(100)}

    story()
    figure(27, "engine down, texts come in a talk", **figures)
    assert (figures["found"], figures["lost"], figures["doubled"]) == (100, 0, 0)
