"""A phone number in a query, however it was written there."""

from __future__ import annotations

from ivr_engine.domain.numbers import shown_caller


def asked_number(raw: str, country: str) -> str:
    """The number to search for.

    A ``+`` that was not escaped arrives as a blank: ``" 49151…"`` means ``"+49151…"``. National and
    ``00`` spellings are read as of ``country``. An extension is searched for as it is kept;
    what is no number is returned as it stands and simply matches nothing.
    """
    text = raw.strip()
    if raw[:1].isspace() and text[:1].isdigit():
        text = "+" + text
    return shown_caller(text, country) or text
