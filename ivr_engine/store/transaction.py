"""What a transaction function is handed, and how one or several are run over one connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection, Engine

from ivr_engine.ports import Changes, Tx
from ivr_engine.store.agents import AgentTable
from ivr_engine.store.callers import CallerTable
from ivr_engine.store.calls import CallTable
from ivr_engine.store.connection import Later, Statements
from ivr_engine.store.consents import ConsentTable
from ivr_engine.store.contacts import ContactTable
from ivr_engine.store.deliveries import DeliveryTable
from ivr_engine.store.engines import EngineTable
from ivr_engine.store.erasures import ErasureTable
from ivr_engine.store.events import EventTable
from ivr_engine.store.failures import STORE_ERRORS, translated
from ivr_engine.store.leases import LeaseTable
from ivr_engine.store.messages import MessageTable
from ivr_engine.store.noted import NOTHING, Noted
from ivr_engine.store.opt_outs import OptOutTable
from ivr_engine.store.paces import PaceTable
from ivr_engine.store.prepared import Opened
from ivr_engine.store.privacy import PrivacyTable
from ivr_engine.store.queues import QueueTable
from ivr_engine.store.recordings import RecordingTable
from ivr_engine.store.sms_counts import SmsCountTable
from ivr_engine.store.sms_numbers import SmsNumberTable
from ivr_engine.store.sms_reports import SmsReportTable
from ivr_engine.store.tickets import TicketTable
from ivr_engine.store.voicemails import VoicemailTable
from ivr_engine.store.waits import WaitTable

Function = Callable[[Tx], Any]


T = TypeVar("T")


class _Table(Generic[T]):
    """One of a transaction's two dozen tables, made when it is asked for: most transactions use three."""

    def __init__(self, make: Callable[[Transaction], T]) -> None:
        self._make = make
        self._name = ""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, transaction: Transaction, _owner: type) -> T:
        # From here on the attribute is found in the transaction itself.
        made = transaction.__dict__[self._name] = self._make(transaction)
        return made


class Transaction:
    """For the store's own needs the statements underneath; for everybody else ``ports.Tx``."""

    calls = _Table(lambda tx: CallTable(tx.statements, tx.noted))
    callers = _Table(lambda tx: CallerTable(tx.statements))
    messages = _Table(lambda tx: MessageTable(tx.statements))
    agents = _Table(lambda tx: AgentTable(tx.statements, tx.noted))
    tickets = _Table(lambda tx: TicketTable(tx.statements))
    consents = _Table(lambda tx: ConsentTable(tx.statements))
    events = _Table(lambda tx: EventTable(tx.statements))
    engines = _Table(lambda tx: EngineTable(tx.statements))
    voicemails = _Table(lambda tx: VoicemailTable(tx.statements))
    recordings = _Table(lambda tx: RecordingTable(tx.statements))
    waits = _Table(lambda tx: WaitTable(tx.statements))
    queues = _Table(lambda tx: QueueTable(tx.statements))
    contacts = _Table(lambda tx: ContactTable(tx.statements))
    deliveries = _Table(lambda tx: DeliveryTable(tx.statements))
    leases = _Table(lambda tx: LeaseTable(tx.statements))
    paces = _Table(lambda tx: PaceTable(tx.statements))
    sms_counts = _Table(lambda tx: SmsCountTable(tx.statements))
    sms_reports = _Table(lambda tx: SmsReportTable(tx.statements))
    opt_outs = _Table(lambda tx: OptOutTable(tx.statements))
    erasures = _Table(lambda tx: ErasureTable(tx.statements))
    privacy = _Table(lambda tx: PrivacyTable(tx.statements))
    sms_numbers = _Table(lambda tx: SmsNumberTable(tx.statements))

    def __init__(self, statements: Statements) -> None:
        self.statements = statements
        self.noted = Noted()

    @property
    def port(self) -> Tx:
        """Itself: a protocol's properties are not known to be met by descriptors."""
        return cast("Tx", self)


def looking(function: Callable[[Tx], T]) -> Callable[[Tx], T]:
    """``function``, which may not write and locks nothing."""

    def look(tx: Tx) -> T:
        cast("Transaction", tx).statements.only_look()
        return function(tx)

    return look


@dataclass(frozen=True, slots=True)
class Done:
    """Committed; ``value`` is what the function returned."""

    value: Any
    changes: Changes = NOTHING


@dataclass(frozen=True, slots=True)
class Broken:
    """Nothing of it was written."""

    error: BaseException


Outcome = Done | Broken


class _NoStart(Exception):
    """The database let no transaction begin: for none of the group, so trying each is no use."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Runner:
    """Runs transactions over one connection, which it opens when first needed and again after it
    broke. Belongs to one thread."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._place = place
        self._connection: Connection | None = None

    def run(self, functions: Sequence[Function]) -> list[Outcome]:
        """Commit all together; if one fails, undo and commit each alone (they run again)."""
        try:
            return self._together(functions)
        except _NoStart as stopped:
            return [Broken(stopped.error) for _ in functions]
        except BaseException as error:
            if len(functions) == 1:
                return [Broken(error)]
        return [self.run([function])[0] for function in functions]

    def connection(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _together(self, functions: Sequence[Function]) -> list[Outcome]:
        try:
            connection = self.connection()
            connection.begin()
        except STORE_ERRORS as error:
            self._drop()
            raise _NoStart(translated(error, self._place)) from error
        later = Later()
        try:
            with closing(Opened(connection)) as opened:
                outcomes = [self._one(opened, function, later) for function in functions]
                Statements(opened, self._place, later=later).write_later()
            connection.commit()
        except STORE_ERRORS as error:
            self._undo(connection)
            raise translated(error, self._place) from error
        except BaseException:
            self._undo(connection)
            raise
        return outcomes

    def _one(self, opened: Opened, function: Function, later: Later) -> Outcome:
        statements = Statements(opened, self._place, later=later)
        try:
            transaction = Transaction(statements)
            value = function(transaction.port)
            if statements.failure is not None:
                raise statements.failure
        except BaseException as error:
            if statements.touched:
                raise
            return Broken(error)  # it only looked: there is nothing to undo, for it or its neighbours
        finally:
            statements.close()
        return Done(value, transaction.noted.changes)

    def _undo(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except STORE_ERRORS:
            # The connection is of no more use. What it had begun dies with it.
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()
