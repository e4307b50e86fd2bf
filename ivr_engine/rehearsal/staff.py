"""What staff does while a caller's story goes on: each is one operation of the API, with what that takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ivr_engine.domain.handover import Place
from ivr_engine.domain.talk import Listening
from ivr_engine.site.values import Name, PromptName, Settings

Does = Literal[
    "hold",
    "resume",
    "mute",
    "unmute",
    "transfer",
    "consult",
    "complete",
    "take-back",
    "conference",
    "listen",
    "stop-listening",
    "record",
    "stop-recording",
    "cancel-callback",
    "break",
    "back",
    "wrap-up",
    "close",
    "open",
]


@dataclass(frozen=True, slots=True)
class _Operation:
    """``on`` what: the caller's call, an agent, or a queue (none named: all). ``one_of``: exactly one of
    these is named. ``may``: what may be said besides."""

    on: Literal["call", "agent", "queue"] = "call"
    one_of: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()


_AGENT: Final = frozenset({"agent"})

OPERATIONS: Final[Mapping[Does, _Operation]] = {
    "hold": _Operation(),
    "resume": _Operation(),
    "mute": _Operation(),
    "unmute": _Operation(),
    "transfer": _Operation(one_of=frozenset({"queue", "agent", "number"}), may=frozenset({"place"})),
    "consult": _Operation(one_of=frozenset({"agent", "number"})),
    "complete": _Operation(),
    "take-back": _Operation(),
    "conference": _Operation(),
    "listen": _Operation(one_of=_AGENT, may=frozenset({"mode"})),
    "stop-listening": _Operation(),
    "record": _Operation(),
    "stop-recording": _Operation(),
    "cancel-callback": _Operation(),
    "break": _Operation("agent", _AGENT, frozenset({"reason"})),
    "back": _Operation("agent", _AGENT),
    "wrap-up": _Operation("agent", _AGENT, frozenset({"reason"})),
    "close": _Operation("queue", may=frozenset({"queue", "prompt"})),
    "open": _Operation("queue", may=frozenset({"queue"})),
}


class Staff(Settings):
    """One operation, named as in the API."""

    does: Does
    agent: Name | None = None
    """Whose state changes; or who is handed the caller, is asked, or listens."""
    queue: Name | None = None
    """Where the caller is handed to; or what is closed or opened: not given, all."""
    number: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    """Outside: where the caller is handed to, or who is asked."""
    place: Place | None = None
    mode: Listening | None = None
    reason: Name | None = None
    """Of a break, or of a wrap-up."""
    prompt: PromptName | None = None
    """What callers of a closed queue hear."""
    refused: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """It must be refused, for a reason with these words in it."""

    @model_validator(mode="after")
    def _as_the_operation_takes(self) -> Staff:
        operation, given = OPERATIONS[self.does], self._given()
        if operation.one_of and len(operation.one_of & given) != 1:
            raise _wrong(f"'{self.does}' takes {_one_of(operation.one_of)}")
        if odd := sorted(given - operation.one_of - operation.may):
            raise _wrong(f"'{self.does}' takes no '{odd[0]}'")
        return self

    @property
    def on_call(self) -> bool:
        """Done with the caller's call."""
        return OPERATIONS[self.does].on == "call"

    def path(self, call_id: str) -> str:
        """Below the API's root."""
        match OPERATIONS[self.does].on:
            case "call":
                return f"/calls/{call_id}/{self.does}"
            case "agent":
                return f"/agents/{self.agent}/{self.does}"
            case "queue" if self.queue is not None:
                return f"/queues/{self.queue}/{self.does}"
            case _:
                return f"/queues/{self.does}"

    def body(self) -> dict[str, Any] | None:
        """What goes with it, if anything does."""
        told = self.model_dump(mode="json", exclude_none=True, exclude={"does", "refused"})
        if not self.on_call:
            told.pop("agent", None)
            told.pop("queue", None)
        return told or None

    def __str__(self) -> str:
        with_what = [f"{name} {value}" for name, value in self.model_dump(mode="json").items() if value]
        return ", ".join([self.does, *(each for each in with_what if not each.startswith("does "))])

    def _given(self) -> set[str]:
        return {name for name in self.model_fields_set if getattr(self, name) is not None} - {
            "does",
            "refused",
        }


def _one_of(names: frozenset[str]) -> str:
    return (
        "one of " + ", ".join(f"'{name}'" for name in sorted(names)) if len(names) > 1 else f"'{min(names)}'"
    )


def _wrong(remedy: str) -> PydanticCustomError:
    return PydanticCustomError("script", "{remedy}", {"remedy": remedy})


def _does_alone(value: object) -> object:
    return {"does": value} if isinstance(value, str) else value


DoneByStaff = Annotated[Staff, BeforeValidator(_does_alone, json_schema_input_type=Does | Staff)]
"""``hold`` may stand for ``{does: hold}``."""
