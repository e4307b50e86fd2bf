"""Texts between an agent and the caller on the line, and the closing SMS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ivr_engine.callflow.commands import ToNumber, ToQueue
from ivr_engine.callflow.in_call_sms import Content, FromPreset, InCallSmsCommands, OwnText
from ivr_engine.domain.agents import AgentState
from ivr_engine.domain.calls import Chapter
from ivr_engine.domain.events import InCallSmsSent, MessageQueued, MessageReceived
from ivr_engine.domain.messages import Direction, Message, MessageStatus, Purpose
from ivr_engine.domain.opt_outs import How, OptOut, Said
from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused
from ivr_engine.messaging.inbound import InboundRules, received
from ivr_engine.ports import InboundSms
from ivr_engine.sim.people import Caller, answers
from tests.flow.centre import MOBILE, Centre, contact_centre, virtual
from tests.flow.crashes import failures_at_each_step, restart, successor
from tests.flow.test_in_call import NUMBER, SITE, Stand, talking

SENDER = "+4930123456"
IN_CALL: dict[str, Any] = {
    "presets": {
        "photo": {
            "label": "Ask for a photo",
            "text": {"en": "{brand}: A photo, please", "de": "{brand}: Bitte ein Foto"},
        },
        "site": {"label": "Website", "text": {"en": "{brand}: https://example.com/help"}},
    },
    "closing": {"en": "{brand}: The call is over", "de": "{brand}: Ende"},
}
PHOTO = FromPreset("photo")


@dataclass
class Desk:
    """Anna's, who talks to a caller."""

    stand: Stand

    @property
    def sms(self) -> InCallSmsCommands:
        return InCallSmsCommands(self.stand.engine.house)

    @property
    def centre(self) -> Centre:
        return self.stand.centre

    async def send(self, content: Content, agent: str | None = None) -> Message:
        return await self.sms.send((await self.stand.row()).id, content, agent)

    async def refused(self, content: Content, agent: str | None = None) -> str:
        before = await self.messages()
        with pytest.raises(Refused) as refusal:
            await self.send(content, agent)
        assert await self.messages() == before
        return refusal.value.reason

    async def messages(self) -> list[Message]:
        return await self.centre.messages(self.stand.caller)

    async def texts(self) -> list[str]:
        return [message.text for message in await self.messages()]

    async def comments(self) -> list[tuple[str, str]]:
        [ticket] = await self.centre.tickets()
        return [(comment.author, comment.text) for comment in ticket.comments]

    async def comes_in(self, text: str, media: tuple[tuple[str, str], ...] = ()) -> Message | None:
        rules = InboundRules.of("simulator", self.centre.site)
        sms = InboundSms(self.centre.new_id(), MOBILE, SENDER, text, media)
        now = self.centre.clock.now()
        return await self.centre.store.run(lambda tx: received(tx, sms, rules, now))

    async def hang_up(self) -> None:
        self.stand.caller.hang_up()
        await asyncio.sleep(1.0)


@asynccontextmanager
async def desk(in_call: dict[str, Any] | None = None, **changes: Any) -> AsyncGenerator[Desk]:
    settings = IN_CALL | (in_call or {})
    async with talking(in_call_sms=settings, **changes) as stand:
        yield Desk(stand)


# ── what the agent sends ─────────────────────────────────────────────────────────────────────────


@virtual
async def test_a_preset_goes_to_the_caller_to_the_ticket_and_into_the_record() -> None:
    async with desk() as anna:
        message = await anna.send(PHOTO)
        assert (message.sender, message.recipient, message.status) == (SENDER, MOBILE, MessageStatus.QUEUED)
        assert (message.text, message.purpose) == ("Example: A photo, please", Purpose.IN_CALL_SMS)
        row = await anna.stand.row()
        assert (message.call_id, message.ticket_id) == (row.id, row.ticket_id)
        assert await anna.comments() == [("anna", "Example: A photo, please")]
        happened = await anna.centre.happened(anna.stand.caller)
        assert MessageQueued(message.id) in happened
        assert InCallSmsSent(message.id, "anna", "photo") in happened


