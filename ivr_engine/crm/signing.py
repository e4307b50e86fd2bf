"""Signatures as https://www.standardwebhooks.com describes them, for which most languages have a library.

``webhook-signature: v1,base64(HMAC-SHA256(secret, id + "." + timestamp + "." + body))``. The time stamp is
the try's, the id the event's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from ivr_engine.errors import ExternalError

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
PREFIX: Final = "whsec_"
SHORTEST: Final = 16
"""Bytes of a secret that cannot be guessed."""


def secrets(environ: Mapping[str, str], variable: str) -> tuple[bytes, ...]:
    """Those that the variable holds: one, or while it is being exchanged two, separated by a blank. What
    follows ``whsec_`` is base64; anything else is taken as it is written. ``ExternalError`` when there is
    none that is any good."""
    found: list[bytes] = []
    for written in environ.get(variable, "").split():
        try:
            secret = (
                base64.b64decode(written.removeprefix(PREFIX), validate=True)
                if written.startswith(PREFIX)
                else written.encode()
            )
        except binascii.Error:
            raise ExternalError(f"{variable} holds no base64 behind {PREFIX}") from None
        if len(secret) < SHORTEST:
            raise ExternalError(f"the secret in {variable} is shorter than {SHORTEST} bytes")
        found.append(secret)
    if not found:
        raise ExternalError(f"the environment variable {variable} is not set")
    return tuple(found)


def headers(secrets: tuple[bytes, ...], id: str, now: datetime, body: bytes) -> dict[str, str]:
    """One signature for each secret, the first one's first."""
    stamp = str(int(now.timestamp()))
    signed = f"{id}.{stamp}.".encode() + body
    made = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    signatures = " ".join("v1," + base64.b64encode(each).decode() for each in made)
    return {ID: id, TIMESTAMP: stamp, SIGNATURE: signatures}
