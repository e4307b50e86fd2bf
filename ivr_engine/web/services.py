"""What the API calls. ``bootstrap`` gives one value; routes take it with ``Services``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Protocol, TypeVar

from fastapi import APIRouter, Depends, Request

from ivr_engine.domain.agents import Agent
from ivr_engine.domain.calls import Call
from ivr_engine.domain.messages import Message
from ivr_engine.domain.switches import Switch
from ivr_engine.domain.trunks import Trunk
from ivr_engine.errors import Unreachable
from ivr_engine.ports import Clock, Estimates, PhoneAccount, Store, Tx
from ivr_engine.site.models import Site
from ivr_engine.web.health import HealthBoard

T = TypeVar("T")

STORE_ANSWERS_S: Final = 10.0
"""Seconds a request waits for the store before it is answered 503."""


class Desk(Protocol):
    """Agents in and out. ``Refused(missing)`` for a name or a reason the site does not know."""

    async def sign_in(self, name: str) -> Agent: ...
    async def sign_out(self, name: str) -> Agent: ...
    async def take_break(self, name: str, reason: str | None) -> Agent: ...
    async def come_back(self, name: str) -> Agent: ...
    async def wrap_up(self, name: str, reason: str | None) -> Agent: ...
    async def account(self, name: str) -> PhoneAccount: ...


class Switches(Protocol):
    """The emergency switch of each queue and of all. ``Refused(missing)`` for a queue or a prompt that the
    site does not know."""

    async def close(self, queue: str, prompt: str = ...) -> Switch: ...
    async def open(self, queue: str) -> bool: ...
    async def closed(self) -> dict[str, Switch]: ...


class RunningCalls(Protocol):
    """Calls not ended. ``Refused`` for one that has, ``Refused(missing)`` for one that never was."""

    async def hang_up(self, call_id: str) -> Call: ...


class UnknownMessages(Protocol):
    """What an admin decides about a message of which nobody can tell whether it was sent.

    ``Refused`` unless its status is ``unknown``.
    """

    async def resend(self, message_id: str) -> Message: ...
    async def drop(self, message_id: str) -> Message: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """Everything the web needs.

    ``site`` gives the site in force now. ``sip_server`` is ``host:port`` for an agent's phone.
    ``metrics`` renders the Prometheus page. ``trunks`` gives those that are watched, as they are now.
    ``more`` are routers put under ``/api/v1``, closed like all.
    """

    store: Store
    clock: Clock
    token: str = field(repr=False)
    site: Callable[[], Site]
    health: HealthBoard
    metrics: Callable[[], Awaitable[bytes]]
    desk: Desk
    switches: Switches
    estimates: Estimates
    running_calls: RunningCalls
    unknown_messages: UnknownMessages
    media_folder: Path
    sip_server: str
    trunks: Callable[[], Collection[Trunk]] = tuple[Trunk, ...]
    more: tuple[APIRouter, ...] = ()

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        """Ask the store; ``ExternalError`` when it does not answer in time."""
        return await self.done(self.store.look(transaction))

    async def done(self, work: Awaitable[T]) -> T:
        """What a service does with the store, with the same deadline. What was begun may still be done
        after it: a transaction runs to its end."""
        try:
            async with asyncio.timeout(STORE_ANSWERS_S):
                return await work
        except TimeoutError:
            raise Unreachable(f"the store did not answer within {STORE_ANSWERS_S:.0f} s") from None


async def _services(request: Request) -> WebServices:
    services: WebServices = request.app.state.services
    return services


Services = Annotated[WebServices, Depends(_services)]
