"""A call's chapters, and the ticket made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.calls import Call, Chapter, EndReason
from ivr_engine.domain.consent import Consent, WaitTimeSmsStatus
from ivr_engine.domain.messages import Direction, Media, MediaStatus, Message, MessageStatus
from ivr_engine.domain.records import replace
from ivr_engine.domain.tickets import file_from, ticket_for
from ivr_engine.errors import Refused

NOW = datetime(2025, 1, 6, 8, tzinfo=UTC)
LATER = NOW + timedelta(seconds=60)
NEW = Call(
    id="c",
    engine="ivr-1",
    channel_id="sip-1",
    caller="+4915112345678",
    number="700",
    queue="support",
    language="en",
    started_at=NOW,
)
WITH_AN_AGENT = (Chapter.RINGING, Chapter.CONNECTING)
IN_LINE = (
    Chapter.NOTICE,
    Chapter.WAITING,
    Chapter.CHOOSING,
    Chapter.ANNOUNCING,
    Chapter.CONSENT,
    Chapter.THANKING,
    Chapter.RINGING,
    Chapter.ARRANGING,
    Chapter.CALLBACK,
    Chapter.CALLING_BACK,
)
NOT_OFFERED = (Chapter.NOTICE, Chapter.RINGING, Chapter.ARRANGING, Chapter.CALLING_BACK)
MOVES = ["enter", "consent", "offer", "back", "answer", "connect", "end"]
RINGING = NEW.entered(NOW, 5).offered("anna", "o-1", NOW + timedelta(seconds=20))


def test_into_the_line_and_again_at_the_same_place() -> None:
    first = NEW.entered(NOW, 5)
    assert (first.chapter, first.entered_at) == (Chapter.WAITING, NOW)
    assert first.music_left_s(NOW) == 5
    again = first.entered(LATER, 5)
    assert (again.entered_at, again.next_announcement_at) == (NOW, NOW + timedelta(seconds=5))


@pytest.mark.parametrize("chapter", list(Chapter))
def test_who_holds_a_place_and_who_may_be_offered(chapter: Chapter) -> None:
    call = replace(NEW, chapter=chapter)
    assert call.in_line == (chapter in IN_LINE)
    assert call.may_be_offered == (chapter in IN_LINE and chapter not in NOT_OFFERED)
    people_say = {
        Chapter.NOTICE: "waiting",
        Chapter.ARRANGING: "waiting",
        Chapter.CALLING_BACK: "callback",
        Chapter.CHOOSING: "waiting",
        Chapter.ANNOUNCING: "waiting",
        Chapter.CONSENT: "waiting",
        Chapter.THANKING: "waiting",
        Chapter.CONNECTING: "talking",
        Chapter.PLAYING: "menu",
        Chapter.LANGUAGE: "menu",
        Chapter.DIP: "menu",
        Chapter.DIALLING: "menu",
        Chapter.VOICEMAIL: "menu",
        Chapter.RECORDING: "menu",
        Chapter.TEXTING: "menu",
        Chapter.LEAVING: "menu",
        Chapter.HANDING_ON: "transferred",
    }
    assert call.state == people_say.get(chapter, chapter.value)


@pytest.mark.parametrize("chapter", [Chapter.ARRIVING, Chapter.RINGING, Chapter.TALKING, Chapter.ENDED])
def test_who_does_not_wait_is_neither_moved_nor_offered(chapter: Chapter) -> None:
    call = replace(NEW, chapter=chapter)
    with pytest.raises(Refused):
        call.at(Chapter.CONSENT)
    with pytest.raises(Refused):
        call.offered("anna", "o-1", LATER)


def test_an_offer_cuts_the_round_but_keeps_the_consent() -> None:
    consent = Consent(WaitTimeSmsStatus.NO_RESPONSE, 2, 3)
    call = replace(NEW.entered(NOW, 5).at(Chapter.CONSENT), consent=consent)
    offered = call.offered("anna", "o-1", LATER)
    assert offered.consent == Consent(WaitTimeSmsStatus.NO_RESPONSE, 2, 0)
    assert (offered.offer.id, offered.offer.agent) == ("o-1", "anna")
    assert offered.offer_left_s(NOW) == 60
    assert offered.offer_left_s(LATER + timedelta(hours=1)) == 0


def test_an_offer_that_led_to_nothing_leaves_the_place() -> None:
    back = RINGING.waiting_again(LATER, 5)
    assert (back.chapter, back.entered_at) == (Chapter.WAITING, NOW)
    assert back.music_left_s(LATER) == 5
    with pytest.raises(Refused):
        _ = back.offer


def test_only_a_ringing_call_is_answered_and_only_an_answered_one_connected() -> None:
    answered = RINGING.answered()
    assert (answered.chapter, answered.offer) == (Chapter.CONNECTING, RINGING.offer)
    talking = answered.connected("t-1", LATER)
    assert (talking.chapter, talking.ticket_id, talking.answered_at) == (Chapter.TALKING, "t-1", LATER)
    assert talking.offer.agent == "anna"
    for call in (NEW, NEW.entered(NOW, 5), talking, NEW.ended(EndReason.CALLER_HUNG_UP, NOW)):
        with pytest.raises(Refused):
            call.connected("t-2", LATER)
        with pytest.raises(Refused):
            call.answered()


def test_the_first_end_counts() -> None:
    ended = RINGING.ended(EndReason.CALLER_HUNG_UP, LATER)
    assert (ended.ended_at, ended.end_reason, ended.next_announcement_at) == (
        LATER,
        EndReason.CALLER_HUNG_UP,
        None,
    )
    assert ended.ended(EndReason.AGENT_HUNG_UP, LATER + timedelta(seconds=1)) is ended
    with pytest.raises(Refused):
        ended.waiting_again(LATER, 5)
    with pytest.raises(Refused):
        ended.entered(LATER, 5)


def test_a_hidden_caller_has_no_number() -> None:
    assert NEW.known_caller == "+4915112345678"
    with pytest.raises(Refused):
        _ = replace(NEW, caller=None).known_caller


@given(st.lists(st.sampled_from(MOVES), max_size=30))
def test_whatever_happens_the_place_is_kept_and_an_end_is_an_end(moves: list[str]) -> None:
    call, now, entered = NEW, NOW, None
    for move in moves:
        now += timedelta(seconds=1)
        was_ended = call.chapter is Chapter.ENDED
        try:
            if move == "enter" and call.chapter is Chapter.ARRIVING:
                call = call.entered(now, 5)
                entered = now
            elif move == "consent":
                call = call.at(Chapter.CONSENT)
            elif move == "offer":
                call = call.offered("anna", f"o-{now.timestamp()}", now)
            elif move == "back" and call.chapter is not Chapter.ARRIVING:
                call = call.waiting_again(now, 5)
            elif move == "answer":
                call = call.answered()
            elif move == "connect":
                call = call.connected("t", now)
            elif move == "end":
                call = call.ended(EndReason.CALLER_HUNG_UP, now)
        except Refused:
            continue
        assert call.entered_at == entered
        assert not (was_ended and call.chapter is not Chapter.ENDED)
        if call.chapter in (*WITH_AN_AGENT, Chapter.TALKING):
            assert call.offer.agent == "anna"


def _message(number: int, direction: Direction, *media: Media) -> Message:
    return Message(
        id=f"m{number}",
        direction=direction,
        sender="+4915112345678",
        recipient="+4930123456",
        text=f"text {number}",
        status=MessageStatus.RECEIVED,
        provider="simulator",
        purpose="reply",
        created_at=NOW + timedelta(seconds=number),
        updated_at=NOW,
        media=media,
    )


def test_the_ticket_holds_what_was_written_so_far() -> None:
    stored = Media(
        id="p1", url="https://x/1", content_type="image/png", status=MediaStatus.STORED, file="f.png", size=9
    )
    pending = Media(id="p2", url="https://x/2", content_type="image/png")
    refused = Media(id="p3", url="https://x/3", content_type="text/html", status=MediaStatus.REFUSED)
    messages = [
        _message(1, Direction.OUTBOUND),
        _message(2, Direction.INBOUND, stored, pending, refused),
    ]
    ticket = ticket_for(RINGING.answered().connected("t", LATER), messages, id="t", now=LATER)
    assert [(c.author, c.text, c.source_id) for c in ticket.comments] == [
        ("system", "text 1", "m1"),
        ("customer", "text 2", "m2"),
    ]
    assert [(f.file, f.size, f.source_id) for f in ticket.files] == [("f.png", 9, "p1")]
    assert (ticket.agent, ticket.caller, ticket.queue) == ("anna", "+4915112345678", "support")
    assert file_from(pending, NOW) is None
    assert file_from(refused, NOW) is None
