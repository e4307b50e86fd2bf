"""What staff do with a call while agent and caller talk, and the recordings of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, ClassVar, Protocol

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import FileResponse

from ivr_engine.callflow.commands import Target, ToAgent, ToNumber, ToQueue
from ivr_engine.domain.calls import Call
from ivr_engine.domain.handover import Place
from ivr_engine.domain.recordings import TalkRecording
from ivr_engine.domain.talk import Listening
from ivr_engine.errors import Refused
from ivr_engine.ports import Tx
from ivr_engine.web import files
from ivr_engine.web.errors import MISSING, NOT_NOW
from ivr_engine.web.services import Services
from ivr_engine.web.shapes import CallItem, Items, RecordingItem

Name = Annotated[str, Field(min_length=1, max_length=100)]


class InCall(Protocol):
    """``Refused`` in a state where a command makes no sense; ``Refused(missing)`` for what does not exist."""

    async def hold(self, call_id: str) -> Call: ...
    async def resume(self, call_id: str) -> Call: ...
    async def mute(self, call_id: str) -> Call: ...
    async def unmute(self, call_id: str) -> Call: ...
    async def transfer(self, call_id: str, target: Target) -> Call: ...
    async def consult(self, call_id: str, target: ToAgent | ToNumber) -> Call: ...
    async def complete(self, call_id: str) -> Call: ...
    async def take_back(self, call_id: str) -> Call: ...
    async def conference(self, call_id: str) -> Call: ...
    async def listen(self, call_id: str, listener: str, mode: Listening) -> Call: ...
    async def stop_listening(self, call_id: str) -> Call: ...
    async def record(self, call_id: str) -> Call: ...
    async def stop_recording(self, call_id: str) -> Call: ...
    async def cancel_callback(self, call_id: str) -> Call: ...


class Whom(BaseModel):
    """Another agent, or a number outside: one of the two."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"agent": "ben"}]})
    kinds: ClassVar[tuple[str, ...]] = ("agent", "number")
    agent: Name | None = None
    number: Annotated[str, Field(max_length=40)] | None = Field(
        None, description="Checked against transfers.allow; emergency and premium numbers are never dialled"
    )

    @model_validator(mode="after")
    def _one(self) -> Whom:
        if sum(getattr(self, kind) is not None for kind in self.kinds) != 1:
            raise ValueError(f"give exactly one of {', '.join(self.kinds)}")
        return self

    def outside_or_agent(self) -> ToAgent | ToNumber:
        return ToAgent(self.agent) if self.agent is not None else ToNumber(self.number or "")


