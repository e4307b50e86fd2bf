"""A call as the store knows it, and the chapters it goes through.

The chapter is what an engine that comes back after a crash resumes at: see ``docs/`` for the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from ivr_engine.domain.callbacks import Callback
from ivr_engine.domain.capacity import Stay
from ivr_engine.domain.consent import Consent
from ivr_engine.domain.dialplan import CHANNEL
from ivr_engine.domain.records import replace
from ivr_engine.domain.routing import Routing
from ivr_engine.domain.talk import RecordingAnswer, Stage, Talk
from ivr_engine.domain.visit import Visit
from ivr_engine.errors import Refused


class Chapter(StrEnum):
    """``arriving`` claimed, nothing decided yet ·

    in a flow: ``playing`` a prompt · ``language`` the choice of language · ``menu`` · ``dip`` another
    system is asked · ``dialling`` a number outside rings · ``transferred`` caller and that number talk ·
    ``voicemail`` the caller is asked for a message · ``recording`` it is being recorded ·
    ``texting`` a text that the caller asked for goes out, and it is said whether it does ·
    ``leaving`` the last words before the call is hung up ·

    in a queue: ``notice`` the caller is told, or asked, that talks are recorded · ``waiting`` in the line,
    music · ``choosing`` what to do, the queue is over capacity ·
    ``announcing`` the position is being said · ``consent`` the consent message or its ten seconds ·
    ``thanking`` the SMS is allowed and stored, "sent" not yet said to its end · ``ringing`` an agent's
    phone rings · ``connecting`` the agent has answered, the two cannot hear each other yet · ``talking``
    (``Call.talk`` says how) · ``arranging`` a callback, its number is asked for · ``callback`` the caller
    hung up and is to be called back · ``calling_back`` an agent is reserved, the number is dialled ·
    ``handing_on`` the agent handed the caller on to a number outside, which rings ·

    in the dialplan of a PBX, which hands the caller over now and then for ``consent`` and ``thanking``:
    ``dialplan`` it has them · ``ended``.
    """

    ARRIVING = "arriving"
    PLAYING = "playing"
    LANGUAGE = "language"
    MENU = "menu"
    DIP = "dip"
    DIALLING = "dialling"
    TRANSFERRED = "transferred"
    VOICEMAIL = "voicemail"
    RECORDING = "recording"
    TEXTING = "texting"
    LEAVING = "leaving"
    NOTICE = "notice"
    WAITING = "waiting"
    CHOOSING = "choosing"
    ANNOUNCING = "announcing"
    CONSENT = "consent"
    THANKING = "thanking"
    RINGING = "ringing"
    CONNECTING = "connecting"
    ARRANGING = "arranging"
    CALLBACK = "callback"
    CALLING_BACK = "calling_back"
    TALKING = "talking"
    HANDING_ON = "handing_on"
    DIALPLAN = "dialplan"
    ENDED = "ended"


_IN_FLOW = frozenset(
    {
        Chapter.PLAYING,
        Chapter.LANGUAGE,
        Chapter.MENU,
        Chapter.DIP,
        Chapter.DIALLING,
        Chapter.TRANSFERRED,
        Chapter.VOICEMAIL,
        Chapter.RECORDING,
        Chapter.TEXTING,
        Chapter.LEAVING,
    }
)
_WAITING = frozenset(
    {Chapter.WAITING, Chapter.CHOOSING, Chapter.ANNOUNCING, Chapter.CONSENT, Chapter.THANKING}
)
_IN_LINE = _WAITING | {
    Chapter.NOTICE,
    Chapter.ARRANGING,
    Chapter.CALLBACK,
    Chapter.CALLING_BACK,
    Chapter.RINGING,
}


STATES: Final = (
    Chapter.ARRIVING,
    Chapter.MENU,
    Chapter.WAITING,
    Chapter.RINGING,
    Chapter.TALKING,
    Chapter.TRANSFERRED,
    Chapter.CALLBACK,
    Chapter.DIALPLAN,
)
"""What ``Call.state`` of an open call can be."""


class EndReason(StrEnum):
    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    GONE_DURING_OUTAGE = "gone_during_outage"
    QUEUE_REMOVED = "queue_removed"
    ENDED_BY_STAFF = "ended_by_staff"
    TRANSFER_OVER = "transfer_over"
    """Whoever the caller was transferred to hung up."""
    SAID_GOODBYE = "said_goodbye"
    """The flow ended the call, or its queue was closed."""
    CALLBACK_FAILED = "callback_failed"
    """Nobody was reached, as often as it was tried."""
    CALLBACK_EXPIRED = "callback_expired"
    WENT_ON = "went_on"
    """In the dialplan of a PBX that tells us nothing more."""
    CALLBACK_CANCELLED = "callback_cancelled"
    """By the staff, or by the caller, who called again."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An agent reserved for a call: ``id`` names the leg to their phone."""

    id: str
    agent: str


