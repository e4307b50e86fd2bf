"""HTTP only: the API, webhooks, health and metrics. Thin: parse, call, answer."""

from typing import Final

DESCRIPTION: Final = """\
Calls, queues, agents, messages, tickets and consents of this engine.

Every request needs the header `Authorization: Bearer <token>`; the engine prints where its token lies
when it starts. Lists come as `{"items": [...]}`, newest first. Times are UTC, numbers E.164 (of a caller
whose number is not valid, the digits as signalled); in a query
a `+` that arrives as a blank is understood. Every error has the shape
`{"error": {"code": "...", "message": "a sentence"}}`.
"""
