"""The engine, with phones in a call asked as often as Asterisk allows whether they are still there."""

from __future__ import annotations

from functools import partial
from typing import Any

from ivr_engine.asterisk.settings import AriSettings
from ivr_engine.bootstrap import adapters
from ivr_engine.cli import main

SHORTEST_S = 90
"""The least that RFC 4028 and Asterisk allow; asked at half of it."""

_adapters: Any = adapters
_adapters.AriSettings = partial(AriSettings, phone_session_s=SHORTEST_S)

if __name__ == "__main__":
    main()
