"""What a CRM is told about conversations, and whose they are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ivr_engine.callflow.commands import CallCommands, ToAgent, ToNumber, ToQueue
from ivr_engine.domain.contacts import Found
from ivr_engine.domain.crm import Kind, Topic
from ivr_engine.domain.events import ContactIdentified, ContactUnclear
from ivr_engine.domain.messages import Purpose
from ivr_engine.errors import Unreachable
from ivr_engine.messaging.contacts import choose, choose_new
from ivr_engine.messaging.crm_feed import CrmsNow
from ivr_engine.sim.crm import HANGS_S, SimCrm, SimDirectory
from ivr_engine.sim.people import Behaviour, answers, busy, declines
from ivr_engine.sim.switch import PhoneCall
from tests.flow.centre import MOBILE, virtual
from tests.flow.crm_rig import desk
from tests.flow.databases import on_both

NUMBER = "+493012345678"
OTHER = "+4915187654321"
THREE: dict[str, Any] = {
    "transfers": {"trunk": "trunk", "allow": ["+4930", "+49151"]},
    "queues": {
        "support": {"label": "Support", "ring_time": 20},
        "sales": {"label": "Sales", "ring_time": 20, "announce_position": False},
    },
    "agents": {
        "anna": {"label": "Anna", "queues": ["support"]},
        "ben": {"label": "Ben", "queues": ["sales"]},
    },
}


# ── whose it is: none, one, several ──────────────────────────────────────────────────────────────


@on_both
@virtual
async def test_a_number_that_nobody_has_becomes_a_contact() -> None:
    async with desk() as it:
        caller = await it.connected()
        [contact] = await it.contacts()
        assert (contact.numbers, contact.language) == ((MOBILE,), "en")
        ticket = await it.ticket(caller)
        assert (ticket.contact_id, ticket.candidates) == (contact.id, ())
        assert ContactIdentified(contact.id, "created") in await it.centre.happened(caller)
        [created] = await it.until_told(Kind.CONTACT_CREATED)
        assert created.contact == contact
        assert created.conversation.number == MOBILE


@virtual
async def test_a_number_that_one_contact_has_is_theirs_and_they_are_brought_up_to_date() -> None:
    async with desk() as it:
        [known] = await it.knows("Ada")
        caller = await it.connected()
        [contact] = await it.contacts()
        assert (contact.id, contact.name, contact.language) == (known.id, "Ada", "en")
        assert contact.updated_at > known.updated_at
        assert (await it.ticket(caller)).contact_id == known.id
        [updated] = await it.until_told(Kind.CONTACT_UPDATED)
        assert updated.contact == contact
        await it.ends(caller)
        await it.connected()
        assert len(await it.until_told(Kind.CONTACT_UPDATED, 2)) == 2
        assert not it.crm.told(Kind.CONTACT_CREATED)


@on_both
@virtual
async def test_of_several_the_agent_chooses_and_what_was_posted_meanwhile_is_theirs() -> None:
    async with desk() as it:
        ada, ben = await it.knows("Ada", "Ben")
        caller = await it.connected()
        ticket = await it.ticket(caller)
        assert (ticket.contact_id, set(ticket.candidates)) == (None, {ada.id, ben.id})
        assert ContactUnclear(2) in await it.centre.happened(caller)
        [unclear] = await it.until_told(Kind.CONTACT_UNCLEAR)
        assert {each.name for each in unclear.candidates} == {"Ada", "Ben"}
        await it.sent(caller, "Hello")
        [before] = await it.until_told(Kind.MESSAGE)
        assert (before.contact, before.conversation.ticket_id) == (None, ticket.id)

        now = it.centre.clock.now()
        await it.centre.store.run(lambda tx: choose(tx, ticket.id, ben.id, now))
        assert (await it.ticket(caller)).contact_id == ben.id
        assert (await it.ticket(caller)).candidates == ()
        [chosen] = await it.until_told(Kind.CONTACT_CHOSEN)
        assert chosen.contact is not None
        assert (chosen.contact.name, chosen.conversation.ticket_id) == ("Ben", ticket.id)
        await it.ends(caller)
        [ended] = await it.until_told(Kind.CONVERSATION_ENDED)
        assert ended.contact == chosen.contact
        assert len(await it.contacts()) == 2


@virtual
async def test_or_the_agent_says_that_it_is_somebody_new_also_when_the_call_is_over() -> None:
    async with desk() as it:
        await it.knows("Ada", "Ben")
        caller = await it.connected()
        await it.ends(caller)
        await it.until_told(Kind.TRANSCRIPT)
        ticket, now = await it.ticket(caller), it.centre.clock.now()
        await it.centre.store.run(lambda tx: choose_new(tx, ticket.id, "Eve", new_id="c-eve", now=now))
        [chosen] = await it.until_told(Kind.CONTACT_CHOSEN)
        assert chosen.contact is not None
        assert (chosen.contact.name, chosen.contact.numbers) == ("Eve", (MOBILE,))


@virtual
async def test_a_hidden_number_is_nobodys() -> None:
    async with desk() as it:
        caller = await it.connected(caller="anonymous")
        assert await it.contacts() == []
        assert (await it.ticket(caller)).contact_id is None
        [connected] = await it.until_told(Kind.CONVERSATION_CONNECTED)
        assert (connected.contact, connected.conversation.number) == (None, None)


@virtual
async def test_who_is_called_back_is_known_by_the_number_that_was_reached() -> None:
    flows = {"back": {"start": "q", "nodes": {"q": {"queue": {"name": "support", "callback": True}}}}}
    numbers = {"700": {"queue": "support"}, "800": {"flow": "back"}}
    async with desk(flows=flows, numbers=numbers, transfers=THREE["transfers"]) as it:
        await it.engine.desk.sign_out("anna")
        it.centre.phone(MOBILE, presses_1())
        caller = await it.centre.call("800")
        await caller.hears_prompt("callback_this_number", within_s=5)
        caller.press("1")
        await caller.ended(within_s=30)
        assert await it.contacts() == []
        await it.engine.desk.sign_in("anna")
        [connected] = await it.until_told(Kind.CONVERSATION_CONNECTED, within_s=120)
        assert (connected.conversation.direction, connected.conversation.number) == ("outbound", MOBILE)
        [contact] = await it.contacts()
        assert contact.numbers == (MOBILE,)
        assert connected.contact == contact


def presses_1() -> Behaviour:
    """A person says that they are there."""

    def behave(ringing: PhoneCall) -> None:
        ringing.answer()
        asyncio.get_running_loop().call_later(3.0, ringing.press, "1")

    return behave


# ── another system knows whose a number is ───────────────────────────────────────────────────────

ASKED: dict[str, Any] = {
    "crm": {"contacts": {"url": "https://crm.example/who", "secret_from": "IVR_CRM_SECRET"}}
}


@virtual
async def test_another_system_that_knows_one_contact_says_who_it_is() -> None:
    directory = SimDirectory(Found("4711", "Ada", "de"))
    async with desk(directory=directory, **ASKED) as it:
        caller = await it.connected()
        [updated] = await it.until_told(Kind.CONTACT_UPDATED)
        assert directory.asked == [MOBILE]
        assert updated.contact is not None
        assert (updated.contact.name, dict(updated.contact.external)) == ("Ada", {"sim": "4711"})
        assert (await it.ticket(caller)).contact_id == updated.contact.id
        await it.ends(caller)
        await it.connected()
        await it.until_told(Kind.CONTACT_UPDATED, 2)
        assert len(await it.contacts()) == 1, "the same one"


@virtual
async def test_another_system_that_knows_several_lets_the_agent_choose() -> None:
    async with desk(directory=SimDirectory(Found("1", "Ada"), Found("2", "Ben")), **ASKED) as it:
        caller = await it.connected()
        [unclear] = await it.until_told(Kind.CONTACT_UNCLEAR)
        assert [each.name for each in unclear.candidates] == ["Ada", "Ben"]
        assert len((await it.ticket(caller)).candidates) == 2


@pytest.mark.parametrize("answer", [[], Unreachable("away"), HANGS_S], ids=["none", "away", "hangs"])
@virtual
async def test_another_system_that_knows_nobody_or_does_not_answer_leaves_it_to_the_contacts_here(
    answer: list[Found] | Unreachable | float,
) -> None:
    directory = SimDirectory()
    directory.answer = answer
    async with desk(directory=directory, **ASKED) as it:
        caller = await it.connected()
        assert caller.hears_now == "agent"
        [created] = await it.until_told(Kind.CONTACT_CREATED)
        assert (await it.ticket(caller)).contact_id == (created.contact and created.contact.id)
        assert len(await it.contacts()) == 1


# ── everything that is posted ────────────────────────────────────────────────────────────────────


@on_both
@virtual
async def test_a_conversation_from_the_first_text_to_the_transcript() -> None:
    async with desk() as it:
        await it.engine.desk.sign_out("anna")
        caller = await it.centre.call()
        await asyncio.sleep(2.0)
        await it.sent(caller, "Answer here")
        await asyncio.sleep(1.0)
        await it.writes("It is broken", pictures=1)
        await asyncio.sleep(2.0)
        assert it.crm.ledger == [], "nothing before there is a ticket"
        await it.engine.desk.sign_in("anna")
        await caller.hears_prompt("agent", within_s=60)
        await it.until_told(Kind.CONVERSATION_CONNECTED)
        await it.sent(caller, "Which lamp?", Purpose.IN_CALL_SMS, id="out-2")
        await asyncio.sleep(1.0)
        await it.writes("The red one", id="in-2", pictures=2)
        await asyncio.sleep(2.0)
        await it.ends(caller)
        [transcript] = await it.until_told(Kind.TRANSCRIPT)

        row = await it.centre.row(caller)
        assert {each.conversation.id for each in it.crm.ledger} == {row.id}
        [first] = it.crm.told(Kind.CONVERSATION_OPENED)
        about = first.conversation
        assert (about.queue, about.language, about.agent, about.ours) == ("support", "en", "anna", "700")
        texts = [(each.said[0].author, each.said[0].text) for each in it.crm.told(Kind.MESSAGE)]
        assert texts == [
            ("system", "Answer here"),
            ("customer", "It is broken"),
            ("agent", "Which lamp?"),
            ("customer", "The red one"),
        ]
        files = [each.file for each in it.crm.told(Kind.FILE)]
        assert [file and file.content_type for file in files] == ["image/png"] * 3
        [ended] = it.crm.told(Kind.CONVERSATION_ENDED)
        assert ended.facts == {"reason": "caller_hung_up"}
        assert ended.conversation.ended_at is not None
        assert [(line.author, line.by, line.text) for line in transcript.said] == [
            ("system", None, "Answer here"),
            ("customer", None, "It is broken"),
            ("system", None, "Connected with anna"),
            ("agent", "anna", "Which lamp?"),
            ("customer", None, "The red one"),
            ("system", None, "Conversation ended: caller_hung_up"),
        ]
        kinds = [each.kind for each in it.crm.ledger]
        assert kinds.index(Kind.CONVERSATION_OPENED) == 0
        assert kinds[-2:] == [Kind.CONVERSATION_ENDED, Kind.TRANSCRIPT], "in the order it happened"
        ticket = await it.ticket(caller)
        assert [each.text for each in ticket.comments] == [
            "Answer here",
            "It is broken",
            "Connected with anna",
            "Which lamp?",
            "The red one",
            "Conversation ended: caller_hung_up",
        ], "the ticket of the CRM that is built in says the same"
        assert len(ticket.files) == 3


@virtual
async def test_what_the_system_answers_in_the_talk_is_told_too() -> None:
    async with desk() as it:
        caller = await it.connected()
        await it.writes("STOP", site=it.centre.site)
        await it.until_told(Kind.MESSAGE, 2)
        await it.ends(caller)
        [transcript] = await it.until_told(Kind.TRANSCRIPT)
        assert [line.author for line in transcript.said] == ["system", "customer", "system", "system"]
        assert "unsubscribed" in transcript.said[2].text


@virtual
async def test_what_comes_after_the_end_is_not_posted() -> None:
    async with desk() as it:
        caller = await it.connected()
        await it.sent(caller, "Which lamp?", Purpose.IN_CALL_SMS)
        await it.ends(caller)
        await it.until_told(Kind.TRANSCRIPT)
        await it.writes("The red one", pictures=1)
        await asyncio.sleep(5.0)
        assert len(it.crm.told(Kind.MESSAGE)) == 1
        assert it.crm.told(Kind.FILE) == []


@pytest.mark.parametrize("outside", ["answers", "busy"])
@virtual
async def test_a_transfer_to_a_number_is_started_and_ends_or_fails(outside: str) -> None:
    async with desk(**THREE) as it:
        it.centre.phone(NUMBER, answers(1.0) if outside == "answers" else busy())
        caller = await it.connected()
        do = CallCommands(it.engine.house)
        await do.transfer((await it.centre.row(caller)).id, ToNumber(NUMBER))
        [started] = await it.until_told(Kind.TRANSFER_STARTED)
        assert started.facts == {"to_kind": "number", "to": NUMBER, "way": "blind"}
        over = Kind.TRANSFER_ENDED if outside == "answers" else Kind.TRANSFER_FAILED
        [told] = await it.until_told(over)
        assert told.facts.get("reason") == (None if outside == "answers" else "busy")
        assert len(it.crm.told(Kind.TRANSFER_FAILED)) + len(it.crm.told(Kind.TRANSFER_ENDED)) == 1
        [line, *_] = [c.text for c in (await it.ticket(caller)).comments if c.text.startswith("Transfer")]
        assert line == f"Transfer to number {NUMBER} started"


@virtual
async def test_a_transfer_by_a_flow_before_there_is_a_ticket_comes_with_it() -> None:
    out = {"transfer": {"number": NUMBER, "ring_time": 10, "otherwise": "line"}}
    nodes = {"out": out, "line": {"queue": {"name": "support"}}}
    changes: dict[str, Any] = THREE | {
        "flows": {"f": {"start": "out", "nodes": nodes}},
        "numbers": {"900": {"flow": "f"}},
    }
    async with desk(**changes) as it:
        it.centre.phone(NUMBER, busy())
        caller = await it.connected("900")
        await it.ends(caller)
        [transcript] = await it.until_told(Kind.TRANSCRIPT)
        kinds = [each.kind for each in it.crm.ledger if each.kind.topic is not Topic.CONTACT]
        assert kinds[:4] == [
            Kind.CONVERSATION_OPENED,
            Kind.TRANSFER_STARTED,
            Kind.TRANSFER_FAILED,
            Kind.CONVERSATION_CONNECTED,
        ]
        [failed] = it.crm.told(Kind.TRANSFER_FAILED)
        assert failed.facts == {"to_kind": "number", "to": NUMBER, "way": "blind", "reason": "busy"}
        lines = [
            f"Transfer to number {NUMBER} started",
            f"Transfer to number {NUMBER} failed: busy",
            "Connected with anna",
            "Conversation ended: caller_hung_up",
        ]
        assert [line.text for line in transcript.said] == lines
        assert [comment.text for comment in (await it.ticket(caller)).comments] == lines


@virtual
async def test_a_ticket_that_is_opened_after_the_end_tells_why_it_ended() -> None:
    async with desk(abandoned_tickets="only_with_sms") as it:
        await it.engine.desk.sign_out("anna")
        caller = await it.centre.call()
        await asyncio.sleep(1.0)
        await it.sent(caller, "Answer here")
        await it.ends(caller)
        await it.writes("Too late", site=it.centre.site)
        [ended] = await it.until_told(Kind.CONVERSATION_ENDED)
        assert ended.facts == {"reason": "caller_hung_up"}
        assert ended.at < it.crm.told(Kind.CONVERSATION_OPENED)[0].at
        [transcript] = await it.until_told(Kind.TRANSCRIPT)
        assert [each.kind for each in it.crm.ledger][-2:] == [Kind.CONVERSATION_ENDED, Kind.TRANSCRIPT]
        assert [line.text for line in transcript.said] == [
            "Answer here",
            "Conversation ended: caller_hung_up",
            "Too late",
        ]


@virtual
async def test_a_transfer_to_a_queue_ends_when_its_agent_is_connected() -> None:
    async with desk(**THREE) as it:
        it.centre.phone("ben", answers(1.0))
        caller = await it.connected()
        do = CallCommands(it.engine.house)
        await do.transfer((await it.centre.row(caller)).id, ToQueue("sales"))
        [started] = await it.until_told(Kind.TRANSFER_STARTED)
        assert started.facts == {"by": "anna", "to_kind": "queue", "to": "sales", "way": "blind"}
        await asyncio.sleep(5.0)
        assert it.crm.told(Kind.TRANSFER_ENDED) == []
        await it.engine.desk.sign_in("ben")
        [ended] = await it.until_told(Kind.TRANSFER_ENDED)
        assert (ended.facts["to"], ended.facts["agent"]) == ("sales", "ben")
        connected = await it.until_told(Kind.CONVERSATION_CONNECTED, 2)
        assert [each.facts["agent"] for each in connected] == ["anna", "ben"]
        assert len(it.crm.told(Kind.CONTACT_CREATED)) == 1, "looked up once"
        assert it.crm.told(Kind.CONTACT_UPDATED) == []


@virtual
async def test_a_transfer_to_an_agent_who_declines_failed_once() -> None:
    async with desk(**THREE) as it:
        it.centre.phone("ben", declines(1.0), answers(1.0))
        await it.engine.desk.sign_in("ben")
        caller = await it.connected()
        do = CallCommands(it.engine.house)
        await do.transfer((await it.centre.row(caller)).id, ToAgent("ben"))
        [failed] = await it.until_told(Kind.TRANSFER_FAILED)
        assert (failed.facts["to_kind"], failed.facts["to"], failed.facts["reason"]) == (
            "agent",
            "ben",
            "declined",
        )
        await caller.hears_times("agent", 2, within_s=60)  # anna again
        await it.until_told(Kind.CONVERSATION_CONNECTED, 2)
        assert it.crm.told(Kind.TRANSFER_ENDED) == []


@virtual
async def test_an_attended_transfer_is_told_by_both_ends() -> None:
    async with desk(**THREE) as it:
        it.centre.phone("ben", answers(1.0), answers(1.0))
        await it.engine.desk.sign_in("ben")
        caller = await it.connected()
        do, call_id = CallCommands(it.engine.house), (await it.centre.row(caller)).id
        await do.consult(call_id, ToAgent("ben"))
        await asyncio.sleep(3.0)
        await do.take_back(call_id)
        [failed] = await it.until_told(Kind.TRANSFER_FAILED)
        assert (failed.facts["way"], failed.facts["reason"]) == ("attended", "taken_back")
        await it.engine.desk.sign_in("ben")
        await asyncio.sleep(1.0)
        await do.consult(call_id, ToAgent("ben"))
        await asyncio.sleep(3.0)
        await do.complete(call_id)
        [ended] = await it.until_told(Kind.TRANSFER_ENDED)
        assert (ended.facts["by"], ended.facts["to"], ended.facts["way"]) == ("anna", "ben", "attended")


# ── coming and going with the site ───────────────────────────────────────────────────────────────


@virtual
async def test_a_crm_that_comes_later_is_told_from_then_on_and_one_that_goes_nothing_more() -> None:
    async with desk() as it:
        caller = await it.connected()
        await it.until_told(Kind.CONVERSATION_CONNECTED)
        late = SimCrm("late")
        it.crms = CrmsNow((*it.crms.crms, late))
        await asyncio.sleep(3.0)
        await it.ends(caller)
        await it.until_told(Kind.TRANSCRIPT)
        await asyncio.sleep(2.0)
        assert [each.kind for each in late.ledger] == [Kind.CONVERSATION_ENDED, Kind.TRANSCRIPT]

        it.crms = CrmsNow((it.crms.crms[0], late))
        await asyncio.sleep(3.0)
        assert it.crm.closed
        assert not late.closed
        told = len(it.crm.ledger)
        again = await it.connected(caller=OTHER)
        await it.ends(again)
        await asyncio.sleep(5.0)
        assert len(it.crm.ledger) == told
        assert late.told(Kind.CONTACT_CREATED)
        adapters = await it.centre.store.run(lambda tx: tx.deliveries.adapters())
        assert adapters == ["built-in", "late"]


@virtual
async def test_a_crm_is_told_what_it_asked_for() -> None:
    only = SimCrm("only", frozenset({Kind.TRANSCRIPT}))
    async with desk(only) as it:
        caller = await it.connected()
        await it.ends(caller)
        await it.until_told(Kind.TRANSCRIPT)
        await asyncio.sleep(2.0)
        assert [each.kind for each in only.ledger] == [Kind.TRANSCRIPT]