@virtual
async def test_the_preset_is_in_the_callers_language_or_in_another_that_the_agent_chooses() -> None:
    numbers = {"700": {"queue": "support", "language": "de"}}
    async with desk(numbers=numbers) as anna:
        await anna.send(PHOTO)
        await anna.send(FromPreset("photo", "en"))
        await anna.send(FromPreset("site"))  # has no German text
        assert await anna.texts() == [
            "Example: Bitte ein Foto",
            "Example: A photo, please",
            "Example: https://example.com/help",
        ]
        assert "no language 'fr'" in await anna.refused(FromPreset("photo", "fr"))
        assert "the site has photo, site" in await anna.refused(FromPreset("phot"))


@virtual
async def test_own_words_with_links_to_918_characters_and_not_one_more() -> None:
    async with desk() as anna:
        await anna.send(OwnText(" See https://example.com/a?b=c\r\nand call back \x00"))
        await anna.send(OwnText("x" * 918))
        assert await anna.texts() == ["See https://example.com/a?b=c\nand call back", "x" * 918]
        assert await anna.refused(OwnText("x" * 919)) == (
            "the text has 919 characters, at most 918 are sent: leave 1 out"
        )
        assert await anna.refused(OwnText(" \n\x00")) == "the text is empty"
        happened = await anna.centre.happened(anna.stand.caller)
        assert [e.preset for e in happened if isinstance(e, InCallSmsSent)] == [None, None]


@virtual
async def test_with_presets_only_no_own_words() -> None:
    async with desk({"presets_only": True}) as anna:
        assert "only presets may be sent" in await anna.refused(OwnText("Hello"))
        await anna.send(PHOTO)
        choice = await anna.sms.choice((await anna.stand.row()).id)
        assert not choice.own_text


@virtual
async def test_the_agent_is_shown_what_can_be_sent() -> None:
    async with desk() as anna:
        call_id = (await anna.stand.row()).id
        choice = await anna.sms.choice(call_id)
        assert (choice.why_not, choice.language, choice.own_text, choice.media) == (None, "en", True, False)
        assert [(p.name, p.label, p.text) for p in choice.presets] == [
            ("photo", "Ask for a photo", "Example: A photo, please"),
            ("site", "Website", "Example: https://example.com/help"),
        ]
        in_german = await anna.sms.choice(call_id, "de")
        assert in_german.presets[0].text == "Example: Bitte ein Foto"
        await anna.hang_up()
        assert "ended" in ((await anna.sms.choice(call_id)).why_not or "")


@virtual
async def test_asked_twice_with_one_key_it_is_sent_once() -> None:
    async with desk() as anna:
        call_id = (await anna.stand.row()).id
        sent = await asyncio.gather(*(anna.sms.send(call_id, PHOTO, key="k1") for _ in range(5)))
        assert len({message.id for message in sent}) == 1
        await anna.sms.send(call_id, PHOTO, key="k2")
        assert len(await anna.messages()) == len(await anna.comments()) == 2
        await anna.hang_up()
        assert (await anna.sms.send(call_id, PHOTO, key="k1")).id == sent[0].id


# ── who may, and to whom ─────────────────────────────────────────────────────────────────────────


@virtual
async def test_only_who_talks_to_the_caller_may_write() -> None:
    async with desk() as anna:
        assert (await anna.send(PHOTO, "anna")).id
        assert await anna.refused(PHOTO, "ben") == "ben does not talk to this caller: anna may write"


@virtual
async def test_only_while_agent_and_caller_are_connected() -> None:
    async with desk() as anna:
        row = await anna.stand.row()
        await anna.stand.now(anna.stand.do.hold)
        await anna.send(PHOTO)  # the caller waits for what the agent is looking up
        await anna.hang_up()
        assert "is ended: no agent talks to the caller" in await anna.refused(PHOTO)
        with pytest.raises(Refused):
            await anna.sms.send("no such call", PHOTO)
        for chapter in set(Chapter) - {Chapter.TALKING}:
            await anna.centre.store.run(
                lambda tx, chapter=chapter: tx.calls.save(replace(tx.calls.get(row.id), chapter=chapter))
            )
            await anna.refused(PHOTO)


