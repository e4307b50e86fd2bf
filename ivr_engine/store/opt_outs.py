"""The opt-out list as rows. What has ended stays, and a trigger sees to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, and_, bindparam, or_, select

from ivr_engine.domain.opt_outs import How, OptOut, Said
from ivr_engine.errors import Refused
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import opt_outs
from ivr_engine.store.tables.privacy import STANDS

_c: Final = opt_outs.c
_EITHER: Final = or_(_c.number == bindparam("number"), _c.number == bindparam("known_as"))
_IS_THERE: Final = select(_c.id).where(_EITHER, STANDS)
_STANDING: Final = select(opt_outs).where(_EITHER, STANDS).order_by(_c.since).limit(1)
_INSERT: Final = opt_outs.insert()
_END: Final = opt_outs.update().where(_c.id == bindparam("key"), STANDS)


def _found(*conditions: Any) -> Select[Any]:  # noqa: ANN401 - SQL expressions
    return (
        select(opt_outs).where(*conditions).order_by(_c.since.desc(), _c.id.desc()).limit(bindparam("limit"))
    )


_SEARCH: Final = {False: _found(), True: _found(_EITHER)}
_LATER: Final = or_(_c.since > bindparam("at"), and_(_c.since == bindparam("at"), _c.id > bindparam("last")))


def _page(*conditions: Any) -> Select[Any]:  # noqa: ANN401 - SQL expressions
    return select(opt_outs).where(*conditions).order_by(_c.since, _c.id).limit(bindparam("limit"))


_PAGE: Final = {False: _page(), True: _page(_c.since >= bindparam("at"), _LATER)}


class OptOutTable:
    """``ports.OptOuts``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def is_opted_out(self, number: str) -> bool:
        return self._db.row(_IS_THERE, self._names(number)) is not None

    def standing(self, number: str) -> OptOut | None:
        row = self._db.row(_STANDING, self._names(number), lock=True)
        return None if row is None else _opt_out(row)

    def add(self, opt_out: OptOut) -> None:
        values = {
            "id": opt_out.id,
            "number": opt_out.number,
            "since": opt_out.said.at,
            "how": opt_out.said.how.value,
            "wording": opt_out.said.wording,
            "actor": opt_out.said.actor,
            "language": opt_out.language,
            **_resumed(opt_out.resumed),
        }
        self._db.write(_INSERT, values)

    def end(self, opt_out: OptOut) -> None:
        if not self._db.write(_END, {"key": opt_out.id, **_resumed(opt_out.resumed)}):
            raise Refused(f"opt-out {opt_out.id} has ended before")

    def search(self, *, number: str | None = None, limit: int = 1000) -> list[OptOut]:
        values = {"limit": limit, **({} if number is None else self._names(number))}
        return [_opt_out(row) for row in self._db.rows(_SEARCH[number is not None], values)]

    def page(self, after: tuple[datetime, str] | None, limit: int) -> list[OptOut]:
        values: dict[str, Any] = {"limit": limit}
        if after is not None:
            values |= {"at": after[0], "last": after[1]}
        return [_opt_out(row) for row in self._db.rows(_PAGE[after is not None], values)]

    def _names(self, number: str) -> dict[str, Any]:
        return {"number": number, "known_as": self._db.pseudonym(number)}


def _resumed(said: Said | None) -> dict[str, Any]:
    return {
        "resumed_at": said and said.at,
        "resumed_how": said and said.how.value,
        "resumed_wording": said and said.wording,
        "resumed_actor": said and said.actor,
    }


def _opt_out(row: Row[Any]) -> OptOut:
    resumed = None
    if row.resumed_at is not None:
        resumed = Said(
            at=row.resumed_at,
            how=How(row.resumed_how),
            wording=row.resumed_wording,
            actor=row.resumed_actor,
        )
    return OptOut(
        id=row.id,
        number=row.number,
        said=Said(at=row.since, how=How(row.how), wording=row.wording, actor=row.actor),
        language=row.language,
        resumed=resumed,
    )
