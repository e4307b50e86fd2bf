"""What goes on while caller and agent talk: hold, mute, a third party, a listener, a recording.

Stored with the call. A command changes this value; the call's own coroutine then makes the telephone system
follow it, and so does an engine that takes the call over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ivr_engine.domain.records import replace
from ivr_engine.errors import Refused


class Stage(StrEnum):
    """``ringing``, the caller hears music · ``private``: the agent talks to them alone, the caller hears
    music · ``joined``: all three hear each other."""

    RINGING = "ringing"
    PRIVATE = "private"
    JOINED = "joined"


class Listening(StrEnum):
    """How a supervisor takes part: ``listen`` heard by nobody · ``whisper`` heard by the agent alone ·
    ``barge`` heard by all."""

    LISTEN = "listen"
    WHISPER = "whisper"
    BARGE = "barge"


class RecordingAnswer(StrEnum):
    """``announced``: the caller was told, and stayed · ``allowed`` and ``denied`` by key · ``no_response`` is
    no agreement."""

    ANNOUNCED = "announced"
    ALLOWED = "allowed"
    DENIED = "denied"
    NO_RESPONSE = "no_response"

    @property
    def agreed(self) -> bool:
        return self in (RecordingAnswer.ANNOUNCED, RecordingAnswer.ALLOWED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consult:
    """Somebody whom the agent calls while the caller holds: another ``agent``, or a ``number`` outside
    (E.164). ``id`` names their leg and the room they are spoken to in."""

    id: str
    ends_at: datetime
    """When the ringing is given up."""
    agent: str | None = None
    number: str | None = None
    stage: Stage = Stage.RINGING

    @property
    def whom(self) -> str:
        """As the telephone system dials them."""
        return self.agent or self.number or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A supervisor at the phone of ``agent``; ``id`` names their leg. ``there``: they have answered."""

    id: str
    agent: str
    mode: Listening
    ends_at: datetime
    there: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """``held``: the caller hears music. ``muted``: nobody hears the agent. ``recording`` names what the talk
    is being recorded as; ``asking``: the caller is being told, or asked, first. ``paused``: recorded
    again once the caller is back. ``outside`` is the number that a caller who was handed on is rung at."""

    held: bool = False
    muted: bool = False
    consult: Consult | None = None
    listener: Listener | None = None
    recording: str | None = None
    asking: bool = False
    paused: bool = False
    outside: str | None = None

    @property
    def caller_apart(self) -> bool:
        """The caller hears music, and nobody else."""
        return self.held or (self.consult is not None and self.consult.stage is not Stage.JOINED)

    @property
    def parties(self) -> list[str]:
        """Whose legs there are besides the caller's and the agent's: the ids that name them."""
        return [other.id for other in (self.consult, self.listener) if other is not None]

    @property
    def agents(self) -> list[str]:
        """Who else has their hands full with this call."""
        return [other.agent for other in (self.consult, self.listener) if other is not None and other.agent]

    def hold(self) -> Talk:
        if self.caller_apart:
            raise Refused("the caller hears music already")
        if self.consult is not None:
            raise Refused("three are talking: end the conference first")
        return replace(self, held=True)

    def resume(self) -> Talk:
        if not self.held:
            raise Refused("the caller is not on hold")
        return replace(self, held=False)

    def mute(self) -> Talk:
        if self.muted:
            raise Refused("the agent is muted already")
        return replace(self, muted=True)

    def unmute(self) -> Talk:
        if not self.muted:
            raise Refused("the agent is not muted")
        return replace(self, muted=False)

    def alone(self) -> None:
        """``Refused`` while there is a third party."""
        if self.consult is not None:
            raise Refused(f"{self.consult.whom} has been called: complete that, or take the caller back")

    def consulting(self, consult: Consult) -> Talk:
        """From hold too: the caller goes on hearing music, and is talked to again when it is over."""
        self.alone()
        return replace(self, held=False, consult=consult)

    def at(self, *stages: Stage) -> Consult:
        """The third party, in one of these stages; else ``Refused``."""
        if self.consult is None:
            raise Refused("nobody has been called to take the caller over")
        if self.consult.stage not in stages:
            raise Refused(f"{self.consult.whom} is {self.consult.stage}, not {' or '.join(stages)}")
        return self.consult

    def staged(self, stage: Stage) -> Talk:
        """On to that stage."""
        consult = self.at(Stage.RINGING if stage is Stage.PRIVATE else Stage.PRIVATE)
        return replace(self, consult=replace(consult, stage=stage))

    def taken_back(self) -> Talk:
        """Without the third party: caller and agent as before."""
        self.at(*Stage)
        return replace(self, consult=None)

    def handed_over(self) -> Talk:
        """What stays when somebody else talks to the caller instead: nothing that was the agent's."""
        return Talk()

    def asked_to_record(self) -> Talk:
        """The caller is to be told, or asked."""
        self._must_not_be_recorded()
        if self.caller_apart:
            raise Refused("the caller hears music, and can be told nothing")
        return replace(self, asking=True)

    def recorded(self, name: str) -> Talk:
        self._must_not_be_recorded()
        return replace(self, asking=False, recording=name)

    def not_recorded(self) -> Talk:
        """Any more, or after all."""
        if self.recording is None and not self.asking and not self.paused:
            raise Refused("nothing is being recorded")
        return replace(self, asking=False, recording=None, paused=False)

    def _must_not_be_recorded(self) -> None:
        if self.recording is not None or self.paused:
            raise Refused("the talk is being recorded already")

    def listened_to(self, listener: Listener) -> Talk:
        """By one at a time; who listens may change to another way of it."""
        if self.listener is not None and self.listener.agent != listener.agent:
            raise Refused(f"{self.listener.agent} listens already")
        if self.listener is not None:
            return replace(self, listener=replace(self.listener, mode=listener.mode))
        return replace(self, listener=listener)

    def listener_answered(self) -> Talk:
        if self.listener is None:
            raise Refused("nobody listens")
        return replace(self, listener=replace(self.listener, there=True))

    def unheard(self) -> Talk:
        """The listener is gone."""
        if self.listener is None:
            raise Refused("nobody listens")
        return replace(self, listener=None)