@pytest.mark.parametrize(
    ("caller", "in_call", "why"),
    [
        ("anonymous", {}, "the caller's number is hidden"),
        ("+49301234567", {}, "landline"),
        ("4711", {}, "not one that exists"),
        ("+436641234567", {}, "numbers of that country"),
        ("+436641234567", {"non_domestic": True}, "numbers of that country"),
        ("+436641234567", {"non_domestic": True, "countries": ["CH"]}, "numbers of that country"),
        (MOBILE, {"enabled": False}, "switched off"),
        ("+4915199999999", {}, "numbers that begin so"),
    ],
)
def test_numbers_that_get_no_sms(caller: str, in_call: dict[str, Any], why: str) -> None:
    @virtual
    async def story() -> None:
        settings = SITE | {"in_call_sms": IN_CALL | in_call, "abuse": {"blocked": ["+4915199"]}}
        async with contact_centre(**settings) as centre:
            engine = centre.engine()
            centre.phone("anna", answers(1.0))
            await engine.desk.sign_in("anna")
            phone = await centre.call(caller=caller)
            await phone.hears_prompt("agent")
            await asyncio.sleep(0.5)
            commands, call_id = InCallSmsCommands(engine.house), (await centre.row(phone)).id
            with pytest.raises(Refused, match=why):
                await commands.send(call_id, PHOTO)
            assert why in ((await commands.choice(call_id)).why_not or "")
            assert not await centre.messages(phone)

    story()


@virtual
async def test_another_country_that_is_listed_gets_it_whatever_the_wait_time_sms_says() -> None:
    in_call = IN_CALL | {"non_domestic": True, "countries": ["AT"]}
    async with contact_centre(**SITE, in_call_sms=in_call) as centre:
        engine = centre.engine()
        centre.phone("anna", answers(1.0))
        await engine.desk.sign_in("anna")
        phone = await centre.call(caller="+436641234567")
        await phone.hears_prompt("agent")
        await asyncio.sleep(0.5)
        message = await InCallSmsCommands(engine.house).send((await centre.row(phone)).id, PHOTO)
        assert message.recipient == "+436641234567"


async def opts_out(centre: Centre) -> None:
    said = Said(at=centre.clock.now(), how=How.STAFF, wording="no more", actor="cleo")
    await centre.store.run(lambda tx: tx.opt_outs.add(OptOut(id="o1", number=MOBILE, said=said)))


@virtual
async def test_who_opts_out_in_the_talk_is_sent_nothing_more_not_even_that_it_is_over() -> None:
    async with desk() as anna:
        await anna.send(PHOTO)
        await opts_out(anna.centre)
        assert "does not want any SMS" in await anna.refused(PHOTO)
        await anna.hang_up()
        assert await anna.texts() == ["Example: A photo, please"]


@virtual
async def test_who_opted_out_gets_no_automatic_answer() -> None:
    async with desk({"automatic_answer": {"text": {"en": "Too late"}}, "closing": {}}) as anna:
        await anna.send(PHOTO)
        await anna.hang_up()
        await opts_out(anna.centre)
        await anna.comes_in("Hello?")
        assert await anna.texts() == ["Example: A photo, please", "Hello?"]


@virtual
async def test_a_number_that_the_carrier_does_not_vouch_for() -> None:
    async with desk() as anna:
        row = await anna.stand.row()
        forged = replace(row, routing=replace(row.routing, attested=False))
        await anna.centre.store.run(lambda tx: tx.calls.save(forged))
        assert "does not vouch" in await anna.refused(PHOTO)


@virtual
async def test_switched_off_for_the_queue() -> None:
    queues = SITE["queues"] | {"support": SITE["queues"]["support"] | {"in_call_sms": False}}
    async with desk(queues=queues) as anna:
        assert "switched off" in await anna.refused(PHOTO)
        await anna.hang_up()
        assert not await anna.messages()


