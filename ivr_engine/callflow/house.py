"""What every chapter of a call may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from ivr_engine.callflow.bells import Bells
from ivr_engine.callflow.full_caps import FullCaps
from ivr_engine.domain.calls import Call
from ivr_engine.domain.numbers import to_e164
from ivr_engine.domain.records import replace
from ivr_engine.domain.wait_watch import QueueWaits
from ivr_engine.errors import Refused
from ivr_engine.ports import Clock, Estimates, Line, Lookup, Prompt, Prompts, Store, Telephony, Tx
from ivr_engine.site.flows import Doing, Transfer
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce, SiteNow

D = TypeVar("D", bound=Doing)


@dataclass(frozen=True, slots=True)
class House:
    """The parts, wired once by ``bootstrap``.

    ``message_queued`` wakes the outbox; it promises nothing, the row in the store does. ``sender_for`` is
    ``messaging.senders.sender_for``, ``identify`` is ``messaging.contacts.at_connect``. ``held`` is the
    configuration that one step of a call keeps to, whatever comes into force meanwhile.
    """

    in_force: SiteNow
    store: Store
    telephony: Telephony
    clock: Clock
    line: Line
    new_id: Callable[[], str]
    message_queued: Callable[[], None]
    sender_for: Callable[[Tx, Site, str, str], str]
    identify: Callable[[Tx, Call, str, datetime], None]
    lookup: Lookup
    estimates: Estimates
    held: InForce | None = None
    steps: list[House] = field(default_factory=list["House"], compare=False)
    """The house of ``for_a_step`` made last: the same for all calls until the configuration changes."""
    bells: Bells = field(default_factory=Bells)
    full_caps: FullCaps = field(default_factory=FullCaps)

    @property
    def site(self) -> Site:
        return (self.held or self.in_force.current).site

    @property
    def prompts(self) -> Prompts:
        return (self.held or self.in_force.current).prompts

    def for_a_step(self) -> House:
        """With the configuration in force now held fast, so that what a step reads fits together."""
        current = self.in_force.current
        if self.held is current:
            return self
        if not self.steps or self.steps[0].held is not current:
            self.steps[:] = [replace(self, held=current)]
        return self.steps[0]

    async def waits(self, queue: str) -> QueueWaits | None:
        """How long callers of the queue wait as things are now. Ask only where it matters: it costs."""
        await self.estimates.refresh()
        return self.estimates.waits(queue)

    def prompt(self, call: Call, name: str) -> Prompt:
        """What is said under ``name`` to this caller: in their language, their queue's own if it has one."""
        if call.queue:
            name = self.site.prompt_name(call.queue, name)
        return self.prompts.get(call.language, name)

    def sender(self, tx: Tx, call: Call) -> str:
        """The number of ours that texts of this call are sent from, to the caller's."""
        return self.sender_for(tx, self.site, call.queue, call.known_caller)

    def music(self, call: Call) -> str:
        """What a caller hears who is kept waiting, also one whose queue the configuration has no more."""
        queue = self.site.queues.get(call.queue)
        return queue.music if queue is not None else "default"

    def doing(self, call: Call, *kinds: type[D]) -> D:
        """What the node does at which the call stands. ``Refused`` when that is of none of these kinds."""
        node = self.site.node(call.where.flow, call.where.node)
        if node is None or not isinstance(node.doing, kinds):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise Refused(f"node {call.where.node} of flow {call.where.flow} is no {names}")
        return node.doing

    def number_outside(self, transfer: Transfer, call: Call) -> str:
        """What is dialled for this caller, in E.164; as written where it is no number."""
        written = transfer.to_dial(call.where.variables)
        return to_e164(written, self.site.country) or written
