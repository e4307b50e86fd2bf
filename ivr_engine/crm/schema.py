"""The JSON Schema of what goes to other systems, for those who build them."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from ivr_engine.crm.bodies import Body, KnownContacts, NumberAsked


def document() -> dict[str, Any]:
    """One schema: ``$defs`` has each body by its name."""
    _, schema = models_json_schema(
        [(Body, "serialization"), (NumberAsked, "serialization"), (KnownContacts, "validation")],
        title="Signed requests of ivr-engine",
        description="Body: what a webhook is sent. NumberAsked and KnownContacts: question and answer of a "
        "contact look-up.",
    )
    return schema
