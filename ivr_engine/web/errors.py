"""Which error is which HTTP status, and the one shape every error answer has.

``{"error": {"code": "not_found", "message": "a sentence", "fields": [...]}}``; ``fields`` only where
single fields of the request are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from ivr_engine.errors import ConfigError, ConfigErrors, ExternalError, Gone, IvrError, Refused

log = structlog.get_logger()


class FieldProblem(BaseModel):
    field: str = Field(description="Where in the request, for example query.limit")
    problem: str


class ErrorBody(BaseModel):
    code: str = Field(description="For programs; does not change")
    message: str = Field(description="For people")
    fields: list[FieldProblem] | None = None


class ErrorAnswer(BaseModel):
    """What every answer of 400 and above looks like."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"error": {"code": "not_found", "message": "no call of that id"}}]}
    )
    error: ErrorBody


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": ErrorAnswer, "description": "No token, or a wrong one"},
    422: {"model": ErrorAnswer, "description": "The request cannot be understood"},
    429: {"model": ErrorAnswer, "description": "Too many wrong tokens from this address"},
    503: {"model": ErrorAnswer, "description": "The store or Asterisk does not answer; try again"},
}
"""Answers any route under /api/v1 may give, for the OpenAPI description."""

MISSING: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": ErrorAnswer, "description": "There is no such thing"}
}
NOT_NOW: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ErrorAnswer, "description": "Not possible in its present state"}
}

_CODES: Final = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unsupported_media_type",
}
_SENTENCES: Final = {
    404: "there is nothing at this address",
    405: "this address does not understand that method",
}


def answer(
    status: int,
    code: str,
    message: str,
    *,
    fields: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error answer; also usable as an ASGI application."""
    body = ErrorAnswer(error=ErrorBody(code=code, message=message, fields=list(fields) or None))
    return JSONResponse(body.model_dump(exclude_none=True), status, headers=headers)


def of_error(error: IvrError) -> JSONResponse:
    """The answer to an error this program raised on purpose."""
    match error:
        case Refused(missing=True):
            return answer(404, "not_found", error.reason)
        case Refused():
            return answer(409, "refused", error.reason)
        case Gone():
            return answer(404, "gone", str(error) or "it is gone")
        case ExternalError():
            again = {"Retry-After": "1"} if error.retryable else None
            return answer(
                503, "unavailable", str(error) or "something outside does not answer", headers=again
            )
        case ConfigError() | ConfigErrors():
            return answer(422, "configuration", str(error))
        case _:
            return answer(409, "refused", str(error))


def install(app: FastAPI) -> None:
    """Every error leaves ``app`` in the one shape."""

    async def on_error(_request: Request, error: Exception) -> JSONResponse:
        return _answer_to(error)

    for kind in (IvrError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, on_error)


def _answer_to(error: Exception) -> JSONResponse:
    match error:
        case IvrError():
            if isinstance(error, ExternalError):
                log.error("request.failed", error=str(error))
            return of_error(error)
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            code = _CODES.get(error.status_code, f"http_{error.status_code}")
            sentence = _SENTENCES.get(error.status_code, str(error.detail))
            return answer(error.status_code, code, sentence, headers=error.headers)
        case _:
            return answer(500, "fault", "a fault in the engine; its log says more")


def _invalid(error: RequestValidationError) -> JSONResponse:
    fields = [
        FieldProblem(field=".".join(str(part) for part in problem["loc"]), problem=problem["msg"])
        for problem in error.errors()
    ]
    what = "; ".join(f"{f.field}: {f.problem}" for f in fields[:3])
    return answer(422, "invalid", f"the request cannot be understood: {what}", fields=fields)
