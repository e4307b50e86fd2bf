"""What Twilio posts to us, once its signature is known to be good.

https://www.twilio.com/docs/messaging/guides/webhook-request and …/track-outbound-message-status
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from multidict import MultiDict

from ivr_engine.domain.opt_out import Command
from ivr_engine.errors import Refused
from ivr_engine.ports import InboundSms, StatusReport, WebhookRequest
from ivr_engine.sms.twilio_codes import STATUSES, again_after_s

Form = MultiDict[str]

FIELDS: Final = 300
"""Twilio sends about thirty, and a few more a file."""
MEDIA: Final = 10
"""Files that one message has at most."""

_TOLD: Final = {command.name: command for command in Command}
"""Where Advanced Opt-Out is on, Twilio says what it took a text for; and has answered it."""

SID: Final = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")


def form_of(request: WebhookRequest) -> Form:
    """All fields as posted: blank, repeated and unknown ones too, for the signature is made over all."""
    try:
        pairs = parse_qsl(
            request.body.decode("utf-8"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=FIELDS,
        )
    except ValueError as error:
        raise Refused("the body is not a form") from error
    if not pairs:
        raise Refused("the body is empty")
    return MultiDict(pairs)


def understood(request: WebhookRequest, form: Form, account: str) -> InboundSms | StatusReport:
    """``Refused`` when it is none of the two, or another account's."""
    if _one(form, "AccountSid") != account:
        raise Refused("it is about another account")
    sid = _one(form, "MessageSid")
    if not SID.fullmatch(sid):
        raise Refused("there is no message id in it")
    parts = urlsplit(request.url)
    if parts.path.endswith("/status"):
        return _status(form, sid, parts.query)
    return _inbound(form, sid)


def _status(form: Form, sid: str, query: str) -> StatusReport:
    status = STATUSES.get(_one(form, "MessageStatus"))
    if status is None:
        raise Refused("the status is not one of an outbound message")
    ours = parse_qs(query).get("message")
    code = code_of(_one(form, "ErrorCode"))
    return StatusReport(
        sid,
        status,
        message_id=ours[0] if ours else None,
        error_code=code,
        retry_after_s=again_after_s(code),
    )


def _inbound(form: Form, sid: str) -> InboundSms:
    sender, recipient = _one(form, "From"), _one(form, "To")
    if not sender or not recipient or "MessageStatus" in form:
        raise Refused("this is no text from a phone")
    count = _one(form, "NumMedia")
    files = min(int(count), MEDIA) if re.fullmatch(r"[0-9]{1,3}", count) else 0
    media = tuple((_one(form, f"MediaUrl{n}"), _one(form, f"MediaContentType{n}")) for n in range(files))
    told = _TOLD.get(_one(form, "OptOutType").upper())
    return InboundSms(sid, sender, recipient, _one(form, "Body"), tuple((u, t) for u, t in media if u), told)


def _one(form: Form, name: str) -> str:
    """Empty when it is not there; a field that is there twice is nothing that Twilio sends."""
    values = form.getall(name, [])
    if len(values) > 1:
        raise Refused(f"{name} is there more than once")
    return values[0] if values else ""


def code_of(text: str) -> str | None:
    return text if re.fullmatch(r"[1-9][0-9]{0,9}", text) else None
