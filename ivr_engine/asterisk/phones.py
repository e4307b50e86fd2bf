"""Agents' phones: their SIP accounts pushed into Asterisk's memory, and calls to them.

Accounts pushed over ARI are gone when Asterisk restarts, so all are remembered here and pushed again on
each connection; so are those to be taken away, for an Asterisk that was away and did not restart. It needs
``endpoint``, ``auth`` and ``aor`` mapped to ``memory`` in sorcery.conf.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from contextlib import suppress
from math import ceil

import structlog

from ivr_engine.asterisk.ari_client import AriClient
from ivr_engine.asterisk.ari_operations import Asterisk, Channels
from ivr_engine.asterisk.leg import AriLeg
from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.errors import ExternalError, Gone, NotInStasis, Rejected, Unreachable
from ivr_engine.ports import PhoneAccount

log = structlog.get_logger()

# What may follow PJSIP/ in a dial: anything else could name further phones or foreign addresses.
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,78}")


class Taken(NotInStasis):
    """There is a channel of that id already: not ours to touch."""

    def __init__(self, leg_id: str) -> None:
        super().__init__(f"a leg {leg_id} exists already; adopt it, or choose another id")


class Phones:
    def __init__(self, client: AriClient, settings: AriSettings) -> None:
        self._client = client
        self._settings = settings
        self._config = Asterisk(client.slow)
        self._accounts: dict[str, PhoneAccount] = {}
        self._removed = set[str]()

    @property
    def names(self) -> frozenset[str]:
        """The accounts made known; trunks are endpoints too."""
        return frozenset(self._accounts)

    async def put(self, account: PhoneAccount, *, connected: bool) -> None:
        """Remember and push; without a connection the next one pushes it."""
        _check(account.name)
        self._accounts[account.name] = account
        self._removed.discard(account.name)
        if connected:
            await self._push(account)

    async def remove(self, name: str, *, connected: bool) -> None:
        """Forget and take away; without a connection the next one takes it away."""
        self._accounts.pop(name, None)
        self._removed.add(name)
        if connected:
            await self._take_away(name)

    async def push_all(self) -> None:
        """After connecting. One that fails is logged: it must not keep the others from ringing."""
        for account in tuple(self._accounts.values()):
            await self._unless_refused(account.name, self._push(account))
        for name in tuple(self._removed):
            await self._unless_refused(name, self._take_away(name))

    async def _unless_refused(self, name: str, change: Awaitable[None]) -> None:
        try:
            await change
        except Unreachable:
            raise
        except ExternalError as error:
            log.error("phone_account.refused", phone=name, why=str(error))

    async def _push(self, account: PhoneAccount) -> None:
        name = account.name
        # The endpoint comes last: it names the other two.
        await self._object(
            "auth", name, {"auth_type": "userpass", "username": name, "password": account.password}
        )
        # No qualify_frequency: a phone that ignores OPTIONS would count as absent and never ring, and one
        # that is dead costs no more than the one offer it does not take.
        await self._object("aor", name, {"max_contacts": "1", "remove_existing": "yes"})
        await self._object("endpoint", name, self._endpoint(name))

    async def _take_away(self, name: str) -> None:
        # The endpoint first: it names the other two.
        for kind in ("endpoint", "aor", "auth"):
            with suppress(Gone):
                await self._config.delete_object(config_class="res_pjsip", object_type=kind, id=name)

    def _endpoint(self, name: str) -> dict[str, str]:
        return {
            "auth": name,
            "aors": name,
            "context": self._settings.phone_context,
            "identify_by": "username",
            "disallow": "all",
            "allow": ",".join(self._settings.phone_codecs),
            "direct_media": "no",
            "rtp_symmetric": "yes",
            "force_rport": "yes",
            "rewrite_contact": "yes",
            "allow_subscribe": "no",
            "allow_transfer": "no",
            "timers": "always",
            "timers_sess_expires": str(self._settings.phone_session_s),
        }

    async def _object(self, kind: str, name: str, fields: dict[str, str]) -> None:
        pairs = [{"attribute": key, "value": value} for key, value in fields.items()]
        await self._config.update_object(config_class="res_pjsip", object_type=kind, id=name, fields=pairs)

    async def create(self, leg: AriLeg, phone: str, caller: str | None, trunk: str | None = None) -> None:
        """Make the channel before dialling: so it is ours from its first moment, and outlives us.

        Over HTTP: Asterisk waits for one of its SIP threads, which may all be busy with a trunk's name."""
        endpoint = _endpoint_of(phone, trunk)
        shown = {"CONNECTEDLINE(num)": caller, "CONNECTEDLINE(num-pres)": "allowed"} if caller else None
        try:
            await Channels(self._client.slow).create(
                endpoint=endpoint,
                app=self._settings.application,
                channel_id=leg.id,
                variables=shown,
            )
        except NotInStasis as error:
            raise Taken(leg.id) from error

    async def ring(self, leg: AriLeg, timeout_s: float) -> None:
        """Dial the channel ``create`` made. Asterisk gives up after ``timeout_s``."""
        try:
            # Dialling before the channel has entered the application is refused with 409.
            async with asyncio.timeout(self._settings.times.deadline_s):
                await leg.in_application()
        except TimeoutError as error:
            raise Unreachable(
                f"channel {leg.id} never entered the application; is Asterisk overloaded?"
            ) from error
        await self._client.channels.dial(channel_id=leg.id, timeout_s=max(1, ceil(timeout_s)))


def _endpoint_of(phone: str, trunk: str | None) -> str:
    if trunk is None:
        _check(phone)
        return f"PJSIP/{phone}"
    _check(trunk)
    if not _NUMBER.fullmatch(phone):
        raise Rejected("what is to be dialled is no number in E.164")
    return f"PJSIP/{phone}@{trunk}"


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Rejected(f"{name!r} is no phone account name; use letters, digits, '_', '.' and '-'")
