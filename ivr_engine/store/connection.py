"""One transaction's way to the database: runs statements, says clearly what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Executable, Row, Select

from ivr_engine.domain.opt_outs import Pseudonym, pseudonyms
from ivr_engine.errors import Refused
from ivr_engine.store import prepared
from ivr_engine.store.failures import STORE_ERRORS, cause_to_show, translated

Values = Mapping[str, Any]
Later = dict[Executable, list[Values]]
"""Rows by the statement that will insert them."""
R = TypeVar("R")
V = TypeVar("V", Values, Sequence[Values])

PSEUDONYM_OPTION: Final = "ivr_pseudonym"
"""The execution option of an engine that holds its ``Pseudonym``."""
_WITHOUT_KEY: Final = pseudonyms("")
"""For databases of simulations and tests."""

ALL_EVENTS: Final = 2**63 - 1
"""The bound where events become visible in the order of their ids."""


class EventsUnsettled(Exception):
    """Events are to be read, and up to which id has to be known before the transaction begins."""


class Statements:
    """What the tables' classes run their statements with.

    After the first failure nothing more is accepted, also when the caller caught it: PostgreSQL ends
    a transaction at its first error, and SQLite does after some (a full disk), so that what follows
    would be stored without the rest.

    ``later``: where rows wait that are inserted together at the end; transactions that are committed
    together share it. Whoever commits calls ``write_later`` before.
    """

    __slots__ = ("_events_until", "_later", "_looking", "_opened", "_place", "failure", "touched")

    def __init__(
        self,
        opened: prepared.Opened,
        place: str,
        *,
        events_until: int | None = ALL_EVENTS,
        later: Later | None = None,
    ) -> None:
        self._later = Later() if later is None else later
        self._looking = False
        self._opened = opened
        self._place = place
        self._events_until = events_until
        self.failure: Exception | None = None
        self.touched = False
        """Something may have been written, or the database failed: an error must undo it."""

    def only_look(self) -> None:
        """From now on nothing is written and no row locked."""
        self._looking = True

    def rows(
        self, statement: Executable, values: Values = MappingProxyType({}), *, lock: bool = False
    ) -> Sequence[Row[Any]]:
        """``lock``: nobody else changes these rows until the transaction is over."""
        return self._execute(self._locking(statement) if lock else statement, values, prepared.rows)

    def row(
        self, statement: Executable, values: Values = MappingProxyType({}), *, lock: bool = False
    ) -> Row[Any] | None:
        return self._execute(self._locking(statement) if lock else statement, values, prepared.first)

    def scalar(self, statement: Executable, values: Values = MappingProxyType({})) -> Any:  # noqa: ANN401
        row = self._execute(statement, values, prepared.first)
        return None if row is None else row[0]

    def write(self, statement: Executable, values: Values) -> int:
        """How many rows it changed."""
        self._will_write()
        return self._execute(statement, values, prepared.write)

    def written(self, statement: Executable, values: Values) -> Sequence[Row[Any]]:
        """What a statement that writes says of the rows it wrote (RETURNING)."""
        self._will_write()
        return self._execute(statement, values, prepared.rows)

    def write_all(self, statement: Executable, values: Sequence[Values]) -> None:
        """One statement, many rows."""
        self._will_write()
        self._execute(statement, values, prepared.write_all)

    def insert_later(self, statement: Executable, rows: Sequence[Values]) -> None:
        """Before the commit, or when somebody wants to read them: one statement for many rows."""
        self._check(rows)
        self._will_write()
        self._later.setdefault(statement, []).extend(rows)

    def write_later(self) -> None:
        """Insert what waits."""
        while self._later:
            statement, rows = self._later.popitem()
            self._execute(statement, rows, prepared.write_all)

    def events_until(self) -> int:
        """No event with an id up to this one can become visible any more."""
        if self._events_until is None:
            self.failure = EventsUnsettled()
            raise self.failure
        return self._events_until

    def pseudonym(self, number: str) -> str:
        """What stands in place of a number that was erased."""
        made: Pseudonym = self._opened.connection.get_execution_options().get(PSEUDONYM_OPTION, _WITHOUT_KEY)
        return made(number)

    def close(self) -> None:
        """The transaction is over: whoever kept hold of it must not write into the next one."""
        self.failure = Refused("this transaction is over")

    def json(self, encode: Callable[[object], bytes], value: object) -> str:
        """``value`` as the text of a JSON column."""
        try:
            return encode(value).decode()
        except UnicodeError as error:
            self.failure = translated(error, self._place)
            raise self.failure from error

    def _check(self, values: Values | Sequence[Values]) -> None:
        if self.failure is None:
            self.failure = _nul_in(values)
        if self.failure is not None:
            raise self.failure

    def _locking(self, statement: Executable) -> Executable:
        return statement if self._looking else _locked(cast("Select[Any]", statement))

    def _will_write(self) -> None:
        if self._looking:
            raise RuntimeError("a transaction that only looks may not write: give it to `run`, not to `look`")
        self.touched = True

    def _execute(
        self, statement: Executable, values: V, way: Callable[[prepared.Opened, Executable, V], R]
    ) -> R:
        self._check(values)
        try:
            return way(self._opened, statement, values)
        except STORE_ERRORS as error:
            self.touched = True
            self.failure = translated(error, self._place)
            raise self.failure from cause_to_show(error)
        except (ValueError, TypeError, OverflowError) as error:  # a value of ours that fits no column
            self.touched = True
            self.failure = error
            raise


@cache
def _locked(statement: Select[Any]) -> Select[Any]:
    return statement.with_for_update()


def _nul_in(values: Values | Sequence[Values]) -> Refused | None:
    """SQLite would take the character, PostgreSQL would not: the same everywhere."""
    # The abstract Mapping would be asked at every statement, and is slow to say no.
    is_one = isinstance(values, (dict, MappingProxyType))
    for row in (cast("Values", values),) if is_one else cast("Sequence[Values]", values):
        for value in row.values():
            if type(value) is str and "\0" in value:
                name = next(name for name in row if row[name] is value)
                return Refused(f"the store refuses this text: a NUL character in {name}")
    return None


def changed(values: Values, before: Values | None) -> Values:
    """What of ``values`` differs from the row as it was, if that is known: an index whose columns are
    not written costs nothing."""
    if before is None:
        return values
    return {name: value for name, value in values.items() if value != before[name]}
