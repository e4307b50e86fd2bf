"""The HTTP side of the engine, put together: gate, limits, routes, errors.

Thin by rule: a route parses, calls, answers. Nothing is decided here but HTTP status codes.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.security import HTTPBearer

from ivr_engine import web
from ivr_engine.web import (
    agents,
    alarms,
    calls,
    consents,
    contacts,
    crm,
    docs,
    errors,
    health,
    messages,
    opt_outs,
    queues,
    reports,
    tickets,
    trunks,
)
from ivr_engine.web.gate import Gate
from ivr_engine.web.limits import Limits
from ivr_engine.web.services import Services, WebServices
from ivr_engine.web.shapes import API

_TAGS: Final[list[dict[str, Any]]] = [
    {"name": "calls", "description": "Running and past calls with their timelines"},
    {"name": "queues", "description": "Who waits, how long, and who could answer"},
    {"name": "agents", "description": "Signing in and out; the phone's SIP account"},
    {"name": "messages", "description": "SMS and MMS, in and out"},
    {"name": "sms numbers", "description": "Numbers of ours for texts, and which are verified"},
    {"name": "tickets", "description": "What remains of a contact"},
    {"name": "contacts", "description": "Who is known, and whose a ticket is"},
    {"name": "crm", "description": "Systems that are told about conversations"},
    {"name": "consents", "description": "The ledger of who agreed to what"},
    {"name": "opt-outs", "description": "Who wants no texts"},
    {"name": "erasures", "description": "Numbers that are to be forgotten"},
    {"name": "reports", "description": "What became of texts, by day, queue and language"},
    {"name": "trunks", "description": "Lines to the world, and whether they are up"},
    {"name": "handset", "description": "The caller's phone in the SMS simulator"},
    {"name": "site", "description": "The configuration in force"},
    {"name": "health", "description": "For machines that watch the engine"},
]

_monitoring = APIRouter(tags=["health"])


@_monitoring.get("/metrics", summary="Prometheus metrics", response_class=Response, responses=errors.ERRORS)
async def metrics(services: Services) -> Response:
    """The exposition format of Prometheus. Needs the token (``authorization`` in the scrape settings)."""
    return Response(await services.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")


def create_app(services: WebServices) -> FastAPI:
    """The application to serve. ``ValueError`` for an empty token."""
    app = FastAPI(
        title="IVR engine",
        version="1",
        description=web.DESCRIPTION,
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    described = [Depends(HTTPBearer(auto_error=False, description="The API token"))]
    for part in (calls, messages, tickets, contacts, crm, consents, agents, queues, alarms, reports, trunks):
        app.include_router(part.router, prefix=API, dependencies=described)
    for router in (opt_outs.router, *services.more):
        app.include_router(router, prefix=API, dependencies=described, responses=errors.ERRORS)
    app.include_router(_monitoring, dependencies=described)
    app.include_router(health.router)
    app.include_router(docs.router, include_in_schema=False)
    errors.install(app)
    app.add_middleware(Limits)
    app.add_middleware(Gate, token=services.token)
    return app
