"""What the Asterisk of most tests says when no engine takes a caller: the same, in fewer words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from scripts.stack.fallback import TEXTS, fallback_sounds

SHORT_TEXTS: Final = TEXTS if os.environ.get("IVR_ARI_URL") else Path(__file__).with_suffix(".ini")
"""One that somebody else runs says what it was given."""


def short_fallback() -> Path:
    """The folder of their sounds."""
    return fallback_sounds(SHORT_TEXTS)
