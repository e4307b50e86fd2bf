"""Triggers that keep proofs as they were written, whoever writes SQL.

A consent and an opt-out are added and stay. Allowed is: to make the number unreadable, once; to end an
opt-out, once; to delete consents older than ``ledger_gate`` says, which is empty but within the transaction
that does. ``erased:`` is ``opt_outs.PSEUDONYM``.
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
GUARDS: Final = {
    # Proofs stay as they were written. A number may be made unreadable; consents that the gate names may go.
    "sqlite": (
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
    ),
    "postgresql": (
        """CREATE OR REPLACE FUNCTION consents_stay() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND OLD.number NOT LIKE 'erased:%' AND NEW.number LIKE 'erased:%'
                AND to_jsonb(NEW) - 'number' = to_jsonb(OLD) - 'number' THEN RETURN NEW; END IF;
            IF TG_OP = 'DELETE' AND OLD.at < coalesce(
                (SELECT consents_before FROM ledger_gate), '-infinity') THEN RETURN OLD; END IF;
            RAISE EXCEPTION 'the consent ledger is append-only'
                USING ERRCODE = '23000', CONSTRAINT = 'the consent ledger is append-only';
        END $$""",
        """CREATE TRIGGER consents_stay BEFORE UPDATE OR DELETE ON consents
        FOR EACH ROW EXECUTE FUNCTION consents_stay()""",
        f"""CREATE OR REPLACE FUNCTION opt_outs_stay() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND {_RENAMED}
                AND to_jsonb(NEW) - 'number' = to_jsonb(OLD) - 'number' THEN RETURN NEW; END IF;
            IF TG_OP = 'UPDATE' AND OLD.resumed_at IS NULL
                AND to_jsonb(NEW) - '{{{",".join(_RESUMED)}}}'::text[]
                    = to_jsonb(OLD) - '{{{",".join(_RESUMED)}}}'::text[] THEN RETURN NEW; END IF;
            RAISE EXCEPTION 'the opt-out list is append-only'
                USING ERRCODE = '23000', CONSTRAINT = 'the opt-out list is append-only';
        END $$""",
        """CREATE TRIGGER opt_outs_stay BEFORE UPDATE OR DELETE ON opt_outs
        FOR EACH ROW EXECUTE FUNCTION opt_outs_stay()""",
        """CREATE OR REPLACE FUNCTION proofs_stay() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'consents and opt-outs are append-only'
                USING ERRCODE = '23000', CONSTRAINT = 'consents and opt-outs are append-only';
        END $$""",
        """CREATE TRIGGER consents_are_kept BEFORE TRUNCATE ON consents
        FOR EACH STATEMENT EXECUTE FUNCTION proofs_stay()""",
        """CREATE TRIGGER opt_outs_are_kept BEFORE TRUNCATE ON opt_outs
        FOR EACH STATEMENT EXECUTE FUNCTION proofs_stay()""",
    ),
}
