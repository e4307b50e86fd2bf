"""Caller scripts: what a caller does on the phone, and what must come of it. ``docs/caller-scripts.md`` tells
the rest; the classes here are also the JSON Schema that editors complete by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ivr_engine.rehearsal.staff import DoneByStaff
from ivr_engine.site.values import (
    E164,
    Dialled,
    HeaderName,
    Name,
    PositiveSeconds,
    Seconds,
    Settings,
    Trunk,
)

LONGEST_WAIT_S: Final = 15.0
"""How long an expectation is waited for, where a script says nothing else."""

HIDDEN: Final = "hidden"

Happens = Literal["allowed", "denied", "no_response", "none"]
State = Literal["menu", "transferred", "waiting", "callback", "ringing", "talking", "ended"]
Sound = Literal["music", "agent", "silence"]


def _fits(pattern: str, remedy: str) -> Any:  # noqa: ANN401  what pydantic takes as metadata
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise PydanticCustomError("script", "{remedy}", {"remedy": remedy})
        return text

    return AfterValidator(check)


Keys = Annotated[str, _fits(r"[0-9*#]{1,20}", "write keys: 1, or '*' and '#' in quotes, or several as 123")]
PromptPattern = Annotated[
    str,
    _fits(
        r"([a-z]{2}/)?[a-z][a-z0-9_.*-]{0,60}",
        "write a prompt's name, or de/name for one in German, or position.* for any that begins so",
    ),
]
HeaderValue = Annotated[
    str, _fits(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,60}", "write letters, digits, dots, dashes and spaces")
]
Moment = Annotated[
    str, _fits(r"\d{4}-\d\d-\d\d [0-2]\d:[0-5]\d", "write it like 2026-03-02 09:30; it is UTC")
]
CalledFrom = Annotated[
    str, _fits(rf"\+[1-9][0-9]{{6,14}}|[0-9]{{1,15}}|{HIDDEN}", f"write a number, or {HIDDEN}")
]
Words = Annotated[str, Field(min_length=1, max_length=918)]


Does = Literal["answers", "declines", "is_busy", "does_not_answer", "is_gone"]


class Phone(Settings):
    """What whoever sits at an agent's phone (or at a number outside) does when it rings."""

    does: Does = "answers"
    after: Seconds = 1.0
    """Seconds of ringing before that."""
    talks: PositiveSeconds | None = None
    """Seconds until they hang up; not given: the caller does."""


def _written_short(value: object) -> object:
    return {"does": value} if isinstance(value, str) else value


AtPhone = Annotated[Phone, BeforeValidator(_written_short, json_schema_input_type=Does | Phone)]


