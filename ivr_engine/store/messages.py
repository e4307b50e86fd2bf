"""Messages as rows. Their media travel in the row: they are never read without it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import Row, Select, and_, bindparam, false, func, or_, select, true, union_all

from ivr_engine.domain.messages import Direction, Media, MediaStatus, Message, MessageStatus, Urgency
from ivr_engine.domain.records import differing
from ivr_engine.errors import Refused
from ivr_engine.store.connection import Statements
from ivr_engine.store.tables import HAS_PENDING_MEDIA, IS_DUE_LATER, IS_READY, messages

_c: Final = messages.c
_ALL: Final = select(*(column for column in _c if column.name not in ("media_pending", "ready")))

_INSERT: Final = messages.insert()
_UPDATE: Final = messages.update().where(_c.id == bindparam("key"))
_GET: Final = _ALL.where(_c.id == bindparam("key"))
_BY_PROVIDER: Final = _ALL.where(
    _c.provider == bindparam("provider"), _c.provider_id == bindparam("provider_id")
)
_IS_THERE: Final = select(_c.id).where(
    _c.provider == bindparam("provider"), _c.provider_id == bindparam("provider_id")
)


@lru_cache
def _due(statuses: frozenset[MessageStatus]) -> Select[Any]:
    """Each set of ``statuses`` has its own statement, so that it can be prepared."""
    # Without coalesce SQLite takes the index of the statuses and reads every message accepted so far.
    status = func.coalesce(_c.status, "")
    return (
        _ALL.where(
            IS_DUE_LATER,
            _c.next_attempt_at <= bindparam("now"),
            _c.direction == Direction.OUTBOUND.value,
            or_(false(), *(status == one.value for one in sorted(statuses))),
        )
        .order_by(_c.next_attempt_at, _c.created_at, _c.id)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
    )


_MAKE_READY: Final = (
    messages.update()
    .where(
        _c.id.in_(
            select(_c.id)
            .where(
                IS_DUE_LATER,
                _c.next_attempt_at <= bindparam("now"),
                _c.direction == Direction.OUTBOUND.value,
                func.coalesce(_c.status, "") == MessageStatus.QUEUED.value,
            )
            .order_by(_c.next_attempt_at, _c.created_at, _c.id)
            .limit(bindparam("limit"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(ready=true(), updated_at=bindparam("now"))
)


def _each_sender() -> Select[Any]:
    """Of what is ready, from one sender to the next by the index: there may be thousands of messages, and
    senders are few."""
    first = select(func.min(_c.sender).label("sender")).where(IS_READY).cte("each_sender", recursive=True)
    after = select(func.min(_c.sender)).where(IS_READY, _c.sender > first.c.sender).scalar_subquery()
    each = first.union_all(select(after).where(first.c.sender.is_not(None)))
    return select(each.c.sender).where(each.c.sender.is_not(None))


_SENDERS: Final = _each_sender()
_TO_SEND: Final = (
    _ALL.where(IS_READY, _c.sender == bindparam("sender"))
    .order_by(_c.turn, _c.urgency, _c.created_at, _c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_LEFT_IN_SENDING: Final = (
    _ALL.where(_c.status == MessageStatus.SENDING.value, _c.engine == bindparam("engine"))
    .order_by(_c.created_at, _c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_LAST_OF_STREAM: Final = (
    _ALL.where(_c.stream == bindparam("stream")).order_by(_c.stream.desc(), _c.turn.desc()).limit(1)
)
_PENDING_MEDIA: Final = _ALL.where(HAS_PENDING_MEDIA).order_by(_c.created_at, _c.id).limit(bindparam("limit"))
_OF_CALL: Final = _ALL.where(_c.call_id == bindparam("call")).order_by(_c.created_at, _c.id)
_LAST_TO: Final = (
    _ALL.where(
        _c.recipient == bindparam("number"),
        # Likewise: our own number stands in half of all messages, so the other's index is to be taken.
        func.coalesce(_c.sender, "") == bindparam("sender"),
        _c.direction == bindparam("direction"),
        _c.call_id.is_not(None),
    )
    .order_by(_c.created_at.desc(), _c.id.desc())
    .limit(1)
)
_LAST_SENDER: Final = (
    select(_c.sender)
    .where(
        _c.recipient == bindparam("number"),
        _c.direction == bindparam("direction"),
        # Likewise.
        func.coalesce(_c.sender, "").in_(bindparam("among", expanding=True)),
    )
    .order_by(_c.created_at.desc(), _c.id.desc())
    .limit(1)
)
_EXCHANGED: Final = (
    select(_c.call_id, _c.direction, func.count().label("messages"))
    .where(_c.call_id.in_(bindparam("calls", expanding=True)))
    .group_by(_c.call_id, _c.direction)
)
_COUNT: Final = select(func.count().label("messages"))
_SENT: Final = _COUNT.where(_c.sender == bindparam("number"), _c.created_at >= bindparam("since"))
_CAME: Final = _COUNT.where(_c.recipient == bindparam("number"), _c.created_at >= bindparam("since"))


def _newest(*conditions: Any) -> Select[Any]:  # noqa: ANN401 - SQL expressions
    return _ALL.where(*conditions).order_by(_c.created_at.desc(), _c.id.desc()).limit(bindparam("limit"))


def _of_number(*conditions: Any) -> Select[Any]:  # noqa: ANN401 - SQL expressions
    """Each side by its own index and cut to ``limit``, then the two merged: our own number stands in
    every message, and a plain OR would sort them all."""
    received = _newest(_c.recipient == bindparam("number"), *conditions).subquery()
    sent = _newest(
        and_(_c.sender == bindparam("number"), _c.recipient != bindparam("number")), *conditions
    ).subquery()
    both = union_all(select(received), select(sent)).subquery()
    return select(both).order_by(both.c.created_at.desc(), both.c.id.desc()).limit(bindparam("limit"))


_WITH_STATUS: Final = _c.status == bindparam("status")
_SEARCH: Final = {
    (False, False): _newest(),
    (False, True): _newest(_WITH_STATUS),
    (True, False): _of_number(),
    (True, True): _of_number(_WITH_STATUS),
}

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(tuple[Media, ...]).decode


class MessageTable:
    """``ports.Messages``. Of a message that this transaction read (and so locked) only what changed
    is written back."""

    __slots__ = ("_db", "_locked")

    def __init__(self, db: Statements) -> None:
        self._db = db
        self._locked: dict[str, Message] = {}

    def get(self, message_id: str) -> Message:
        row = self._db.row(_GET, {"key": message_id}, lock=True)
        if row is None:
            raise Refused(f"no message {message_id}", missing=True)
        return self._remembered(_message(row))

    def by_provider_id(self, provider: str, provider_id: str) -> Message | None:
        message = self._one(_BY_PROVIDER, {"provider": provider, "provider_id": provider_id}, lock=True)
        return None if message is None else self._remembered(message)

    def add(self, message: Message) -> bool:
        if message.provider_id is not None:
            name = {"provider": message.provider, "provider_id": message.provider_id}
            if self._db.row(_IS_THERE, name) is not None:
                return False
        self._db.write(_INSERT, self._values(message))
        self._remembered(message)
        return True

    def save(self, message: Message) -> None:
        before = self._locked.get(message.id)
        values = self._values(message, before)
        if values and not self._db.write(_UPDATE, {"key": message.id, **values}):
            raise Refused(f"no message {message.id}", missing=True)
        self._remembered(message)

    def due(self, now: datetime, statuses: frozenset[MessageStatus], limit: int) -> list[Message]:
        """The longest due first."""
        found = self._many(_due(statuses), {"now": now, "limit": limit})
        return [self._remembered(message) for message in found]

    def make_ready(self, now: datetime, limit: int) -> int:
        return self._db.write(_MAKE_READY, {"now": now, "limit": limit})

    def senders_waiting(self) -> list[str]:
        return [row.sender for row in self._db.rows(_SENDERS)]

    def to_send(self, sender: str, limit: int) -> list[Message]:
        found = self._many(_TO_SEND, {"sender": sender, "limit": limit})
        return [self._remembered(message) for message in found]

    def left_in_sending(self, engine: str, limit: int) -> list[Message]:
        found = self._many(_LEFT_IN_SENDING, {"engine": engine, "limit": limit})
        return [self._remembered(message) for message in found]

    def last_of_stream(self, stream: str) -> Message | None:
        return self._one(_LAST_OF_STREAM, {"stream": stream})

    def with_pending_media(self, limit: int) -> list[Message]:
        """Oldest first."""
        return self._many(_PENDING_MEDIA, {"limit": limit})

    def of_call(self, call_id: str) -> list[Message]:
        return self._many(_OF_CALL, {"call": call_id})

    def exchanged(self, call_ids: Collection[str]) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for row in self._db.rows(_EXCHANGED, {"calls": sorted(call_ids)}):
            sent, received = found.get(row.call_id, (0, 0))
            ours = row.direction == Direction.OUTBOUND
            found[row.call_id] = (row.messages, received) if ours else (sent, row.messages)
        return found

    def last_outbound_to(self, number: str, sender: str) -> Message | None:
        values = {"number": number, "sender": sender, "direction": Direction.OUTBOUND.value}
        return self._one(_LAST_TO, values)

    def last_sender_to(self, number: str, among: Collection[str]) -> str | None:
        values = {"number": number, "among": sorted(among), "direction": Direction.OUTBOUND.value}
        row = self._db.row(_LAST_SENDER, values)
        return None if row is None else row.sender

    def carried(self, number: str, since: datetime) -> tuple[int, int]:
        values = {"number": number, "since": since}
        return self._db.scalar(_SENT, values), self._db.scalar(_CAME, values)

    def search(
        self, *, number: str | None = None, status: MessageStatus | None = None, limit: int = 100
    ) -> list[Message]:
        statement = _SEARCH[number is not None, status is not None]
        values = {"number": number, "status": status and status.value, "limit": limit}
        return self._many(statement, values)

    def _remembered(self, message: Message) -> Message:
        self._locked[message.id] = message
        return message

    def _values(self, message: Message, before: Message | None = None) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in differing(message, before):
            if name == "media":
                values["media"] = self._db.json(_encode, message.media) if message.media else None
                values["media_pending"] = any(one.status is MediaStatus.PENDING for one in message.media)
            else:
                values[name] = value.value if isinstance(value, Enum) else value
        if before is None or message.ready is not before.ready:
            values["ready"] = message.ready
        return values

    def _one(
        self, statement: Select[Any], values: Mapping[str, Any], *, lock: bool = False
    ) -> Message | None:
        row = self._db.row(statement, values, lock=lock)
        return None if row is None else _message(row)

    def _many(
        self, statement: Select[Any], values: Mapping[str, Any], *, lock: bool = False
    ) -> list[Message]:
        return [_message(row) for row in self._db.rows(statement, values, lock=lock)]


def _message(row: Row[Any]) -> Message:
    return Message(
        id=row.id,
        direction=Direction(row.direction),
        sender=row.sender,
        recipient=row.recipient,
        text=row.text,
        status=MessageStatus(row.status),
        provider=row.provider,
        purpose=row.purpose,
        created_at=row.created_at,
        updated_at=row.updated_at,
        media=_decode(row.media) if row.media else (),
        provider_id=row.provider_id,
        call_id=row.call_id,
        ticket_id=row.ticket_id,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        error_code=row.error_code,
        retry_of=row.retry_of,
        urgency=Urgency(row.urgency),
        stream=row.stream,
        turn=row.turn,
        valid_until=row.valid_until,
        engine=row.engine,
    )
