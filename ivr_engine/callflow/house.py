"""What every chapter of a call may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ivr_engine.domain.calls import Call
from ivr_engine.ports import Clock, Line, Prompt, Prompts, Store, Telephony
from ivr_engine.site.models import Site


@dataclass(frozen=True, slots=True)
class House:
    """The parts, wired once by ``bootstrap``.

    ``message_queued`` wakes the outbox; it promises nothing, the row in the store does.
    """

    site: Site
    prompts: Prompts
    store: Store
    telephony: Telephony
    clock: Clock
    line: Line
    new_id: Callable[[], str]
    message_queued: Callable[[], None]

    def prompt(self, call: Call, name: str) -> Prompt:
        """What is said under ``name`` to this caller: in their language, their queue's own if it has one."""
        return self.prompts.get(call.language, self.site.prompt_name(call.queue, name))
