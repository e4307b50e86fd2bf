"""What is known of our numbers, as rows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row, bindparam, select

# SQLite knows the same clause, and is given it as it is: its own class is not understood by PostgreSQL.
from sqlalchemy.dialects.postgresql import insert

from ivr_engine.domain.number_verification import How, NumberState, SentCode, Verified
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import sms_numbers

_c: Final = sms_numbers.c
_OF_PROVIDER: Final = select(sms_numbers).where(_c.provider == bindparam("provider"))
_GET: Final = _OF_PROVIDER.where(_c.number == bindparam("number"))
_ALL: Final = _OF_PROVIDER.order_by(_c.number)
_VERIFIED: Final = select(_c.number).where(
    _c.number.in_(bindparam("numbers", expanding=True)),
    _c.provider == bindparam("provider"),
    _c.verified_at.is_not(None),
)
_NEW: Final = insert(sms_numbers)
_KEPT: Final = ("verified_at", "verified_by", "verified_how", "code", "codes_at", "trouble")
_SAVE: Final = _NEW.on_conflict_do_update(
    index_elements=[_c.number, _c.provider], set_={name: _NEW.excluded[name] for name in _KEPT}
)

_encode: Final = msgspec.json.Encoder().encode
_code: Final = msgspec.json.Decoder(SentCode).decode
_times: Final = msgspec.json.Decoder(tuple[datetime, ...]).decode


class SmsNumberTable:
    """``ports.SmsNumbers``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def get(self, number: str, provider: str) -> NumberState:
        row = self._db.row(_GET, {"number": number, "provider": provider}, lock=True)
        return NumberState(number=number, provider=provider) if row is None else _state(row)

    def all(self, provider: str) -> list[NumberState]:
        return [_state(row) for row in self._db.rows(_ALL, {"provider": provider})]

    def verified(self, numbers: Collection[str], provider: str) -> frozenset[str]:
        if not numbers:
            return frozenset()
        rows = self._db.rows(_VERIFIED, {"numbers": sorted(numbers), "provider": provider})
        return frozenset(row.number for row in rows)

    def save(self, state: NumberState) -> None:
        verified = state.verified
        values = {
            "number": state.number,
            "provider": state.provider,
            "verified_at": verified and verified.at,
            "verified_by": verified and verified.by,
            "verified_how": verified and verified.how.value,
            "code": self._db.json(_encode, state.code) if state.code else None,
            "codes_at": self._db.json(_encode, state.codes_at) if state.codes_at else None,
            "trouble": state.trouble,
        }
        self._db.write(_SAVE, values)


def _state(row: Row[Any]) -> NumberState:
    verified = None
    if row.verified_at is not None:
        verified = Verified(at=row.verified_at, by=row.verified_by, how=How(row.verified_how))
    return NumberState(
        number=row.number,
        provider=row.provider,
        verified=verified,
        code=_code(row.code) if row.code else None,
        codes_at=_times(row.codes_at) if row.codes_at else (),
        trouble=row.trouble,
    )
