"""The simulator's memory: every message it accepted, once, in a SQLite file of its own.

This is the oracle of the tests: what a real provider would have charged for. It is separate from the
engine's store on purpose, and it survives a killed simulator: each method is one transaction, and in WAL
mode a finished transaction outlives the process. Blocking; the server runs it on a thread of its own.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    direction TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    text TEXT NOT NULL,
    status TEXT NOT NULL,
    error_code TEXT,
    reference TEXT,
    status_url TEXT,
    created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_reference ON messages (reference);
CREATE INDEX IF NOT EXISTS messages_recipient ON messages (recipient);
CREATE TABLE IF NOT EXISTS media (
    id TEXT PRIMARY KEY,
    message_id TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS media_message ON media (message_id);
"""

FINAL_STATUSES: Final = frozenset({"delivered", "undelivered", "received"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One accepted message. ``direction`` is seen from the engine: ``outbound`` goes to a phone.
    ``created_at`` in seconds since 1970; ``media``: (id, content type) pairs."""

    seq: int
    id: str
    direction: str
    sender: str
    recipient: str
    text: str
    status: str
    error_code: str | None
    reference: str | None
    status_url: str | None
    created_at: float
    media: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a listing is narrowed to; ``after`` is the ``seq`` of the last entry of the page before."""

    sender: str | None = None
    recipient: str | None = None
    direction: str | None = None
    reference: str | None = None
    since: float | None = None
    after: int = 0
    limit: int = 100


class Ledger:
    """``path`` is made if missing. To be used from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def accept(
        self,
        *,
        sender: str,
        recipient: str,
        text: str,
        reference: str | None,
        status_url: str | None,
        media: Sequence[tuple[str, bytes]] = (),
    ) -> Entry:
        """An outbound message: from here on it is the provider's. ``media``: (type, content) pairs."""
        entry_id = f"SM{secrets.token_hex(16)}"
        if not media:
            self._insert(entry_id, "outbound", sender, recipient, text, "queued", reference, status_url)
            return self.get(entry_id)
        with self._whole():
            self._insert(entry_id, "outbound", sender, recipient, text, "queued", reference, status_url)
            self._enclose(entry_id, media)
        return self.get(entry_id)

    def receive(self, *, sender: str, recipient: str, text: str, media: Sequence[tuple[str, bytes]]) -> Entry:
        """A text from a phone; ``media``: (content type, content) pairs."""
        entry_id = f"SM{secrets.token_hex(16)}"
        with self._whole():
            self._insert(entry_id, "inbound", sender, recipient, text, "received", None, None)
            self._enclose(entry_id, media)
        return self.get(entry_id)

    @contextmanager
    def _whole(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _enclose(self, entry_id: str, media: Sequence[tuple[str, bytes]]) -> None:
        self._db.executemany(
            "INSERT INTO media (id, message_id, content_type, content) VALUES (?, ?, ?, ?)",
            [(f"ME{secrets.token_hex(16)}", entry_id, kind, content) for kind, content in media],
        )

    def set_status(self, entry_id: str, status: str, error_code: str | None) -> None:
        self._db.execute(
            "UPDATE messages SET status = ?, error_code = ? WHERE id = ?", (status, error_code, entry_id)
        )

    def get(self, entry_id: str) -> Entry:
        """``KeyError`` when there is none."""
        row = self._db.execute("SELECT * FROM messages WHERE id = ?", (entry_id,)).fetchone()
        if row is None:
            raise KeyError(entry_id)
        return self._entry(row)

    def find(self, wanted: Wanted) -> list[Entry]:
        """Oldest first, at most ``wanted.limit``."""
        rows = self._db.execute(
            """SELECT * FROM messages WHERE seq > :after
               AND (:sender IS NULL OR sender = :sender)
               AND (:recipient IS NULL OR recipient = :recipient)
               AND (:direction IS NULL OR direction = :direction)
               AND (:reference IS NULL OR reference = :reference)
               AND (:since IS NULL OR created_at >= :since)
               ORDER BY seq LIMIT :limit""",
            {
                "after": wanted.after,
                "sender": wanted.sender,
                "recipient": wanted.recipient,
                "direction": wanted.direction,
                "reference": wanted.reference,
                "since": wanted.since,
                "limit": wanted.limit,
            },
        ).fetchall()
        return [self._entry(row) for row in rows]

    def unfinished(self) -> list[Entry]:
        """Outbound messages whose delivery a killed simulator left half done."""
        rows = self._db.execute(
            "SELECT * FROM messages WHERE direction = 'outbound' AND status IN ('queued', 'sent')"
            " ORDER BY seq"
        ).fetchall()
        return [self._entry(row) for row in rows]

    def last_sender_to(self, number: str) -> str | None:
        """Who wrote to ``number`` last: whom its owner answers."""
        row = self._db.execute(
            "SELECT sender FROM messages WHERE direction = 'outbound' AND recipient = ? ORDER BY seq DESC",
            (number,),
        ).fetchone()
        return None if row is None else str(row["sender"])

    def media(self, media_id: str) -> tuple[str, bytes] | None:
        """(content type, content)"""
        row = self._db.execute("SELECT content_type, content FROM media WHERE id = ?", (media_id,)).fetchone()
        return None if row is None else (str(row["content_type"]), bytes(row["content"]))

    def _insert(
        self,
        entry_id: str,
        direction: str,
        sender: str,
        recipient: str,
        text: str,
        status: str,
        reference: str | None,
        status_url: str | None,
    ) -> None:
        self._db.execute(
            """INSERT INTO messages
               (id, direction, sender, recipient, text, status, reference, status_url, created_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (entry_id, direction, sender, recipient, text, status, reference, status_url, time.time()),
        )

    def _entry(self, row: sqlite3.Row) -> Entry:
        found = self._db.execute(
            "SELECT id, content_type FROM media WHERE message_id = ? ORDER BY rowid", (row["id"],)
        ).fetchall()
        media = tuple((str(m["id"]), str(m["content_type"])) for m in found)
        return Entry(**dict(row), media=media)
