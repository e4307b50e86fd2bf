"""Contacts, and the choice among them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ivr_engine.domain.contacts import MOST_NUMBERS, Contact

_CONTACT: Final[dict[str, Any]] = {
    "id": "c0ffee5b7d4c219f6a0d8e3b2c4a5501",
    "name": "Ada",
    "numbers": ["+4915112345678"],
    "language": "en",
    "created_at": "2026-01-31T09:17:40Z",
    "updated_at": "2026-01-31T09:17:40Z",
    "external": {"crm": "4711"},
}

Number = Annotated[str, Field(min_length=1, max_length=40)]
ContactName = Annotated[str, Field(max_length=200)]
System = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
ExternalId = Annotated[str, Field(min_length=1, max_length=200)]


class ContactItem(BaseModel):
    """Somebody, whatever number they call from."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CONTACT]})
    id: str
    name: str = Field(description="Empty as long as nobody wrote one")
    numbers: list[str]
    language: str = Field(description="Of the last conversation")
    created_at: datetime
    updated_at: datetime = Field(description="Of the last conversation, or change")
    external: dict[str, str] = Field(description="What other systems call this contact, by system")

    @classmethod
    def of(cls, contact: Contact) -> ContactItem:
        return cls.model_validate(contact, from_attributes=True)


class NewContact(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Ada", "numbers": ["+4915112345678"]}]}
    )
    name: ContactName = ""
    numbers: Annotated[list[Number], Field(max_length=MOST_NUMBERS)] = Field(default_factory=list[str])
    language: Annotated[str, Field(max_length=10)] = ""
    external: Annotated[dict[System, ExternalId], Field(max_length=20)] = Field(
        default_factory=dict[str, str]
    )

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not (self.name.strip() or self.numbers or self.external):
            raise ValueError("give a name, a number, or an id elsewhere")
        return self


class ChangedContact(BaseModel):
    """What is not named stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Ada L."}]})
    name: ContactName | None = None
    numbers: Annotated[list[Number], Field(max_length=MOST_NUMBERS)] | None = None
    language: Annotated[str, Field(max_length=10)] | None = None
    external: Annotated[dict[System, ExternalId], Field(max_length=20)] | None = None


class ContactChoice(BaseModel):
    """Whose a ticket is, or may be."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"contact": None, "candidates": [_CONTACT]}]})
    contact: ContactItem | None
    candidates: list[ContactItem] = Field(
        description="Several contacts have the number: one is to be chosen. Empty once that is done"
    )


class Chosen(BaseModel):
    """An existing contact, or somebody new: one of the two."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"contact_id": _CONTACT["id"]}]}
    )
    contact_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    new: ContactName | None = Field(None, description="The name of a new contact; may be empty")

    @model_validator(mode="after")
    def _one(self) -> Chosen:
        if (self.contact_id is None) == (self.new is None):
            raise ValueError("give exactly one of contact_id, new")
        return self
