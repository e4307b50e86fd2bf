"""A voice and SMS contact centre engine on Asterisk."""

from typing import Final

__version__: Final = "0.1.0"
