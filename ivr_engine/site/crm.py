"""Other systems that are told about conversations, and one that knows whose a number is."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from ivr_engine.domain.crm import Topic
from ivr_engine.site.values import Name, PositiveSeconds, Settings, TokenVariable

WEBHOOK_PATTERN: Final = (
    r"^https?://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?"
    r"(/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,500})?$"
)

WebhookUrl = Annotated[str, Field(pattern=WEBHOOK_PATTERN)]
Deadline = Annotated[PositiveSeconds, Field(le=30)]


class Reached(Settings):
    """An address of somebody else's."""

    url: WebhookUrl
    """https; http only where ``network`` is ``loopback``."""
    network: Literal["public", "private", "loopback"] = "public"
    """Where that address may lead. ``public``: the internet; ``private``: the own network too; ``loopback``:
    this machine alone. Whatever else a name resolves to is not connected to."""
    secret_from: TokenVariable
    """The environment variable that holds the secret which requests are signed with; or the one with
    ``_FILE`` behind its name, the file with it."""


class Webhook(Reached):
    """Gets a signed request for whatever happens."""

    events: Annotated[frozenset[Topic], Field(min_length=1)] = frozenset(Topic)
    """What it is told; not given: everything."""
    deadline: Deadline = 10.0
    """Seconds it has for an answer."""


class ContactLookupSettings(Reached):
    """Asked whose a number is, once agent and customer are connected. Without an answer in time, the contacts
    kept here decide."""

    deadline: Deadline = 3.0
    """Seconds it has for an answer."""
    system: Name = "crm"
    """What contacts keep its ids under."""


class CrmSettings(Settings):
    """The CRM that is built in needs none of this."""

    webhooks: dict[Name, Webhook] = Field(default_factory=dict)
    contacts: ContactLookupSettings | None = None
    tries: Annotated[int, Field(ge=1, le=1000)] = 40
    """How often something is sent before it is given up: with the pauses, which grow to an hour, 40 take more
    than a day."""
    links_last: Annotated[int, Field(ge=1, le=720)] = 168
    """Hours that a link to a picture or video can be opened after it was sent."""