class Call(Struct, frozen=True, kw_only=True):
    """One caller's call. Times are UTC.

    ``engine`` is the ARI application that owns it. ``caller`` is E.164, or the digits as signalled where
    they are no valid number, ``None`` when hidden; ``number`` is what was dialled. ``entered_at`` is when the
    caller joined the line and never changes afterwards: it is the place. ``next_announcement_at`` is when
    music gives way to the next round. ``offer_id`` names the agent's leg while ringing and talking.
    ``routing`` says which agents may be offered it; ``last_words`` is the prompt said before the hang-up,
    where neither flow nor queue names it.
    ``answered_at`` is when an agent was connected last.
    """

    id: str
    engine: str
    channel_id: str
    caller: str | None
    number: str
    queue: str
    language: str
    started_at: datetime
    chapter: Chapter = Chapter.ARRIVING
    consent: Consent = field(default_factory=Consent)
    priority: int = 0
    recording_answer: RecordingAnswer | None = None
    over_capacity: bool = False
    entered_at: datetime | None = None
    next_announcement_at: datetime | None = None
    agent: str | None = None
    offer_id: str | None = None
    offer_ends_at: datetime | None = None
    ticket_id: str | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    visit: Visit | None = None
    routing: Routing = field(default_factory=Routing)
    last_words: str | None = None
    talk: Talk = field(default_factory=Talk)
    callback: Callback | None = None
    stay: Stay = field(default_factory=Stay)

    @property
    def state(self) -> str:
        """What people call it: arriving, menu, transferred, waiting, callback, ringing, talking, dialplan,
        ended."""
        if self.in_dialplan and self.chapter is not Chapter.ENDED:
            return Chapter.DIALPLAN
        if self.in_flow:
            return Chapter.TRANSFERRED if self.chapter is Chapter.TRANSFERRED else Chapter.MENU
        if self.chapter is Chapter.HANDING_ON:
            return Chapter.TRANSFERRED
        if self.chapter in _WAITING or self.chapter in (Chapter.NOTICE, Chapter.ARRANGING):
            return Chapter.WAITING
        if self.is_callback:
            return Chapter.CALLBACK
        return Chapter.TALKING if self.chapter is Chapter.CONNECTING else self.chapter

    @property
    def in_dialplan(self) -> bool:
        """The caller is in the dialplan of a PBX: in no line of ours, and never in our hands for long."""
        return self.channel_id.startswith(CHANNEL)

    @property
    def in_flow(self) -> bool:
        """Led by a flow, or about to be hung up on: in no line and with no agent."""
        return self.chapter in _IN_FLOW

    @property
    def where(self) -> Visit:
        """The place in the flow; ``Refused`` when the call never was in one."""
        if self.visit is None:
            raise Refused(f"call {self.id} is in no flow")
        return self.visit

    @property
    def in_line(self) -> bool:
        """Holds a place in the queue (a caller whose agent's phone rings still does)."""
        return self.chapter in _IN_LINE and not self.in_dialplan

    @property
    def goes_on_by_sms(self) -> bool:
        """A flow ended the call with a text, whose answers are for the queue."""
        return bool(self.queue and self.visit is not None and self.visit.texted)

    @property
    def is_callback(self) -> bool:
        """The caller is not on the line, and is to be called back."""
        return self.chapter in (Chapter.CALLBACK, Chapter.CALLING_BACK)

    @property
    def may_be_offered(self) -> bool:
        waits = self.chapter in _WAITING and not self.in_dialplan
        return waits or self.chapter is Chapter.CALLBACK

    @property
    def offer(self) -> Offer:
        """The agent reserved or connected; ``Refused`` when there is none."""
        if self.offer_id is None or self.agent is None:
            raise Refused(f"call {self.id} is {self.chapter}: no agent is reserved")
        return Offer(self.offer_id, self.agent)

    @property
    def legs(self) -> list[str]:
        """What names the legs that were dialled for this call, and the rooms they are in."""
        return [*([self.offer_id] if self.offer_id else []), *self.talk.parties]

    @property
    def agents(self) -> list[str]:
        """Everybody who has their hands full with this call."""
        return [*([self.agent] if self.agent else []), *self.talk.agents]

    @property
    def heard_by_caller(self) -> list[str]:
        """The agents who talk to the caller, or did before they put them on hold."""
        consult = self.talk.consult
        third = consult.agent if consult is not None and consult.stage is Stage.JOINED else None
        return [name for name in (self.agent, third) if name]

    def talking(self) -> Talk:
        """How caller and agent talk; ``Refused`` when they do not."""
        if self.chapter is not Chapter.TALKING:
            raise Refused(f"call {self.id} is {self.state}: no agent talks to the caller")
        return self.talk

    @property
    def known_caller(self) -> str:
        """The caller's number; ``Refused`` when it is hidden."""
        if self.caller is None:
            raise Refused(f"call {self.id}: the caller's number is hidden")
        return self.caller

    def music_left_s(self, now: datetime) -> float:
        """Seconds until the next round of announcements; 0 when it is due."""
        if self.next_announcement_at is None:
            return 0.0
        return max(0.0, (self.next_announcement_at - now).total_seconds())

    def waited_s(self, now: datetime) -> float:
        """Seconds in line."""
        return (now - self.entered_at).total_seconds() if self.entered_at else 0.0

    def offer_left_s(self, now: datetime) -> float:
        """Seconds of ringing left; 0 when the time is up."""
        return max(0.0, (self.offer_ends_at - now).total_seconds()) if self.offer_ends_at else 0.0

    def led_to(self, chapter: Chapter, visit: Visit | None) -> Call:
        """On to a chapter of a flow. Refused once the caller is in a line, with an agent, or gone."""
        if self.chapter is not Chapter.ARRIVING and not self.in_flow:
            raise Refused(f"call {self.id} is {self.chapter}, not in a flow")
        return replace(self, chapter=chapter, visit=visit, offer_id=None, offer_ends_at=None)

    def transferred(self, now: datetime) -> Call:
        """Whoever was dialled has answered."""
        if self.chapter is not Chapter.DIALLING:
            raise Refused(f"call {self.id} is {self.chapter}, not dialling")
        return replace(self, chapter=Chapter.TRANSFERRED, offer_ends_at=None, answered_at=now)

    def dialling(self, visit: Visit, offer_id: str, ends_at: datetime) -> Call:
        """A number outside is to be rung; ``offer_id`` names the leg, as an agent's."""
        return replace(self.led_to(Chapter.DIALLING, visit), offer_id=offer_id, offer_ends_at=ends_at)

    def entered(self, now: datetime, first_announcement_s: float) -> Call:
        """Into the line; a second entry keeps the first one's place."""
        if self.chapter is Chapter.ENDED:
            raise Refused(f"call {self.id} has ended")
        return replace(
            self,
            chapter=Chapter.WAITING,
            routing=self.routing if self.routing.joined_at else self.routing.joining(now),
            stay=self.stay if self.routing.joined_at else Stay(),
            entered_at=self.entered_at or now,
            next_announcement_at=self.next_announcement_at or now + timedelta(seconds=first_announcement_s),
        )

    def left_line(self) -> Call:
        """Out of the line, to be led on. The time waited counts on in another queue. Refused when an agent
        has been offered meanwhile."""
        if not self.may_be_offered:
            raise Refused(f"call {self.id} is {self.chapter}, not waiting")
        return replace(
            self,
            chapter=Chapter.ARRIVING,
            queue="",
            next_announcement_at=None,
            routing=replace(self.routing, joined_at=None, favourite=None, declined={}),
        )

    def at(self, chapter: Chapter) -> Call:
        """Move between the chapters of waiting, or of a visit. Refused when an agent has been offered
        meanwhile."""
        if not self.may_be_offered and (not self.in_dialplan or self.chapter is Chapter.ENDED):
            raise Refused(f"call {self.id} is {self.chapter}, not waiting")
        return replace(self, chapter=chapter)

    def waiting_again(self, now: datetime, interval_s: float) -> Call:
        """Back to the music after a round of announcements or an offer nobody took; same place."""
        if self.chapter is Chapter.ENDED:
            raise Refused(f"call {self.id} has ended")
        return replace(
            self,
            chapter=Chapter.WAITING,
            next_announcement_at=now + timedelta(seconds=interval_s),
            consent=replace(self.consent, wrong_keys=0),
            agent=None,
            offer_id=None,
            offer_ends_at=None,
            talk=Talk(),
        )

    def offered(self, agent: str, offer_id: str, ends_at: datetime) -> Call:
        if not self.may_be_offered:
            raise Refused(f"call {self.id} is {self.chapter}, not waiting")
        return replace(
            self,
            chapter=Chapter.CALLING_BACK if self.chapter is Chapter.CALLBACK else Chapter.RINGING,
            consent=replace(self.consent, wrong_keys=0),
            agent=agent,
            offer_id=offer_id,
            offer_ends_at=ends_at,
        )

    def answered(self) -> Call:
        """The agent took the offer; if they leave before the two hear each other, the old place counts."""
        if self.chapter is not Chapter.RINGING:
            raise Refused(f"call {self.id} is {self.chapter}, not ringing")
        return replace(self, chapter=Chapter.CONNECTING, offer_ends_at=None)

    def connected(self, ticket_id: str, now: datetime) -> Call:
        if self.chapter is not Chapter.CONNECTING:
            raise Refused(f"call {self.id} is {self.chapter}, not connecting")
        return replace(self, chapter=Chapter.TALKING, ticket_id=ticket_id, answered_at=now)

    def ended(self, reason: EndReason, now: datetime) -> Call:
        if self.chapter is Chapter.ENDED:
            return self
        return replace(
            self,
            chapter=Chapter.ENDED,
            ended_at=now,
            end_reason=reason,
            next_announcement_at=None,
            offer_ends_at=None,
        )
