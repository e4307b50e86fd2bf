"""What can be seen of a running engine: its log, with nothing private in it, and its metrics.

``logs.set_up`` is called once by the command line; everything else logs with
``structlog.get_logger()``: an event name and key-values. A call binds its id once with
``structlog.contextvars.bound_contextvars(call=call.id)`` and every line below carries it.
"""

from ivr_engine.observability.logs import set_up
from ivr_engine.observability.masking import hide

__all__ = ["hide", "set_up"]