@virtual
async def test_when_the_caller_is_handed_on_the_next_agent_writes() -> None:
    async with desk() as anna:
        await anna.send(PHOTO)
        await anna.stand.now(anna.stand.do.transfer, ToQueue("sales"))
        assert "no agent talks" in await anna.refused(PHOTO)
        await anna.stand.caller.hears_prompt("agent")
        await asyncio.sleep(0.5)
        assert "anna does not talk" in await anna.refused(PHOTO, "anna")
        await anna.send(FromPreset("site"))
        assert [author for author, _ in await anna.comments()] == ["anna", "ben"]


@virtual
async def test_nobody_writes_when_the_caller_talks_to_a_number_outside() -> None:
    async with desk() as anna:
        await anna.stand.now(anna.stand.do.transfer, ToNumber(NUMBER))
        await asyncio.sleep(2.0)
        assert "no agent talks" in await anna.refused(PHOTO)


# ── what the caller writes ───────────────────────────────────────────────────────────────────────


@virtual
async def test_the_answer_is_on_the_call_and_on_the_ticket_at_once() -> None:
    async with desk() as anna:
        await anna.send(PHOTO)
        message = await anna.comes_in("Here", (("https://x.example/1", "video/mp4"),))
        assert message is not None
        row = await anna.stand.row()
        assert (message.call_id, message.ticket_id, message.purpose) == (row.id, row.ticket_id, "reply")
        assert [m.direction for m in await anna.messages()] == [Direction.OUTBOUND, Direction.INBOUND]
        assert (await anna.comments())[-1] == ("customer", "Here")
        assert MessageReceived(message.id, 1) in await anna.centre.happened(anna.stand.caller)


@virtual
async def test_what_answers_a_command_in_the_talk_is_on_the_ticket_too() -> None:
    async with desk() as anna:
        await anna.comes_in("HELP")
        await anna.comes_in("STOP")
        await anna.comes_in("START")
        comments = await anna.comments()
        assert [author for author, _ in comments] == ["customer", "system"] * 3
        assert [text for author, text in comments if author == "customer"] == ["HELP", "STOP", "START"]
        assert "unsubscribed" in comments[3][1]
        assert [m.ticket_id for m in await anna.messages()] == [(await anna.stand.row()).ticket_id] * 6


@virtual
async def test_who_waits_once_more_and_allows_the_sms_has_it_on_the_ticket() -> None:
    sales = SITE["queues"]["sales"] | {"wait_time_sms": {"requires_over_capacity": False}}
    async with desk(queues=SITE["queues"] | {"sales": sales}) as anna:
        await anna.stand.engine.desk.sign_out("ben")
        await anna.stand.now(anna.stand.do.transfer, ToQueue("sales"))
        await anna.stand.caller.hears_prompt("consent", within_s=60)
        anna.stand.caller.press("1")
        await anna.stand.caller.hears_prompt("sms_sent")
        assert await anna.comments() == [("system", "Example: answer here")]


# ── the end ──────────────────────────────────────────────────────────────────────────────────────


@virtual
async def test_the_closing_sms_once_in_the_callers_language_and_then_nothing_on_the_ticket() -> None:
    async with desk(numbers={"700": {"queue": "support", "language": "de"}}) as anna:
        await anna.send(PHOTO)
        await anna.hang_up()
        closing = (await anna.messages())[-1]
        assert (closing.text, closing.purpose) == ("Example: Ende", Purpose.CLOSING_SMS)
        assert (closing.sender, closing.recipient) == (SENDER, MOBILE)
        comments = await anna.comments()
        assert comments[-1] == ("system", "Example: Ende")
        late = await anna.comes_in("Thank you")
        assert late is not None
        assert (late.call_id, late.purpose) == ((await anna.stand.row()).id, Purpose.LATE_REPLY)
        assert await anna.comments() == comments


@virtual
async def test_no_closing_sms_where_no_text_was_exchanged_or_none_is_written() -> None:
    async with desk() as anna:
        await anna.hang_up()
        assert not await anna.messages()
    async with desk({"closing": {}}) as anna:
        await anna.send(PHOTO)
        await anna.hang_up()
        assert len(await anna.messages()) == 1


