"""Where Asterisk is and how patient the engine is with it. All times are seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class AriTimes:
    """How long things may take. The defaults suit an Asterisk on the same machine or network."""

    deadline_s: float = 5.0
    """Every request: answered in this time or ``Unreachable``."""
    slow_deadline_s: float = 20.0
    """Requests that may block Asterisk (long lists, dynamic configuration); they travel over HTTP."""
    heartbeat_s: float = 3.0
    """Between two signs of life, and between two pings of the socket."""
    first_echo_s: float = 2.0
    """Until an event that was sent to ourselves has come over a new connection; later ``deadline_s``."""
    retry_first_s: float = 0.2
    retry_most_s: float = 5.0
    """Wait before connecting again: doubled from the first to the most, with jitter."""
    stable_s: float = 10.0
    """A connection that stood this long makes the next wait short again."""
    playback_margin_s: float = 3.0
    """A prompt that was not reported finished this long after its length counts as over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AriSettings:
    """One engine's access to one Asterisk.

    ``application`` must belong to this engine alone; ``transport`` says how requests travel: over the
    event socket (half the CPU) or over plain HTTP. Events always come over the socket.
    """

    url: str
    """Up to and including ``/ari``: ``http://127.0.0.1:8088/ari``."""
    user: str
    password: str = field(repr=False)
    application: str
    transport: Literal["websocket", "http"] = "websocket"
    fallback_context: str = "ivr-fallback"
    """Where a caller goes on in the dialplan (extension ``s``) when the engine cannot go on."""
    phone_context: str = "ivr-agents"
    """The dialplan context of calls that agents' phones make themselves."""
    phone_codecs: tuple[str, ...] = ("alaw", "ulaw", "g722", "opus")
    phone_session_s: int = 600
    """Every half of it a phone in a call is asked whether it is still there, and the call hung up when it
    is not. As ``timers_sess_expires`` in pjsip.conf, which says why; Asterisk takes 90 or more."""
    leg_queue: int = 256
    """Events one verb may leave unread before its call is ended."""
    arrival_queue: int = 500
    """Calls not yet taken by the engine; above this, calls are left to others."""
    early_queue: int = 20_000
    """Events kept for channels not adopted yet; above this, the connection starts again."""
    times: AriTimes = AriTimes()
