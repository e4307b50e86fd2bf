"""How the simulator signs what it sends to the engine: HMAC-SHA256 over the URL, a line break and the body.

The URL is the one the receiver is configured with, never what a ``Host`` header claims. There is no time
stamp: a replay is harmless because every effect is deduplicated on the message id.
"""

from __future__ import annotations

import hmac
from typing import Final

SIGNATURE_HEADER: Final = "X-Simulator-Signature"


def signature(secret: str, url: str, body: bytes) -> str:
    """Lower-case hex."""
    return hmac.digest(secret.encode(), url.encode() + b"\n" + body, "sha256").hex()


def genuine(secret: str, url: str, body: bytes, claimed: str | None) -> bool:
    """Constant time; an empty secret or a missing signature is never genuine."""
    if not secret or not claimed:
        return False
    return hmac.compare_digest(signature(secret, url, body).encode(), claimed.encode())
