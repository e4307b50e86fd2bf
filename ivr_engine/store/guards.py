"""Triggers that keep proofs as they were written, whoever writes SQL.

A consent and an opt-out are added and stay. Allowed is: to make the number unreadable, once; to end an
opt-out, once; to delete consents older than ``ledger_gate`` says, which is empty but within the transaction
that does. ``erased:`` is ``opt_outs.PSEUDONYM``.

Here as SQLite has them in the newest schema, as ``tables`` has the rest of it; the migrations make them, for
PostgreSQL too.
"""

from __future__ import annotations

from typing import Final

_PROOF: Final = (
    *("id", "at", "call_id", "queue", "language", "wording", "wording_version", "audio_hash", "key"),
    *("outcome", "purpose", "how", "actor"),
)
_SAID: Final = ("id", "since", "how", "wording", "actor", "language")
_RESUMED: Final = ("resumed_at", "resumed_how", "resumed_wording", "resumed_actor")


def _unchanged(columns: tuple[str, ...]) -> str:
    return " AND ".join(f'NEW."{column}" IS OLD."{column}"' for column in columns)


_RENAMED: Final = "OLD.number NOT LIKE 'erased:%' AND NEW.number LIKE 'erased:%'"
GUARDS: Final = (
    f"""CREATE TRIGGER consents_stay BEFORE UPDATE ON consents
        WHEN NOT ({_RENAMED} AND {_unchanged(_PROOF)})
        BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END""",
    """CREATE TRIGGER consents_are_kept BEFORE DELETE ON consents
        WHEN OLD.at >= coalesce((SELECT consents_before FROM ledger_gate), '')
        BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END""",
    f"""CREATE TRIGGER opt_outs_stay BEFORE UPDATE ON opt_outs
        WHEN NOT ({_unchanged(_SAID)}) OR NOT (
            ({_RENAMED} AND {_unchanged(_RESUMED)}) OR (OLD.resumed_at IS NULL AND NEW.number IS OLD.number))
        BEGIN SELECT RAISE(ABORT, 'the opt-out list is append-only'); END""",
    """CREATE TRIGGER opt_outs_are_kept BEFORE DELETE ON opt_outs
        BEGIN SELECT RAISE(ABORT, 'the opt-out list is append-only'); END""",
)