def _text_alone(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


class Dialling(Settings):
    """A call, as the caller's side makes it."""

    number: Dialled
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    """SIP headers it brings along."""
    trunk: Trunk | None = None
    """The endpoint of pjsip.conf that it comes through: only where time is virtual, and not given, it is
    ``ivr-trunk``."""


def _number_alone(value: object) -> object:
    return cast(object, value) if isinstance(value, Mapping) else {"number": value}


Dials = Annotated[Dialling, BeforeValidator(_number_alone, json_schema_input_type=Dialled | Dialling)]


class Written(Settings):
    """A text from the caller's phone."""

    text: Words
    picture: bool = False
    """With a picture."""


Writes = Annotated[Written, BeforeValidator(_text_alone, json_schema_input_type=Words | Written)]


def _preset_alone(value: object) -> object:
    return {"preset": value} if isinstance(value, str) else value


class Sent(Settings):
    """A text to the caller from the agent who talks to them: a preset, or words of their own."""

    preset: Name | None = None
    text: Words | None = None

    @model_validator(mode="after")
    def _one(self) -> Sent:
        if (self.preset is None) == (self.text is None):
            raise PydanticCustomError("script", "write either a preset's name, or 'text'")
        return self


AgentSends = Annotated[Sent, BeforeValidator(_preset_alone, json_schema_input_type=Name | Sent)]


class Company(Settings):
    """Others, who call before and wait."""

    callers: Annotated[int, Field(ge=0, le=50)]
    dials: Dialled | None = None
    """Not given: the number that the caller dials first."""


def _size_alone(value: object) -> object:
    return {"callers": value} if isinstance(value, int | str) else value


InCompany = Annotated[Company, BeforeValidator(_size_alone, json_schema_input_type=int | Company)]


class TalkExpected(Settings):
    """How agent and caller talk."""

    on_hold: bool | None = None
    muted: bool | None = None
    recording: bool | None = None
    third_party: Literal["ringing", "private", "joined", "none"] | None = None
    """Whom the agent has called: ``private`` while the two talk alone, ``joined`` in a conference."""
    listener: Literal["ringing", "listen", "whisper", "barge", "none"] | None = None
    """A supervisor, and how they take part."""


class TicketExpected(Settings):
    comments: Annotated[int, Field(ge=0)] | None = None
    """At least so many."""
    files: Annotated[int, Field(ge=0)] | None = None
    exactly: bool = False
    """No more comments and files than those numbers."""
    text: Words | None = None
    """Part of one comment's text."""


class Expects(Settings):
    """What must be so within ``within`` seconds. First the ``prompt`` or ``sound`` is waited for, then the
    rest is looked at."""

    prompt: PromptPattern | None = None
    """Is heard next, or is being heard; in whatever language, or with ``de/`` before it in that one.
    ``position.*``: any of that beginning."""
    whole: bool = False
    """Wait until the prompt was heard to its end."""
    sound: Sound | None = None
    """Is heard next, or is being heard. ``agent``: somebody answered and can be heard."""
    not_heard: PromptPattern | None = None
    """A prompt that was not heard in this call so far."""
    heard: PromptPattern | None = None
    """A prompt that was heard in this call, ..."""
    times: Annotated[int, Field(ge=1, le=100)] | None = None
    """... exactly so many times."""
    silence_below: PositiveSeconds | None = None
    """The longest silence in this call so far was shorter than this."""
    state: State | None = None
    queue: Name | None = None
    node: Name | None = None
    """Where in a flow the call is, or was last."""
    language: str | None = None
    position: Annotated[int, Field(ge=1)] | None = None
    priority: int | None = None
    agent: Name | None = None
    """Whom the caller talks to, or is offered to."""
    consent: Happens | None = None
    """What became of the offer of an SMS; ``none``: nothing so far."""
    end: Name | None = None
    """Why the call ended: ``caller_hung_up``, ``agent_hung_up``, ``said_goodbye``, ``transfer_over``, …"""
    sms: Words | None = None
    """Part of the newest text on the caller's phone."""
    sms_count: Annotated[int, Field(ge=0, le=100)] | None = None
    """How many texts the caller's phone has got, in all."""
    ticket: TicketExpected | None = None
    """The newest ticket of the caller."""
    talk: TalkExpected | None = None
    dialled_back: Annotated[int, Field(ge=0, le=100)] | None = None
    """How often a caller who asked for it has been called back so far."""
    agents: dict[Name, str] = Field(default_factory=dict)
    """State by agent: ``anna: rona``."""
    within: PositiveSeconds = LONGEST_WAIT_S


class Step(Settings):
    """Exactly one of these."""

    dials: Dials | None = None
    """A number, or ``{number: …, headers: {X-IVR-Access: …}}``."""
    says: Words | None = None
    """Words; they take as long as they take to speak."""
    presses: Keys | None = None
    """Keys, one after the other."""
    waits: PositiveSeconds | None = None
    hangs: Literal["up"] | None = None
    picks: Literal["up"] | None = None
    """The caller is called back: wait until the phone rings, and answer it."""
    writes: Writes | None = None
    """A text to whoever wrote last; before that, to the number that the site's texts come from."""
    agent_sends: AgentSends | None = None
    """The agent who talks to the caller sends a text: ``photo`` (a preset), or ``{text: …}``."""
    signs_in: Name | None = None
    """An agent begins to work."""
    signs_out: Name | None = None
    staff: DoneByStaff | None = None
    """What staff does: ``hold``, or ``{does: consult, agent: ben}``."""
    expects: Expects | None = None

    def all(self) -> dict[str, object]:
        """What is set, by the name of its setting."""
        return {name: value for name in Step.model_fields if (value := getattr(self, name)) is not None}

    @property
    def kind(self) -> str:
        return next(iter(self.all()))


class Script(Settings):
    """One caller's story."""

    what: Annotated[str, Field(min_length=1, max_length=200)]
    """What is shown, in a sentence."""
    caller: CalledFrom | None = None
    """The number called from; ``hidden``: withheld; not given: a mobile number nobody has called from yet."""
    at: Moment | None = None
    """When, in UTC: only where time is virtual."""
    company: InCompany | None = None
    """So many others dial the same number before, and wait; or ``{callers: 2, dials: 700}``."""
    phones: dict[Name | E164, AtPhone] = Field(default_factory=dict)
    """Who sits at which phone: agents by name, numbers outside in full."""
    answers: dict[str, dict[str, Any] | Literal["too_late"]] = Field(default_factory=dict)
    """What other systems answer to data dips, by address: only where time is virtual. ``too_late``: nothing
    before the deadline."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]

    @property
    def begins(self) -> datetime | None:
        return datetime.strptime(self.at, "%Y-%m-%d %H:%M").replace(tzinfo=UTC) if self.at else None

    @property
    def dialled(self) -> list[str]:
        return [step.dials.number for step in self.steps if step.dials is not None]

    @property
    def is_called_back(self) -> bool:
        return any(step.picks is not None for step in self.steps)

    @property
    def rings(self) -> int:
        """How often a phone may ring, at most: for each call there is, and once more for a call handed on."""
        calls = len(self.dialled) + sum(step.picks is not None for step in self.steps)
        return 1 + calls + (self.company.callers if self.company else 0)

    def expectations(self) -> Iterator[tuple[int, Expects]]:
        for number, step in enumerate(self.steps):
            if step.expects is not None:
                yield number, step.expects
