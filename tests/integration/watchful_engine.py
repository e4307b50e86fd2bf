"""The engine, looking for phones that have vanished five times as often as it does."""

from __future__ import annotations

from typing import Any

from ivr_engine.acd import phones
from ivr_engine.cli import main

LOOK_EVERY_S = phones.LOOK_EVERY_S / 5

_phones: Any = phones
_phones.LOOK_EVERY_S = LOOK_EVERY_S

if __name__ == "__main__":
    main()
