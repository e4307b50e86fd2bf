"""What an ARI request is, whoever carries it, and what the answers mean.

``Transport`` is fulfilled by the event socket (``transport_ws``) and by plain HTTP
(``transport_http``). Both use ``check`` so that a status means the same error either way:
404 ``Gone``, 409 and 422 ``NotInStasis``, 412 ``NotUp``, any other failure ``Rejected``; no answer in
time is ``Unreachable``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol, TypeVar
from urllib.parse import quote

import msgspec

from ivr_engine.errors import ExternalError, Gone, NotInStasis, NotUp, Rejected

T = TypeVar("T")
Query = list[tuple[str, str]]
Value = str | int | float | bool | Sequence[str] | None
Payload = bytes | str


class Transport(Protocol):
    """Carries one request and returns the body of the answer, or raises what ``check`` raises."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Payload: ...


@lru_cache(4096)
def segment(value: str) -> str:
    """``value`` as one segment of a path, whatever characters it holds."""
    return quote(value, safe="")


def parameters(*pairs: tuple[str, Value]) -> Query:
    """The query of a request; ``None`` is left out, several values are joined as ARI reads them."""
    return [(name, _text(value)) for name, value in pairs if value is not None]


def _text(value: str | int | float | bool | Sequence[str]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return ",".join(value)


def decoded(decoder: msgspec.json.Decoder[T], payload: Payload) -> T:
    """The model in an answer; ``Rejected`` when the answer is not what the description promises."""
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Rejected(f"Asterisk's answer is not understood ({error}); is it Asterisk 22?") from error


_ERRORS: dict[int, tuple[type[ExternalError], str]] = {
    404: (Gone, "it no longer exists; clean up what belonged to it"),
    409: (NotInStasis, "the channel is not in our application, or the id is taken; do not repeat it"),
    422: (NotInStasis, "the channel is not in our application; let it go or adopt it again"),
    412: (NotUp, "the channel is not answered; answer it first"),
    401: (Rejected, "user or password are wrong; compare the ARI settings with ari.conf"),
    403: (Rejected, "the ARI user may only read; set read_only=no in ari.conf"),
    500: (Rejected, "Asterisk could not do it (for a dial: the phone is not reachable); see Asterisk's log"),
}
_ELSE = (Rejected, "Asterisk declined the request; it is wrong as it stands")


class _Reason(msgspec.Struct):
    message: str | None = None
    error: str | None = None


_REASON = msgspec.json.Decoder(_Reason)


def check(method: str, path: str, status: int, body: Payload) -> Payload:
    """``body`` when ``status`` is a success, else the error that says what to do."""
    if 200 <= status < 300:
        return body
    kind, remedy = _ERRORS.get(status, _ELSE)
    raise kind(f"{method} {path}: {status} {_reason(body)}; {remedy}")


def _reason(body: Payload) -> str:
    try:
        reason = _REASON.decode(body)
    except msgspec.MsgspecError:
        return "(no reason given)"
    return reason.message or reason.error or "(no reason given)"