class WhereTo(Whom):
    """A queue, another agent, or a number outside: one of the three."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"queue": "sales", "place": "head"}]}
    )
    kinds: ClassVar[tuple[str, ...]] = ("queue", "agent", "number")
    queue: Name | None = None
    place: Place = Field(
        Place.TIME, description="In a queue: head, before everybody; time, by when the caller first came"
    )

    def target(self) -> Target:
        return ToQueue(self.queue, self.place) if self.queue is not None else self.outside_or_agent()


class WhoListens(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"agent": "cleo", "mode": "listen"}]}
    )
    agent: Name = Field(description="Whose phone rings")
    mode: Listening = Field(
        Listening.LISTEN, description="listen: unheard; whisper: heard by the agent alone; barge: by all"
    )


def _plain(commands: InCall) -> dict[str, tuple[Callable[[str], Awaitable[Call]], str, str]]:
    """By path: what needs no more than the call, its summary and description."""
    return {
        "hold": (commands.hold, "Put the caller on hold", "The caller hears music; the agent stays."),
        "resume": (commands.resume, "Back from hold", "Caller and agent hear each other again."),
        "mute": (commands.mute, "Mute the agent", "Nobody hears the agent, who hears everybody."),
        "unmute": (commands.unmute, "Unmute the agent", "The agent is heard again."),
        "complete": (
            commands.complete,
            "Hand the caller over to whom was asked",
            "The agent is out of it; hanging up does the same.",
        ),
        "take-back": (
            commands.take_back,
            "Back to the caller, without whom was asked",
            "Also the end of a conference.",
        ),
        "conference": (
            commands.conference,
            "All three together",
            "After `consult`. If one of the two hangs up, the other goes on with the caller.",
        ),
        "stop-listening": (
            commands.stop_listening,
            "End the supervisor's part",
            "Their phone is hung up.",
        ),
        "record": (
            commands.record,
            "Record the talk",
            "Both sides, as the queue's `recording` allows: a caller who was not told yet is told, or asked, "
            "first. 409 when they refused.",
        ),
        "stop-recording": (
            commands.stop_recording,
            "Stop recording",
            "What was recorded until now is kept.",
        ),
        "cancel-callback": (
            commands.cancel_callback,
            "Cancel a callback",
            "Of a caller who waits to be called back; 409 once the number is being dialled.",
        ),
    }


def _route(do: Callable[[str], Awaitable[Call]]) -> Callable[..., Awaitable[CallItem]]:
    async def route(services: Services, call_id: str) -> CallItem:
        return CallItem.of(await services.done(do(call_id)), None)

    return route


def in_call_router(commands: InCall) -> APIRouter:
    """The routes, below ``/calls``."""
    router = APIRouter(prefix="/calls/{call_id}", tags=["calls"], responses=MISSING | NOT_NOW)

    for path, (do, summary, about) in _plain(commands).items():
        router.add_api_route(
            f"/{path}",
            _route(do),
            methods=["POST"],
            name=path.replace("-", "_"),
            summary=summary,
            description=about,
        )

    @router.post("/transfer", summary="Hand the caller on without a word")
    async def transfer(  # pyright: ignore[reportUnusedFunction]
        services: Services, call_id: str, to: Annotated[WhereTo, Body()]
    ) -> CallItem:
        """The agent is out of it at once. A caller whom the other side does not take goes back into the line,
        at the place they had. 409 for an agent who is not free and a number that may not be dialled."""
        return CallItem.of(await services.done(commands.transfer(call_id, to.target())), None)

    @router.post("/consult", summary="Ask somebody first")
    async def consult(  # pyright: ignore[reportUnusedFunction]
        services: Services, call_id: str, whom: Annotated[Whom, Body()]
    ) -> CallItem:
        """Rings them while the caller hears music. Then ``complete``, ``conference`` or ``take-back``;
        whoever does not answer, or hangs up, leaves caller and agent as they were."""
        return CallItem.of(await services.done(commands.consult(call_id, whom.outside_or_agent())), None)

    @router.post("/listen", summary="Let a supervisor take part")
    async def listen(  # pyright: ignore[reportUnusedFunction]
        services: Services, call_id: str, who: Annotated[WhoListens, Body()]
    ) -> CallItem:
        """Rings their phone; for one who listens already, changes how."""
        return CallItem.of(await services.done(commands.listen(call_id, who.agent, who.mode)), None)

    @router.get("/recordings", summary="Recordings of the call")
    async def list_recordings(services: Services, call_id: str) -> Items[RecordingItem]:  # pyright: ignore[reportUnusedFunction]
        """Oldest first, those deleted too. The files are on the ticket as well."""
        found = await services.look(lambda tx: tx.recordings.of_call(tx.calls.get(call_id).id))
        return Items(items=[RecordingItem.of(each) for each in found])

    @router.get(
        "/recordings/{recording_id}",
        summary="The sound of a recording",
        response_class=FileResponse,
        responses=files.ANSWER,
    )
    async def fetch_recording(services: Services, call_id: str, recording_id: str) -> FileResponse:  # pyright: ignore[reportUnusedFunction]
        """A WAV file, as a download."""

        def find(tx: Tx) -> TalkRecording:
            found = next((r for r in tx.recordings.of_call(call_id) if r.id == recording_id), None)
            if found is None:
                raise Refused("this call has no such recording", missing=True)
            return found

        recording = await services.look(find)
        return await files.stored(services.media_folder, recording.file, "audio/wav", recording.id)

    return router
