"""Reports on texts, counted where everything stands already: events, consents and messages. Nothing is
written for them when a call is made.

Each query is of a span of time, a day at most if calls shall not wait for it, and reads it by an index.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnClause, Select, and_, bindparam, case, exists, func, literal_column, select

from ivr_engine.domain.consent import WaitTimeSmsStatus
from ivr_engine.domain.messages import Direction, MessageStatus, Purpose
from ivr_engine.domain.sms_reports import Funnel, Place, Usage
from ivr_engine.store.connection import Statements, Values
from ivr_engine.store.tables import OFFERS, calls, consents, events, messages

_e, _c, _m = events.c, consents.c, messages.c
_SINCE: Final = bindparam("since", type_=_e.at.type)
_UNTIL: Final = bindparam("until", type_=_e.at.type)
_OURS: Final[ColumnClause[Any]] = literal_column(f"'{Purpose.WAIT_TIME_SMS}'")

_OFFERS: Final = (
    select(
        _e.kind,
        _e.data,
        func.count().label("rounds"),
        func.count(_e.call_id.distinct()).label("callers"),
    )
    .where(OFFERS, _e.at >= _SINCE, _e.at < _UNTIL)
    .group_by(_e.kind, _e.data)
)
_ALLOWED: Final[ColumnClause[Any]] = literal_column(f"'{WaitTimeSmsStatus.ALLOWED}'")
_DENIED: Final[ColumnClause[Any]] = literal_column(f"'{WaitTimeSmsStatus.DENIED}'")
_LATER: Final = consents.alias("later")
_SAID: Final = (
    select(_c.queue, _c.language, _c.outcome, func.count(_c.call_id.distinct()).label("callers"))
    .where(
        _c.at >= _SINCE,
        _c.at < _UNTIL,
        _c.purpose == _OURS,
        # Who said nothing at first and something later is counted by what they said.
        ~and_(
            _c.outcome == literal_column(f"'{WaitTimeSmsStatus.NO_RESPONSE}'"),
            exists().where(
                _LATER.c.call_id == _c.call_id,
                _LATER.c.purpose == _OURS,
                _LATER.c.outcome.in_([_ALLOWED, _DENIED]),
            ),
        ),
    )
    .group_by(_c.queue, _c.language, _c.outcome)
)

_BEST: Final = (
    MessageStatus.FAILED,
    MessageStatus.UNDELIVERED,
    MessageStatus.UNKNOWN,
    MessageStatus.QUEUED,
    MessageStatus.SENDING,
    MessageStatus.UNSETTLED,
    MessageStatus.ACCEPTED,
    MessageStatus.SENT,
    MessageStatus.DELIVERED,
)
"""From worst to best: of a text that was sent once more the better of the two counts."""
_STEPS: Final = {
    MessageStatus.FAILED: ("failed",),
    MessageStatus.UNDELIVERED: ("sent", "failed"),
    MessageStatus.UNKNOWN: ("unknown",),
    MessageStatus.QUEUED: ("under_way",),
    MessageStatus.SENDING: ("under_way",),
    MessageStatus.UNSETTLED: ("under_way",),
    MessageStatus.ACCEPTED: ("sent",),
    MessageStatus.SENT: ("sent",),
    MessageStatus.DELIVERED: ("sent", "delivered"),
}


def _of_allowed(direction: Direction, purpose: Purpose) -> Any:  # noqa: ANN401 - a SQL expression
    """Texts of calls whose caller allowed the wait-time SMS, each beside that consent."""
    return and_(
        _m.created_at >= _SINCE,
        _m.created_at < _UNTIL,
        _m.direction == literal_column(f"'{direction}'"),
        _m.purpose == literal_column(f"'{purpose}'"),
        _c.call_id == _m.call_id,
        _c.purpose == _OURS,
        _c.outcome == _ALLOWED,
    )


def _became() -> Select[Any, Any, Any, int]:
    ranks = [(_m.status == literal_column(f"'{status}'"), rank) for rank, status in enumerate(_BEST)]
    best = (
        select(_c.queue, _c.language, _m.call_id, func.max(case(*ranks, else_=0)).label("best"))
        .where(_of_allowed(Direction.OUTBOUND, Purpose.WAIT_TIME_SMS))
        .group_by(_c.queue, _c.language, _m.call_id)
        .subquery()
    )
    places = (best.c.queue, best.c.language, best.c.best)
    return select(*places, func.count().label("callers")).group_by(*places)


_BECAME: Final = _became()
_REPLIED: Final = (
    select(_c.queue, _c.language, func.count(_m.call_id.distinct()).label("callers"))
    .where(_of_allowed(Direction.INBOUND, Purpose.REPLY))
    .group_by(_c.queue, _c.language)
)
_USAGE: Final = (
    select(calls.c.queue, calls.c.language, _m.direction, _m.purpose, func.count().label("texts"))
    .where(_m.created_at >= _SINCE, _m.created_at < _UNTIL, calls.c.id == _m.call_id)
    .group_by(calls.c.queue, calls.c.language, _m.direction, _m.purpose)
)


class _Offer(msgspec.Struct):
    """What the counted events have in common."""

    queue: str = ""
    language: str = ""
    round: int = 0
    reason: str = ""
    purpose: str = Purpose.WAIT_TIME_SMS


_offer: Final = msgspec.json.Decoder(_Offer).decode


class SmsReportTable:
    """``ports.SmsReports``."""

    __slots__ = ("_db",)

    def __init__(self, db: Statements) -> None:
        self._db = db

    def funnel(self, since: datetime, until: datetime) -> dict[Place, Funnel]:
        span: Values = {"since": since, "until": until}
        counts: dict[Place, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        reasons: dict[Place, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._db.write_later()
        for row in self._db.rows(_OFFERS, span):
            offer = _offer(row.data)
            place = offer.queue, offer.language
            if row.kind == "consent_asked":
                counts[place]["rounds"] += row.rounds
                counts[place]["offered"] += row.callers if offer.round == 1 else 0
            elif row.kind == "consent_not_offered":
                reasons[place][offer.reason] += row.callers
            elif offer.purpose == Purpose.WAIT_TIME_SMS:
                counts[place]["withheld"] += row.callers
        for row in self._db.rows(_SAID, span):
            counts[row.queue, row.language][row.outcome] += row.callers
        for row in self._db.rows(_BECAME, span):
            for step in _STEPS[_BEST[row.best]]:
                counts[row.queue, row.language][step] += row.callers
        for row in self._db.rows(_REPLIED, span):
            counts[row.queue, row.language]["replied"] += row.callers
        return {
            place: Funnel(**counts[place], not_offered=dict(reasons[place]))
            for place in sorted(counts.keys() | reasons.keys())
        }

    def usage(self, since: datetime, until: datetime) -> dict[Place, Usage]:
        purposes: dict[Place, dict[str, int]] = defaultdict(dict)
        ways: dict[Place, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for row in self._db.rows(_USAGE, {"since": since, "until": until}):
            place = row.queue, row.language
            purposes[place][row.purpose] = purposes[place].get(row.purpose, 0) + row.texts
            ways[place][row.direction] += row.texts
        return {
            place: Usage(
                inbound=way[Direction.INBOUND], outbound=way[Direction.OUTBOUND], purposes=purposes[place]
            )
            for place, way in sorted(ways.items())
        }
