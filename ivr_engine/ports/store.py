"""The truth: transactions, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ivr_engine.ports.crm import Contacts, Deliveries
from ivr_engine.ports.privacy import Erasures, OptOuts, Privacy
from ivr_engine.ports.records import (
    Agents,
    Callers,
    Calls,
    Engines,
    Events,
    Leases,
    Queues,
    TalkRecordings,
    Tickets,
    Voicemails,
    Waits,
)
from ivr_engine.ports.sms_numbers import SmsNumbers
from ivr_engine.ports.text_records import (
    Consents,
    Messages,
    SenderPaces,
    SmsCounts,
    SmsReports,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Changes:
    """What a transaction wrote that concerns who is offered to whom: calls by id, agents by name.

    ``missed``: others may have written more than can be told; read everything again.
    """

    calls: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    missed: bool = False


class Tx(Protocol):
    """One transaction. What a function does with it happens whole or not at all."""

    @property
    def calls(self) -> Calls: ...
    @property
    def callers(self) -> Callers: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def agents(self) -> Agents: ...
    @property
    def tickets(self) -> Tickets: ...
    @property
    def consents(self) -> Consents: ...
    @property
    def events(self) -> Events: ...
    @property
    def engines(self) -> Engines: ...
    @property
    def voicemails(self) -> Voicemails: ...
    @property
    def recordings(self) -> TalkRecordings: ...
    @property
    def queues(self) -> Queues: ...
    @property
    def waits(self) -> Waits: ...
    @property
    def contacts(self) -> Contacts: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def leases(self) -> Leases: ...
    @property
    def paces(self) -> SenderPaces: ...
    @property
    def sms_counts(self) -> SmsCounts: ...
    @property
    def sms_reports(self) -> SmsReports: ...
    @property
    def opt_outs(self) -> OptOuts: ...
    @property
    def erasures(self) -> Erasures: ...
    @property
    def privacy(self) -> Privacy: ...
    @property
    def sms_numbers(self) -> SmsNumbers: ...


class Store(Protocol):
    """The truth. ``run`` may call ``transaction`` more than once, so it only computes and writes."""

    async def run(self, transaction: Callable[[Tx], T]) -> T:
        """Run on the store's own thread and return once it is durable.

        Once started it runs to its end, also when the caller is cancelled. What ``transaction``
        raises is raised here and nothing is written. ``ExternalError`` when the store is not there.
        """
        ...

    async def look(self, transaction: Callable[[Tx], T]) -> T:
        """Run beside those that write, which do not wait for it: for lists and reports that people ask for,
        however long they take. Nothing on a call's way, for it may wait behind such a report. It sees what
        was durable when it began, and may not write."""
        ...

    def listen(self, heard: Callable[[Changes], None]) -> None:
        """Tell ``heard``, after each commit that changed something, in the event loop of whoever asked for
        the transaction, and before they have its result. Of what other engines on the same database
        write, agents are told."""
        ...

    async def check(self) -> None:
        """Raise ``ExternalError`` unless a row can be written and read."""
        ...

    async def close(self) -> None: ...
