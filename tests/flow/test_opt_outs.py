"""Who writes STOP gets one confirmation and nothing more, whatever was queued; START, HELP; withdrawals."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from ivr_engine.domain.callbacks import Callback
from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.consent import ConsentRecord, NotOffered, WaitTimeSmsStatus, Withdrawal
from ivr_engine.domain.events import ConsentNotOffered, ConsentWithdrawn, OptedOut, OptOutEnded
from ivr_engine.domain.messages import Message, MessageStatus, Purpose, outbound
from ivr_engine.domain.opt_out import Command
from ivr_engine.domain.opt_outs import How, Said
from ivr_engine.domain.records import replace
from ivr_engine.messaging import opt_outs
from ivr_engine.messaging.claiming import SendingRules
from ivr_engine.messaging.inbound import InboundRules, received
from ivr_engine.messaging.queueing import enqueue
from ivr_engine.ports import InboundSms, Tx
from ivr_engine.sim import clock
from ivr_engine.site.models import Site
from tests.contract.store_examples import call, consent
from tests.figures import Figure
from tests.flow.centre import MOBILE, contact_centre, site, virtual
from tests.flow.databases import on_both
from tests.flow.sms_company import PHONE, REFUSED, SENDER, Office

OTHER = "+4915187654321"
ITALIAN = "+393401234567"
RULES = SendingRules(vetoes=(opt_outs.veto,))
SITE: Site = site(languages=["en", "de", "it"])

Story = Callable[[Office], Coroutine[Any, Any, None]]


def tell(story: Story) -> None:
    async def main() -> None:
        office = Office()
        try:
            await story(office)
        finally:
            await office.close()

    clock.run(main())


_ids = iter(range(1_000_000))


async def text(
    office: Office, said: str, phone: str = PHONE, *, told: Command | None = None, site: Site | None = SITE
) -> Message | None:
    """As the webhook brings it."""
    sms = InboundSms(f"IN{next(_ids)}", phone, SENDER, said, told=told)
    rules = InboundRules(provider="company", country="DE", site=site)
    return await office.store.run(lambda tx: received(tx, sms, rules, office.clock.now()))


async def answers(office: Office, phone: str = PHONE) -> list[tuple[str, str]]:
    """What was written back, oldest first."""
    found = await office.store.run(lambda tx: tx.messages.search(number=phone, limit=1000))
    return [
        (m.purpose, m.text) for m in reversed(found) if m.recipient == phone and m.purpose != "wait_time_sms"
    ]


async def opted_out(office: Office, phone: str = PHONE) -> bool:
    return await office.store.run(lambda tx: tx.opt_outs.is_opted_out(phone))


CONFIRMED = (
    Purpose.OPT_OUT_CONFIRMATION,
    "Example: Sie sind abgemeldet und erhalten keine SMS mehr von uns. Mit START melden Sie sich wieder an.",
)


def test_stop_between_enqueue_and_send(figure: Figure) -> None:
    """A thousand messages to five hundred phones, of which every second writes STOP at some moment while they
    are being sent."""

    async def story(office: Office) -> None:
        dice, phones = random.Random(24), [f"+4915112{n:06}" for n in range(500)]
        began = office.clock.now()

        def queue(tx: Tx) -> None:
            for n in range(1000):
                message = outbound(
                    id=f"q{n}",
                    sender=SENDER,
                    recipient=phones[n % 500],
                    text="Hello",
                    provider="company",
                    purpose="campaign" if n % 3 else "wait_time_sms",
                    call_id=None,
                    now=began,
                )
                later = began + timedelta(seconds=dice.uniform(1, 60))
                enqueue(tx, replace(message, next_attempt_at=later))

        await office.store.run(queue)
        loop = asyncio.get_running_loop()
        zero, stopped = loop.time(), dict[str, float]()

        async def stops(phone: str, after_s: float) -> None:
            await asyncio.sleep(after_s)
            await text(office, "Stop", phone)
            stopped[phone] = loop.time()

        async with office.engine(rules=RULES), asyncio.TaskGroup() as group:
            for phone in phones[::2]:
                group.create_task(stops(phone, dice.uniform(0, 60)))
            group.create_task(asyncio.sleep(120))
        every = await office.store.run(lambda tx: tx.messages.search(limit=10_000))
        recipients = {message.id: message.recipient for message in every}
        confirmations = {m.id for m in every if m.purpose == Purpose.OPT_OUT_CONFIRMATION}
        sent_after = [
            id
            for at, id in office.company.requests
            if id not in confirmations and at > stopped.get(recipients[id], at) + 0.01
        ]
        held = [message for message in every if message.error_code == opt_outs.VETOED]
        assert sent_after == []
        assert len(confirmations) == len(stopped) == 250
        assert office.company.requests[0][0] > zero
        assert len(held) > 200
        assert len(held) + len(office.company.ledger) == 1000 + 250
        assert len({ours for _, ours in office.company.ledger}) == len(office.company.ledger)
        figure(
            24,
            "STOP between enqueue and send, 1,000 messages, 250 of 500 phones",
            sent_after_stop=len(sent_after),
            held=len(held),
            confirmations=len(confirmations),
        )

    tell(story)


@on_both
def test_one_confirmation_however_often_it_is_said() -> None:
    async def story(office: Office) -> None:
        said = ["STOP", "Stopp!", "bitte keine SMS mehr", "stop", "ABMELDEN"] * 4
        await asyncio.gather(*(text(office, words) for words in said))
        assert await answers(office) == [CONFIRMED]
        async with office.engine(rules=RULES):
            await office.until(MessageStatus.ACCEPTED)
        assert len(office.company.ledger) == 1
        [listed] = await office.store.run(lambda tx: tx.opt_outs.search(number=PHONE))
        assert (listed.said.how, listed.said.actor, listed.language) == (How.SMS, "caller", "de")
        assert listed.said.wording in said
        events = await office.store.run(lambda tx: tx.events.after(0, 1000))
        assert [e.what for e in events if isinstance(e.what, OptedOut)] == [
            OptedOut(listed.id, How.SMS, "caller")
        ]

    tell(story)


def test_everything_queued_before_is_held_and_shown() -> None:
    async def story(office: Office) -> None:
        await office.queue(3)
        await text(office, "Please stop texting me")
        async with office.engine(rules=RULES):
            await asyncio.sleep(10)
        assert {(await office.message(id)).error_code for id in office.queued} == {NotOffered.OPTED_OUT}
        assert {m.status for m in [await office.message(id) for id in office.queued]} == {
            MessageStatus.FAILED
        }
        assert len(office.company.ledger) == 1

    tell(story)


def test_who_starts_again_gets_texts_again() -> None:
    async def story(office: Office) -> None:
        await text(office, "YES")
        assert await answers(office) == []
        for word in ("START", "yes", "UNSTOP"):
            await text(office, "STOP")
            assert await opted_out(office)
            await asyncio.sleep(1)
            await text(office, word)
            await asyncio.sleep(1)
            assert not await opted_out(office)
        kinds = [purpose for purpose, _ in await answers(office)]
        assert kinds == [Purpose.OPT_OUT_CONFIRMATION, Purpose.START_ANSWER] * 3
        await office.queue()
        async with office.engine(rules=RULES):
            await office.until(MessageStatus.ACCEPTED)
        history = await office.store.run(lambda tx: tx.opt_outs.search(number=PHONE))
        assert [one.resumed and one.resumed.wording for one in history] == ["UNSTOP", "yes", "START"]
        events = await office.store.run(lambda tx: tx.events.after(0, 1000))
        assert sum(isinstance(event.what, OptOutEnded) for event in events) == 3

    tell(story)


def test_help_says_who_writes_and_how_to_stop() -> None:
    async def story(office: Office) -> None:
        for _ in range(3):
            await text(office, "Hilfe", ITALIAN)
        [(purpose, said)] = await answers(office, ITALIAN)
        assert purpose == Purpose.HELP_ANSWER
        assert said.startswith("Example: SMS sulle")
        assert SENDER in said
        assert "STOP" in said
        await asyncio.sleep(601)
        await text(office, "AIUTO", ITALIAN)
        assert len(await answers(office, ITALIAN)) == 2
        await asyncio.sleep(1)
        await text(office, "STOP", ITALIAN)
        await asyncio.sleep(601)
        await text(office, "HELP", ITALIAN)
        assert [purpose for purpose, _ in await answers(office, ITALIAN)][2:] == [
            Purpose.OPT_OUT_CONFIRMATION
        ]

    tell(story)


@pytest.mark.parametrize("sender", ["INFO", "12345", "unknown"])
def test_who_cannot_be_answered_is_not(sender: str) -> None:
    async def story(office: Office) -> None:
        await text(office, "STOP", sender)
        assert await opted_out(office, sender)
        assert await answers(office, sender) == []

    tell(story)


def test_a_stop_counts_also_where_nothing_is_answered() -> None:
    async def story(office: Office) -> None:
        await text(office, "STOP", site=None)
        assert await opted_out(office)
        assert await answers(office) == []

    tell(story)


@pytest.mark.parametrize(
    ("told", "said", "out"),
    [(Command.STOP, "please no", True), (Command.HELP, "?", False), (None, "x", False)],
)
def test_what_the_provider_understood_is_mirrored_and_not_answered_again(
    told: Command | None, said: str, out: bool
) -> None:
    async def story(office: Office) -> None:
        await text(office, said, told=told)
        assert await opted_out(office) is out
        assert await answers(office) == []
        if out:
            [listed] = await office.store.run(lambda tx: tx.opt_outs.search())
            assert (listed.said.how, listed.said.actor) == (How.PROVIDER, "company")
            await text(office, "whatever", told=Command.START)
            assert not await opted_out(office)

    tell(story)


@on_both
def test_who_opted_out_with_the_provider_is_opted_out_here_and_not_tried_again() -> None:
    async def story(office: Office) -> None:
        office.company.says = [REFUSED]
        await office.queue()
        async with office.engine(rules=RULES):
            await office.until(MessageStatus.FAILED)
            assert await opted_out(office)
            await office.queue(2)
            await asyncio.sleep(100)
        assert len(office.company.requests) == 1
        [listed] = await office.store.run(lambda tx: tx.opt_outs.search())
        assert (listed.said.how, listed.said.wording) == (How.PROVIDER, "company refused a message: 21610")

    tell(story)


# ── consents ─────────────────────────────────────────────────────────────────────────────────────


def given(office: Office, **fields: Any) -> ConsentRecord:
    return replace(consent(1, PHONE), at=office.clock.now(), outcome=WaitTimeSmsStatus.ALLOWED, **fields)


@pytest.mark.parametrize(("how", "actor"), [(How.SMS, "caller"), (How.STAFF, "anna"), (How.API, "api")])
def test_opting_out_withdraws_the_consent_on_record(how: How, actor: str) -> None:
    async def story(office: Office) -> None:
        allowed = given(office)
        await office.store.run(lambda tx: tx.consents.add(allowed))
        await asyncio.sleep(60)
        said = Said(at=office.clock.now(), how=how, wording="Keine SMS mehr", actor=actor)
        if how is How.SMS:
            await text(office, said.wording)
        else:
            await office.store.run(lambda tx: opt_outs.opt_out(tx, PHONE, said))
            await office.store.run(lambda tx: opt_outs.opt_out(tx, PHONE, said))
        withdrawn, first = await office.store.run(lambda tx: tx.consents.search(number=PHONE))
        assert first == allowed
        assert (withdrawn.outcome, withdrawn.how, withdrawn.actor) == (Withdrawal.WITHDRAWN, how, actor)
        assert (withdrawn.wording, withdrawn.call_id) == ("Keine SMS mehr", allowed.call_id)
        assert withdrawn.at == said.at
        events = await office.store.run(lambda tx: tx.events.of_call(allowed.call_id))
        told = [e.what for e in events if isinstance(e.what, ConsentWithdrawn)]
        assert told == [ConsentWithdrawn(withdrawn.id, how, actor)]

    tell(story)


def test_the_language_is_the_last_known() -> None:
    async def story(office: Office) -> None:
        at = office.clock.now()
        await office.store.run(lambda tx: tx.callers.keep_language(PHONE, "it", at))
        await text(office, "STOP")
        await office.store.run(lambda tx: tx.consents.add(given(office, number=OTHER, language="en")))
        await text(office, "STOP", OTHER)
        said = [(await answers(office, phone))[0][1] for phone in (PHONE, OTHER)]
        assert [words.split()[1] for words in said] == ["Iscrizione", "You"]

    tell(story)


# ── callers ──────────────────────────────────────────────────────────────────────────────────────


@virtual
async def test_who_is_opted_out_is_never_asked() -> None:
    async with contact_centre() as centre:
        centre.engine()
        said = Said(at=centre.clock.now(), how=How.STAFF, wording="on the phone", actor="anna")
        await centre.store.run(lambda tx: opt_outs.opt_out(tx, MOBILE, said))
        caller = await centre.call()
        await caller.hears_times("position.1", 3)
        assert "consent" not in caller.ears.sounds
        why = [what for what in await centre.happened(caller) if isinstance(what, ConsentNotOffered)]
        assert {what.reason for what in why} == {NotOffered.OPTED_OUT}
        await centre.store.run(lambda tx: opt_outs.resume(tx, MOBILE, said))
        await caller.hears_prompt("consent", within_s=100)


def _back(office: Office, caller: str, at: datetime, queue: str = "support") -> Call:
    back = Callback(number=caller, expires_at=at + timedelta(hours=1))
    return call(caller=caller, chapter=Chapter.CALLBACK, callback=back, entered_at=at, queue=queue)


@on_both
@pytest.mark.parametrize(
    ("said", "answer"), [("KEIN RÜCKRUF", ["no_callback_answer"]), ("STOP", ["opt_out_confirmation"])]
)
def test_a_callback_is_called_off_by_text_and_not_by_stop(said: str, answer: Sequence[str]) -> None:
    async def story(office: Office) -> None:
        at = office.clock.now()
        mine, others = _back(office, PHONE, at), _back(office, OTHER, at)
        await office.store.run(lambda tx: (tx.calls.add(mine), tx.calls.add(others)))
        await text(office, said)
        now = await office.store.run(lambda tx: tx.calls.get(mine.id))
        called_off = said != "STOP"
        assert (now.end_reason is EndReason.CALLBACK_CANCELLED) is called_off
        assert await office.store.run(lambda tx: tx.calls.get(others.id)) == others
        assert [purpose for purpose, _ in await answers(office)] == answer
        assert await opted_out(office) is not called_off

    tell(story)
