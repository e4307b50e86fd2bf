"""The API, the webhooks and the pages for monitoring, over the parts of one engine."""

from __future__ import annotations

import structlog
from starlette.types import ASGIApp

from ivr_engine.bootstrap.adapters import api_token
from ivr_engine.bootstrap.parts import Parts
from ivr_engine.callflow.commands import CallCommands
from ivr_engine.callflow.in_call_sms import InCallSmsCommands
from ivr_engine.messaging.enclosures import Enclosures
from ivr_engine.site import drawing
from ivr_engine.web.app import create_app
from ivr_engine.web.drain import drain_router
from ivr_engine.web.erasures import erasures_router
from ivr_engine.web.file_links import FileFront, message_file
from ivr_engine.web.health import HealthBoard
from ivr_engine.web.in_call import in_call_router
from ivr_engine.web.in_call_sms import in_call_sms_router
from ivr_engine.web.server import serve
from ivr_engine.web.services import WebServices
from ivr_engine.web.site import site_router
from ivr_engine.web.sms_numbers import sms_numbers_router
from ivr_engine.web.webhooks import WebhookFront

log = structlog.get_logger()


async def serve_http(parts: Parts, board: HealthBoard) -> None:
    """Until cancelled."""
    settings = parts.settings
    front = FileFront(create_app(_web_services(parts, board)), parts.crms.links, parts.store, settings.media)
    app: ASGIApp = WebhookFront(front, parts.texts.webhooks())
    for links in parts.texts.links.values():
        app = FileFront(app, links, parts.store, settings.media, message_file)
    await serve(app, settings.http_host, settings.http_port, listening=_say_where)


def _web_services(parts: Parts, board: HealthBoard) -> WebServices:
    return WebServices(
        store=parts.store,
        clock=parts.clock,
        token=api_token(parts.settings),
        site=lambda: parts.site,
        health=board,
        metrics=parts.page.render,
        desk=parts.desk,
        switches=parts.switchboard,
        estimates=parts.estimates,
        running_calls=parts.reception,
        unknown_messages=parts.texts.outbox,
        media_folder=parts.settings.media,
        sip_server=parts.settings.sip_server,
        trunks=parts.trunks.trunks,
        more=(
            parts.texts.handset(),
            drain_router(parts.drain),
            erasures_router(parts.privacy),
            in_call_router(CallCommands(parts.house)),
            in_call_sms_router(InCallSmsCommands(parts.house), Enclosures(parts.settings.media)),
            site_router(
                lambda: parts.reloader.state, parts.reloader.reload, lambda flow: _picture(parts, flow)
            ),
            sms_numbers_router(parts.texts.number_codes(), parts.texts.numbers.look),
        ),
    )


def _picture(parts: Parts, flow: str) -> str:
    now = parts.reloader.in_force.current
    return drawing.of_site(
        now.site, flow, lambda prompt: now.prompts.wording(now.site.default_language, prompt)
    )


def _say_where(host: str, port: int) -> None:
    log.info("web.listening", url=f"http://{host}:{port}")
