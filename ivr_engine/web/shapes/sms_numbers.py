"""Numbers of ours that texts are sent from and come to."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.number_verification import How, NumberState
from ivr_engine.domain.sms_numbers import Kind, kind_of
from ivr_engine.messaging.own_numbers import queues_with, remedy
from ivr_engine.site.models import Site
from ivr_engine.site.sms_numbers import UNLISTED, country_of


class SmsNumberItem(BaseModel):
    """A number of the site, and whether it may be used."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "number": "+4915735990001",
                    "provider": "twilio",
                    "label": "Berlin",
                    "kind": "long_code",
                    "country": "DE",
                    "direction": "inbound",
                    "use": "in_call",
                    "capabilities": ["media", "sms"],
                    "rate": 10.0,
                    "queues": ["support"],
                    "for_all": False,
                    "verified": True,
                    "verified_at": "2026-01-31T09:15:19Z",
                    "verified_by": "anna",
                    "verified_how": "code",
                    "code_until": None,
                    "trouble": None,
                    "remedy": None,
                    "sent": 120,
                    "received": 31,
                }
            ]
        }
    )
    number: str = Field(description="E.164, a short code, or an alphanumeric sender")
    provider: str = Field(description="Texts leave from it there; verified by one is not by another")
    label: str | None = Field(description="null for a number that stands in sms.sender alone")
    kind: Kind
    country: str | None
    direction: str = Field(description="inbound: belongs to one queue; outbound: sends for any")
    use: str = Field(description="in_call or sms_channel")
    capabilities: list[str]
    rate: float = Field(description="Parts a second that are sent from it")
    queues: list[str] = Field(description="Those that name it")
    for_all: bool = Field(description="It is sms.sender: used where a queue has none of its own")
    verified: bool = Field(description="Queues use it only then")
    verified_at: datetime | None
    verified_by: str | None
    verified_how: How | None
    code_until: datetime | None = Field(description="A code is under way, good until then")
    trouble: str | None = Field(description="What the provider said against it")
    remedy: str | None = Field(description="What makes it verified")
    sent: int = Field(description="Messages in the last 24 hours")
    received: int = Field(description="Likewise")

    @classmethod
    def of(cls, site: Site, state: NumberState, carried: tuple[int, int]) -> SmsNumberItem:
        """``carried``: sent and received."""
        number, verified = state.number, state.verified
        first = state.provider == site.sms.provider
        own = site.sms_numbers.get(number, UNLISTED)
        return cls(
            number=number,
            provider=state.provider,
            label=own.label if number in site.sms_numbers else None,
            kind=kind_of(number),
            country=country_of(number, own),
            direction=own.direction,
            use=own.use,
            capabilities=sorted(own.capabilities),
            rate=site.rate_of(number),
            queues=list(queues_with(site, number)) if first else [],
            for_all=first and number == site.sms.sender,
            verified=verified is not None,
            verified_at=verified and verified.at,
            verified_by=verified and verified.by,
            verified_how=verified and verified.how,
            code_until=state.code and state.code.expires_at,
            trouble=state.trouble,
            remedy=None if verified else remedy(state, site),
            sent=carried[0],
            received=carried[1],
        )
