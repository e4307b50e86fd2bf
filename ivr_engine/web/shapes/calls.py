"""Calls and their timelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.calls import Call, Chapter
from ivr_engine.domain.events import Event, MessageQueued, MessageReceived, TextsRead, WaitTimeSmsReceived
from ivr_engine.domain.talk import Talk


class ThirdPartyItem(BaseModel):
    """Whom the agent has called: an agent or a number."""

    agent: str | None
    number: str | None
    stage: str = Field(description="ringing, private (the caller hears music) or joined (a conference)")


class ListenerItem(BaseModel):
    agent: str
    mode: str = Field(description="listen, whisper or barge")
    there: bool = Field(description="false while their phone rings")


class TalkItem(BaseModel):
    """How caller and agent talk."""

    on_hold: bool
    muted: bool
    recording: bool
    third_party: ThirdPartyItem | None
    listener: ListenerItem | None

    @classmethod
    def of(cls, talk: Talk) -> TalkItem:
        return cls(
            on_hold=talk.held,
            muted=talk.muted,
            recording=talk.recording is not None or talk.paused,
            third_party=talk.consult and ThirdPartyItem.model_validate(talk.consult, from_attributes=True),
            listener=talk.listener and ListenerItem.model_validate(talk.listener, from_attributes=True),
        )


class CallbackItem(BaseModel):
    """To be called back, or called back already."""

    number: str
    attempts: int = Field(description="How often it was dialled")
    next_try_at: datetime | None = Field(description="Not dialled before")
    expires_at: datetime


class CallItem(BaseModel):
    """One call. ``position`` is 1 for the first in line and null outside the line."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "c-7f3a",
                    "caller": "+4915112345678",
                    "number": "700",
                    "queue": "support",
                    "state": "waiting",
                    "node": None,
                    "position": 2,
                    "language": "en",
                    "priority": 0,
                    "wait_time_sms_status": "allowed",
                    "wait_time_sms_rounds": 1,
                    "started_at": "2026-01-31T09:15:00Z",
                    "entered_at": "2026-01-31T09:15:01Z",
                    "next_announcement_at": "2026-01-31T09:15:20Z",
                    "agent": None,
                    "talk": None,
                    "callback": None,
                    "ticket_id": None,
                    "answered_at": None,
                    "ended_at": None,
                    "end_reason": None,
                }
            ]
        }
    )
    id: str
    caller: str | None = Field(
        description="E.164; the digits as signalled where they are no valid number, like an extension; "
        "null when hidden"
    )
    number: str = Field(description="The number dialled")
    queue: str | None = Field(description="null until the caller is led to one")
    state: str = Field(
        description="arriving, menu (in a flow), transferred, waiting, callback, ringing, talking, dialplan "
        "(a PBX has the caller) or ended"
    )
    node: str | None = Field(description="Where in the flow of the number, or where last; null without one")
    position: int | None = Field(description="Place in the queue, 1 is next")
    language: str
    priority: int
    wait_time_sms_status: str | None = Field(description="null, allowed, denied or no_response")
    wait_time_sms_rounds: int = Field(description="How often the question was asked to its end")
    started_at: datetime
    entered_at: datetime | None = Field(description="Since when the caller is in line")
    next_announcement_at: datetime | None
    agent: str | None
    talk: TalkItem | None = Field(description="null unless an agent talks to the caller")
    callback: CallbackItem | None = Field(description="null unless the caller asked for one")
    ticket_id: str | None
    answered_at: datetime | None = Field(description="When an agent was connected")
    ended_at: datetime | None
    end_reason: str | None = Field(
        description="caller_hung_up, agent_hung_up, ended_by_staff, gone_during_outage, queue_removed, "
        "transfer_over, said_goodbye, went_on, callback_failed, callback_expired or callback_cancelled"
    )

    @classmethod
    def of(cls, call: Call, position: int | None) -> CallItem:
        return cls(
            id=call.id,
            caller=call.caller,
            number=call.number,
            queue=call.queue or None,
            state=call.state,
            node=call.visit and call.visit.node,
            position=position,
            language=call.language,
            priority=call.priority,
            wait_time_sms_status=call.consent.status,
            wait_time_sms_rounds=call.consent.rounds,
            started_at=call.started_at,
            entered_at=call.entered_at,
            next_announcement_at=call.next_announcement_at,
            agent=call.agent,
            talk=TalkItem.of(call.talk) if call.chapter is Chapter.TALKING else None,
            callback=call.callback and CallbackItem.model_validate(call.callback, from_attributes=True),
            ticket_id=call.ticket_id,
            answered_at=call.answered_at,
            ended_at=call.ended_at,
            end_reason=call.end_reason,
        )


ENDED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "application/json": {
                "example": CallItem.model_json_schema()["examples"][0]
                | {
                    "state": "ended",
                    "position": None,
                    "next_announcement_at": None,
                    "ended_at": "2026-01-31T09:20:00Z",
                    "end_reason": "ended_by_staff",
                }
            }
        }
    }
}
"""For the OpenAPI description of what ends a call."""


class TimelineItem(BaseModel):
    """Something that happened. ``detail`` depends on ``kind``."""

    id: int
    at: datetime
    kind: str = Field(examples=["consent_given"])
    detail: dict[str, Any] = Field(examples=[{"outcome": "allowed", "key": "1"}])

    @classmethod
    def of(cls, event: Event) -> TimelineItem:
        return cls(id=event.id, at=event.at, kind=event.kind, detail=asdict(event.what))


class TextCounts(BaseModel):
    """Texts of the call."""

    sent: int = Field(description="To the caller; one that was sent once more counts twice")
    received: int


class TextsItem(TextCounts):
    """Texts of the call. Those from the caller, and pictures, wait for the agent who gets the call."""

    unread: int = Field(description="Came since somebody said `POST /calls/{id}/sms/read`")
    wait_time_sms: bool = Field(description="Whether an unread one answers the wait-time SMS: for a banner")

    @classmethod
    def of(cls, events: Sequence[Event]) -> TextsItem:
        read = max((n for n, event in enumerate(events) if isinstance(event.what, TextsRead)), default=-1)
        texts = [n for n, event in enumerate(events) if isinstance(event.what, MessageReceived)]
        answers = [n for n, event in enumerate(events) if isinstance(event.what, WaitTimeSmsReceived)]
        return cls(
            sent=sum(isinstance(event.what, MessageQueued) for event in events),
            received=len(texts),
            unread=sum(n > read for n in texts),
            wait_time_sms=any(n > read for n in answers),
        )


class ListedCall(CallItem):
    """A call, and how many texts went to and fro in it."""

    texts: TextCounts


class CallWithTimeline(CallItem):
    """A call and everything that happened in it, oldest first."""

    texts: TextsItem
    timeline: list[TimelineItem]
