"""What stands behind each port: chosen by the settings and the site."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ivr_engine import keys
from ivr_engine.asterisk.ami import AmiSettings, TrunkWatch
from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.asterisk.telephony import AriTelephony
from ivr_engine.observability.masking import hide
from ivr_engine.ports import Clock, SmsProvider, Speech, Store
from ivr_engine.settings import Settings
from ivr_engine.site.general import SpeechSettings
from ivr_engine.site.models import Site
from ivr_engine.sms import twilio, twilio_account
from ivr_engine.sms.simulator import Simulator, SimulatorAccount
from ivr_engine.speech.espeak import Espeak
from ivr_engine.speech.piper import Piper

log = structlog.get_logger()


class UtcClock:
    """``ports.Clock`` of the real world."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SiteVoice:
    """``site.reload.Voice``: made anew only when its settings have changed."""

    def __init__(self) -> None:
        self._made: tuple[SpeechSettings, Speech] | None = None

    def __call__(self, site: Site) -> Speech:
        if self._made is None or self._made[0] != site.speech:
            self._made = site.speech, speech_of(site)
        return self._made[1]


def speech_of(site: Site) -> Speech:
    """What speaks the texts of ``site``."""
    chosen = site.speech
    command = (chosen.program or chosen.engine,)
    if chosen.engine == "piper":
        return Piper({language: Path(voice) for language, voice in chosen.voices.items()}, command)
    return Espeak(command)


def trunk_watch(settings: Settings, clock: Clock) -> TrunkWatch:
    password = settings.ami_password or (
        keys.secret(settings.state, "ami_password") if settings.trunks else ""
    )
    if password:
        hide(password)
    ami = AmiSettings(
        port=settings.ami_port, user=settings.ami_user, password=password, trunks=settings.trunks
    )
    return TrunkWatch(ami, clock)


def telephony(settings: Settings) -> AriTelephony:
    password = settings.ari_password or keys.secret(settings.state, "ari_password")
    hide(password)
    return AriTelephony(
        AriSettings(
            url=settings.ari_url,
            user=settings.ari_user,
            password=password,
            application=settings.ari_app,
            transport=settings.ari_transport,
        )
    )


def sms_provider(
    settings: Settings, site: Callable[[], Site], store: Store, name: str | None = None
) -> SmsProvider:
    """The one of that name, or the site's first. Raises ``ConfigError`` naming the variable that is missing
    or wrong."""
    if (name or site().sms.provider) == twilio.NAME:
        return _twilio(settings, site, store)
    secret = settings.simulator_secret or keys.secret(settings.state, "simulator_secret")
    hide(secret)
    return Simulator(SimulatorAccount(url=settings.simulator_url, secret=secret))


def _twilio(settings: Settings, site: Callable[[], Site], store: Store) -> twilio.Twilio:
    account = twilio_account.account_from_environ(settings.twilio)
    hide(account.auth_token)
    hide(account.password)
    for problem in twilio_account.problems(settings.twilio, settings.public_url):
        log.warning("sms.provider_not_set_up", problem=str(problem))

    async def owner_of(provider_id: str) -> str | None:
        found = await store.run(lambda tx: tx.messages.by_provider_id(twilio.NAME, provider_id))
        return found.id if found else None

    return twilio.Twilio(account, numbers=lambda: site().receiving_numbers(), owner_of=owner_of)


def privacy_key(settings: Settings) -> str:
    key = settings.privacy_key or keys.secret(settings.state, "privacy_key")
    hide(key)
    return key


def api_token(settings: Settings) -> str:
    token = settings.api_token or keys.secret(settings.state, keys.API_TOKEN)
    hide(token)
    return token


async def phone_password(state: Path, agent: str) -> str:
    password = await asyncio.to_thread(keys.secret, state, f"phone_{agent}")
    hide(password)
    return password