@virtual
async def test_a_text_that_could_not_be_sent_is_no_exchange_but_one_of_the_callers_is() -> None:
    async with desk() as anna:
        sent = await anna.send(PHOTO)
        failed = replace(sent, status=MessageStatus.FAILED, next_attempt_at=None)
        await anna.centre.store.run(lambda tx: tx.messages.save(failed))
        await anna.hang_up()
        assert len(await anna.messages()) == 1
    async with desk() as anna:
        await anna.comes_in("I write first")
        await anna.hang_up()
        assert await anna.texts() == ["I write first", "Example: The call is over"]


@virtual
async def test_whoever_ends_the_call_it_is_closed_once_also_after_a_crash() -> None:
    async with desk() as anna:
        await anna.send(PHOTO)
        await anna.stand.engine.crash()
        anna.stand.caller.hang_up()
        anna.stand.engine = await restart(anna.centre, anna.stand.engine, after_s=5.0)
        await asyncio.sleep(5.0)
        assert (await anna.texts()).count("Example: The call is over") == 1
    async with desk() as anna:
        await anna.send(PHOTO)
        await anna.stand.engine.reception.hang_up((await anna.stand.row()).id)
        await asyncio.sleep(2.0)
        assert (await anna.texts()).count("Example: The call is over") == 1


@virtual
async def test_who_hung_up_while_waiting_is_sent_no_closing_sms() -> None:
    async with contact_centre(in_call_sms=IN_CALL) as centre:
        centre.engine()
        caller = await centre.call()
        await caller.hears_prompt("consent")
        caller.press("1")
        await asyncio.sleep(5.0)
        caller.hang_up()
        await asyncio.sleep(2.0)
        assert [m.purpose for m in await centre.messages(caller)] == [Purpose.WAIT_TIME_SMS]


async def _tell(last_step: int | None) -> list[str]:
    """Anna sends a preset, asking again until she is answered; the caller hangs up."""
    async with contact_centre(in_call_sms=IN_CALL) as centre:
        centre.phone("anna", answers(1.0), answers(1.0), answers(1.0))
        engine = centre.engine(last_step=last_step)
        caller = await centre.call()
        async with asyncio.TaskGroup() as group:
            next_one = group.create_task(successor(centre, engine))
            await _served(centre, caller)
            await _sends(centre, caller)
            caller.hang_up()
            await asyncio.sleep(10)
            next_one.cancel()
        assert [m.purpose for m in await centre.messages(caller)] == [
            Purpose.IN_CALL_SMS,
            Purpose.CLOSING_SMS,
        ]
        [ticket] = await centre.tickets()
        assert [c.author for c in ticket.comments] == ["anna", "system"]
        happened = await centre.happened(caller)
        assert sum(isinstance(h, InCallSmsSent) for h in happened) == 1
        return engine.life.steps


async def _served(centre: Centre, caller: Caller) -> None:
    """An agent is there, whichever engine is."""
    while caller.hears_now != "agent":
        agent = await centre.store.run(lambda tx: tx.agents.get("anna"))
        if agent is None or agent.state in (AgentState.OFFLINE, AgentState.RONA):
            await _done(centre.engines[-1].desk.sign_in("anna"))
        await asyncio.sleep(0.5)


async def _sends(centre: Centre, caller: Caller) -> None:
    async with asyncio.timeout(60):
        call_id = (await centre.row(caller)).id
        sent = False
        while not sent:
            await asyncio.sleep(0.5)
            sent = await _done(InCallSmsCommands(centre.engines[-1].house).send(call_id, PHOTO, key="k1"))


async def _done(command: Coroutine[Any, Any, object]) -> bool:
    """Whether it was answered; an engine that dies meanwhile answers nothing."""
    asked = asyncio.ensure_future(command)
    await asyncio.wait([asked], timeout=5)
    asked.cancel()
    answered = await asyncio.gather(asked, return_exceptions=True)
    return not isinstance(answered[0], BaseException)


def test_a_crash_at_every_step_neither_loses_nor_doubles_a_text() -> None:
    failures = failures_at_each_step(_tell, at_least=20)
    assert not failures, "\n".join(failures)
