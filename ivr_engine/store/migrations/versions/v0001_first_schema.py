"""The first schema."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _where(sqlite: str, postgresql: str | None = None) -> dict[str, Any]:
    return {"sqlite_where": sa.text(sqlite), "postgresql_where": sa.text(postgresql or sqlite)}


_PROOF: Final = (
    *("id", "at", "call_id", "queue", "language", "wording", "wording_version", "audio_hash", "key"),
    *("outcome", "purpose", "how", "actor"),
)
_SAID: Final = ("id", "since", "how", "wording", "actor", "language")
_RESUMED: Final = ("resumed_at", "resumed_how", "resumed_wording", "resumed_actor")


def _unchanged(columns: tuple[str, ...]) -> str:
    return " AND ".join(f'NEW."{column}" IS OLD."{column}"' for column in columns)


_RENAMED: Final = "OLD.number NOT LIKE 'erased:%' AND NEW.number LIKE 'erased:%'"
_GUARDS: Final = {
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
"""The triggers that keep proofs as they were written, by the kind of database."""


def upgrade() -> None:
    op.create_table(
        "agents",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("state", _NAME, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("until", _TIME),
        sa.Column("call_id", _NAME),
        sa.Column("reason", _NAME),
        sa.Column("queue", _NAME, comment="of the contact offered, at hand or being wrapped up"),
        sa.Column("last_call_id", _NAME),
        sa.Column("reason_required", sa.Boolean(), nullable=False, comment="of the wrap-up"),
        sa.Column("idle_since", _TIME),
        sa.Column("taken", sa.Integer(), nullable=False, comment="calls answered in this shift"),
        sa.Column("next_break", _NAME, comment="the break that begins when the contact is over"),
        sa.Column("rona_next", _NAME),
        sa.Column("sessions", sa.Text(), comment="JSON: SMS sessions, and whether they are accepted"),
        sa.PrimaryKeyConstraint("name", name="pk_agents"),
    )
    op.create_table(
        "calls",
        sa.Column("id", _NAME, nullable=False),
        sa.Column("engine", _NAME, nullable=False),
        sa.Column("channel_id", _NAME, nullable=False),
        sa.Column("caller", _NAME),
        sa.Column("number", _NAME, nullable=False),
        sa.Column("queue", _NAME, nullable=False),
        sa.Column("language", _NAME, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("chapter", _NAME, nullable=False),
        sa.Column("consent_status", _NAME),
        sa.Column("consent_rounds", sa.Integer(), nullable=False),
        sa.Column("consent_wrong_keys", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("recording_answer", _NAME, comment="what the caller was told, or said, about recordings"),
        sa.Column("over_capacity", sa.Boolean(), nullable=False),
        sa.Column("entered_at", _TIME),
        sa.Column("next_announcement_at", _TIME),
        sa.Column("agent", _NAME),
        sa.Column("offer_id", _NAME),
        sa.Column("offer_ends_at", _TIME),
        sa.Column("ticket_id", _NAME),
        sa.Column("answered_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("end_reason", _NAME),
        sa.Column("flow", _NAME),
        sa.Column("node", _NAME),
        sa.Column("visit", sa.Text(), comment="JSON: flow, node, what was counted there, variables"),
        sa.Column(
            "routing", sa.Text(), comment="JSON: skills required, since when in its queue, preferred agent"
        ),
        sa.Column("last_words", _NAME, comment="the prompt said before the hang-up"),
        sa.Column("callback", sa.Text(), comment="JSON: the number, tries, until when"),
        sa.Column("talk", sa.Text(), comment="JSON: hold, mute, who else is there, what is recorded"),
        sa.Column("stay", sa.Text(), comment="JSON: announcements so far, over capacity"),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("line", _NAME, comment="the queue it holds a place in, if any"),
        sa.Column("place_at", _TIME, nullable=False, comment="since when its place counts"),
        sa.Column("calls_back", _NAME, comment="the number, while it is to be called back"),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
    )
    op.create_index("ix_calls_caller_started_at", "calls", ["caller", "started_at"])
    op.create_index("ix_calls_back", "calls", ["calls_back"], **_where("calls_back IS NOT NULL"))
    op.create_index(
        "ix_calls_line", "calls", ["line", "priority", "place_at", "id"], **_where("line IS NOT NULL")
    )
    op.create_index(
        "ix_calls_open", "calls", ["started_at", "id"], **_where("is_open IS 1", "is_open IS true")
    )
    op.create_index(
        "ix_calls_open_queue",
        "calls",
        ["queue", "started_at", "id"],
        **_where("is_open IS 1", "is_open IS true"),
    )
    op.create_index("ix_calls_started_at", "calls", ["started_at"])
    op.create_index("ix_calls_channel", "calls", ["channel_id"])
    op.create_index(
        "uq_calls_open_channel",
        "calls",
        ["channel_id"],
        unique=True,
        **_where("is_open IS 1", "is_open IS true"),
    )

    op.create_table(
        "callers",
        sa.Column("number", _NAME, nullable=False),
        sa.Column("language", _NAME, comment="chosen in an earlier call"),
        sa.Column("chosen_at", _TIME),
        sa.Column("agent", _NAME, comment="who spoke with this number last"),
        sa.Column("spoke_at", _TIME),
        sa.PrimaryKeyConstraint("number", name="pk_callers"),
    )
    op.create_table(
        "consents",
        sa.Column("id", _NAME, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("call_id", _NAME, nullable=False),
        sa.Column("number", _NAME, nullable=False),
        sa.Column("queue", _NAME, nullable=False),
        sa.Column("language", _NAME, nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("wording_version", _NAME, nullable=False),
        sa.Column("audio_hash", _NAME, nullable=False),
        sa.Column("key", _NAME),
        sa.Column("outcome", _NAME, nullable=False),
        sa.Column("purpose", _NAME, nullable=False, comment="what was asked"),
        sa.Column("how", _NAME, nullable=False, comment="by which way it was said"),
        sa.Column("actor", _NAME, comment="who said it, where not the caller in the call"),
        sa.PrimaryKeyConstraint("id", name="pk_consents"),
    )
    op.create_index("ix_consents_at_id", "consents", ["at", "id"])
    op.create_index("ix_consents_call_id", "consents", ["call_id"])
    op.create_index("ix_consents_number_at", "consents", ["number", "at"])

    op.create_table(
        "sms_counts",
        sa.Column("day", _NAME, nullable=False, comment="in UTC"),
        sa.Column("counter", _NAME, nullable=False, comment="a number, a prefix, or all together"),
        sa.Column("used", sa.Integer(), nullable=False, comment="SMS that callers had sent"),
        sa.Column("at", _TIME, nullable=False, comment="the last of them"),
        sa.PrimaryKeyConstraint("day", "counter", name="pk_sms_counts"),
    )
    op.create_table(
        "sms_numbers",
        sa.Column("number", _NAME, nullable=False),
        sa.Column("provider", _NAME, nullable=False, comment="another one has to be asked anew"),
        sa.Column("verified_at", _TIME),
        sa.Column("verified_by", sa.Text()),
        sa.Column("verified_how", _NAME),
        sa.Column("code", sa.Text(), comment="JSON: the hash of a code under way, until when, tries"),
        sa.Column("codes_at", sa.Text(), comment="JSON: when the last codes were sent"),
        sa.Column("trouble", sa.Text(), comment="what the provider said against it"),
        sa.PrimaryKeyConstraint("number", "provider", name="pk_sms_numbers"),
    )

    op.create_table(
        "opt_outs",
        sa.Column("id", _NAME, nullable=False),
        sa.Column("number", _NAME, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("how", _NAME, nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("language", _NAME, comment="of the confirmation"),
        sa.Column("resumed_at", _TIME, comment="none: it stands"),
        sa.Column("resumed_how", _NAME),
        sa.Column("resumed_wording", sa.Text()),
        sa.Column("resumed_actor", _NAME),
        sa.PrimaryKeyConstraint("id", name="pk_opt_outs"),
    )
    op.create_index(
        "uq_opt_outs_standing", "opt_outs", ["number"], unique=True, **_where("resumed_at IS NULL")
    )
    op.create_index("ix_opt_outs_number_since", "opt_outs", ["number", "since"])
    op.create_index("ix_opt_outs_since_id", "opt_outs", ["since", "id"])

    op.create_table(
        "erasures",
        sa.Column("id", _NAME, nullable=False),
        sa.Column("number", _NAME, nullable=False, comment="its pseudonym once it is done"),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("state", _NAME, nullable=False),
        sa.Column("deleted", sa.Text(), nullable=False, comment="JSON: how many of what"),
        sa.Column("waits_for", _NAME),
        sa.Column("done_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_index("ix_erasures_open", "erasures", ["at", "id"], **_where("done_at IS NULL"))

    op.create_table(
        "ledger_gate",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("consents_before", _TIME, nullable=False, comment="older ones may be deleted now"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_gate"),
    )
    for statement in _GUARDS[op.get_bind().dialect.name]:
        op.execute(statement)

    op.create_table(
        "recordings",
        sa.Column("id", _NAME, nullable=False, comment="its name in the telephone system"),
        sa.Column("engine", _NAME, nullable=False),
        sa.Column("call_id", _NAME, nullable=False),
        sa.Column("agent", _NAME, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("status", _NAME, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes"),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
    )
    op.create_index("ix_recordings_call_id", "recordings", ["call_id"])
    op.create_index(
        "ix_recordings_engine_status_started_at_id", "recordings", ["engine", "status", "started_at", "id"]
    )
    op.create_index("ix_recordings_status_started_at_id", "recordings", ["status", "started_at", "id"])

    op.create_table(
        "engines",
        sa.Column("name", _NAME, nullable=False, comment="the ARI application"),
        sa.Column("seen_at", _TIME, nullable=False, comment="its last sign of life"),
        sa.PrimaryKeyConstraint("name", name="pk_engines"),
    )
    op.create_table(
        "events",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("call_id", _NAME),
        sa.Column("kind", _NAME, nullable=False),
        sa.Column("data", sa.Text(), nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_call_id", "events", ["call_id", "id"], **_where("call_id IS NOT NULL"))
    op.create_index(
        "ix_events_offers",
        "events",
        ["at"],
        **_where("kind IN ('consent_asked', 'consent_not_offered', 'sms_withheld')"),
    )

    op.create_table(
        "messages",
        sa.Column("id", _NAME, nullable=False),
        sa.Column("direction", _NAME, nullable=False),
        sa.Column("sender", _NAME, nullable=False),
        sa.Column("recipient", _NAME, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("status", _NAME, nullable=False),
        sa.Column("provider", _NAME, nullable=False),
        sa.Column("purpose", _NAME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("media", sa.Text(), comment="JSON list; part of the message, never read without it"),
        sa.Column("media_pending", sa.Boolean(), nullable=False),
        sa.Column("provider_id", _NAME),
        sa.Column("call_id", _NAME),
        sa.Column("ticket_id", _NAME),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", _TIME),
        sa.Column("error_code", _NAME),
        sa.Column("retry_of", _NAME, comment="the message that this one is sent in place of"),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("stream", _NAME, comment="the conversation or campaign that it is of"),
        sa.Column("turn", sa.Float(), nullable=False, comment="its place among what waits at its sender"),
        sa.Column("valid_until", _TIME),
        sa.Column("engine", _NAME, comment="whose request to the provider it is or was"),
        sa.Column("ready", sa.Boolean(), nullable=False, comment="to be sent as soon as its sender may"),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("provider", "provider_id", name="uq_messages_provider_provider_id"),
    )
    op.create_index("ix_messages_call_id", "messages", ["call_id"], **_where("call_id IS NOT NULL"))
    op.create_index("ix_messages_created_at", "messages", ["created_at"])
    op.create_index(
        "ix_messages_due",
        "messages",
        ["next_attempt_at", "created_at", "id"],
        **_where(
            "next_attempt_at IS NOT NULL AND ready IS 0", "next_attempt_at IS NOT NULL AND ready IS false"
        ),
    )
    op.create_index(
        "ix_messages_ready",
        "messages",
        ["sender", "turn", "urgency", "created_at", "id"],
        **_where("ready IS 1", "ready IS true"),
    )
    op.create_index("ix_messages_stream", "messages", ["stream", "turn"], **_where("stream IS NOT NULL"))
    op.create_index("ix_messages_media", "messages", ["created_at"], **_where("media IS NOT NULL"))
    op.create_index(
        "ix_messages_pending_media",
        "messages",
        ["created_at", "id"],
        **_where("media_pending IS 1", "media_pending IS true"),
    )
    op.create_index("ix_messages_recipient_created_at", "messages", ["recipient", "created_at"])
    op.create_index("ix_messages_sender_created_at", "messages", ["sender", "created_at"])
    op.create_index("ix_messages_status_created_at", "messages", ["status", "created_at"])

    op.create_table(
        "sender_paces",
        sa.Column("sender", _NAME, nullable=False),
        sa.Column("free_at", _TIME, nullable=False, comment="when its next part may leave"),
        sa.Column(
            "turn", sa.Float(), nullable=False, comment="of what was sent last, callers' messages aside"
        ),
        sa.PrimaryKeyConstraint("sender", name="pk_sender_paces"),
    )
    op.create_table(
        "queue_turns",
        sa.Column("queue", _NAME, nullable=False),
        sa.Column("agent", _NAME, nullable=False, comment="who was offered its last call: for round robin"),
        sa.PrimaryKeyConstraint("queue", name="pk_queue_turns"),
    )
    op.create_table(
        "switches",
        sa.Column("queue", _NAME, nullable=False, comment="empty: all of them"),
        sa.Column("prompt", _NAME, nullable=False, comment="what callers hear"),
        sa.Column("since", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("queue", name="pk_switches"),
    )
    op.create_table(
        "store_checks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mark", _NAME, nullable=False, comment="what the last health check wrote"),
        sa.PrimaryKeyConstraint("id", name="pk_store_checks"),
    )
    op.create_table(
        "tickets",
        sa.Column("id", _NAME, nullable=False),
        sa.Column("call_id", _NAME, nullable=False),
        sa.Column("caller", _NAME),
        sa.Column("queue", _NAME, nullable=False),
        sa.Column("agent", _NAME),
        sa.Column("language", _NAME, nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("contact_id", _NAME),
        sa.Column("candidates", sa.Text(), comment="JSON: the contacts of whom one is to be chosen"),
        sa.PrimaryKeyConstraint("id", name="pk_tickets"),
    )
    op.create_index("ix_tickets_caller_opened_at", "tickets", ["caller", "opened_at"])
    op.create_index("ix_tickets_opened_at", "tickets", ["opened_at"])
    op.create_index("ix_tickets_contact", "tickets", ["contact_id"], **_where("contact_id IS NOT NULL"))

    op.create_table(
        "ticket_comments",
        sa.Column("serial", _SERIAL, nullable=False, comment="the order they were added in"),
        sa.Column("id", _NAME, nullable=False),
        sa.Column("ticket_id", _NAME, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("author", _NAME, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("source_id", _NAME),
        sa.PrimaryKeyConstraint("serial", name="pk_ticket_comments"),
        sa.UniqueConstraint("id", name="uq_ticket_comments_id"),
        sa.UniqueConstraint("ticket_id", "source_id", name="uq_ticket_comments_ticket_id_source_id"),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name="fk_ticket_comments_ticket_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "ticket_files",
        sa.Column("serial", _SERIAL, nullable=False, comment="the order they were added in"),
        sa.Column("id", _NAME, nullable=False),
        sa.Column("ticket_id", _NAME, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("file", _NAME, nullable=False),
        sa.Column("content_type", _NAME, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("source_id", _NAME),
        sa.PrimaryKeyConstraint("serial", name="pk_ticket_files"),
        sa.UniqueConstraint("id", name="uq_ticket_files_id"),
        sa.UniqueConstraint("ticket_id", "source_id", name="uq_ticket_files_ticket_id_source_id"),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name="fk_ticket_files_ticket_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_ticket_files_at", "ticket_files", ["at"])

    op.create_table(
        "contacts",
        sa.Column("id", _NAME, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", _NAME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contacts"),
    )
    op.create_index("ix_contacts_updated_at_id", "contacts", ["updated_at", "id"])
    op.create_table(
        "contact_numbers",
        sa.Column("contact_id", _NAME, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False, comment="the order they were added in"),
        sa.Column("number", _NAME, nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "place", name="pk_contact_numbers"),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_contact_numbers_contact_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_contact_numbers_number_contact_id", "contact_numbers", ["number", "contact_id"])
    op.create_table(
        "contact_externals",
        sa.Column("contact_id", _NAME, nullable=False),
        sa.Column("system", _NAME, nullable=False),
        sa.Column("external_id", _NAME, nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "system", name="pk_contact_externals"),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_contact_externals_contact_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_contact_externals_system_external_id", "contact_externals", ["system", "external_id"])

    op.create_table(
        "crm_cursors",
        sa.Column("adapter", _NAME, nullable=False),
        sa.Column(
            "through",
            sa.BigInteger(),
            nullable=False,
            comment="the last event of which it has been seen to",
        ),
        sa.PrimaryKeyConstraint("adapter", name="pk_crm_cursors"),
    )
    op.create_table(
        "crm_deliveries",
        sa.Column("serial", _SERIAL, nullable=False, comment="the order they happened in"),
        sa.Column("adapter", _NAME, nullable=False),
        sa.Column("id", _NAME, nullable=False, comment="the same at every try"),
        sa.Column("call_id", _NAME, nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", _NAME, nullable=False),
        sa.Column("subject", _NAME, nullable=False, comment="the message, picture or contact it is about"),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", _TIME, comment="none: given up"),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("serial", name="pk_crm_deliveries"),
    )
    waits = _where("next_attempt_at IS NOT NULL")
    op.create_index(
        "ix_crm_deliveries_due", "crm_deliveries", ["adapter", "next_attempt_at", "serial"], **waits
    )
    op.create_index("ix_crm_deliveries_of_call", "crm_deliveries", ["adapter", "call_id", "serial"], **waits)
    op.create_index("ix_crm_deliveries_oldest", "crm_deliveries", ["adapter", "at"], **waits)
    op.create_index(
        "ix_crm_deliveries_dead",
        "crm_deliveries",
        ["adapter", "serial"],
        **_where("next_attempt_at IS NULL"),
    )
    op.create_table(
        "leases",
        sa.Column("name", _NAME, nullable=False, comment="what only one engine may do at a time"),
        sa.Column("holder", _NAME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )

    op.create_table(
        "voicemails",
        sa.Column("id", _NAME, nullable=False, comment="the recording's name in the telephone system"),
        sa.Column("engine", _NAME, nullable=False),
        sa.Column("call_id", _NAME, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column(
            "kept", sa.Boolean(), nullable=False, comment="fetched: to be deleted in the telephone system"
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_voicemails"),
    )

    op.create_table(
        "wait_watch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="JSON: the wait estimates, through which event"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_wait_watch"),
    )


def downgrade() -> None:
    for table in (
        "wait_watch",
        "voicemails",
        "leases",
        "crm_deliveries",
        "crm_cursors",
        "contact_externals",
        "contact_numbers",
        "contacts",
        "ticket_files",
        "ticket_comments",
        "tickets",
        "store_checks",
        "switches",
        "sms_numbers",
        "sms_counts",
        "queue_turns",
        "messages",
        "events",
        "engines",
        "recordings",
        "ledger_gate",
        "erasures",
        "opt_outs",
        "consents",
        "calls",
        "callers",
        "agents",
    ):
        op.drop_table(table)
