"""Every error this program raises on purpose.

    IvrError
    ├── ConfigError          a file the admin wrote: file, line, what is wrong, what to do
    ├── ConfigErrors         all the ConfigErrors of one load, reported together
    ├── CallEnded            the caller (or the leg asked) is gone: not a fault, ends a coroutine
    │   └── CallMoved        the leg lives on, out of our hands (in the fallback dialplan)
    ├── Refused              the request makes no sense now (unknown call, agent not signed in, …)
    │   └── QueueRemoved     the configuration has no such queue (any more)
    └── ExternalError        something outside failed: Asterisk, the SMS provider, the disk
        ├── Unreachable      no answer at all, or not in time; may be tried again
        ├── Gone             what we acted on no longer exists (ARI 404)
        ├── NotInStasis      the channel is not under our control (ARI 409, 422)
        ├── NotUp            the channel is not answered yet (ARI 412)
        ├── Rejected         the other side understood and said no (ARI 400, 500)
        └── OutcomeUnknown   the database went away during a commit

HTTP status codes are chosen in ``web`` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path


class IvrError(Exception):
    """The root; catch it to catch everything this program raises on purpose."""


class ConfigError(IvrError):
    """A mistake in a file the admin wrote.

    ``str()`` gives one line: ``file:line: what; remedy``.
    """

    def __init__(self, file: Path | str, line: int | None, what: str, remedy: str) -> None:
        self.file = str(file)
        self.line = line
        self.what = what
        self.remedy = remedy
        where = f"{file}:{line}" if line else str(file)
        super().__init__(f"{where}: {what}; {remedy}")


class ConfigErrors(IvrError):
    """Everything that is wrong with a configuration: one ``ConfigError`` a mistake, never empty.

    ``str()`` gives one line a mistake.
    """

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


class CallEnded(IvrError):
    """The leg is gone. ``cause`` is the Q.850 cause Asterisk gave (16: normal clearing)."""

    def __init__(self, cause: int = 16) -> None:
        self.cause = cause
        super().__init__(f"call ended (cause {cause})")


class CallMoved(CallEnded):
    """The leg is alive but no longer in our application: somebody sent it to the fallback dialplan."""


class Refused(IvrError):
    """The request cannot be carried out in this state; ``reason`` is for people.

    ``missing`` is true when the thing named does not exist, false when it is merely not possible now.
    """

    def __init__(self, reason: str, *, missing: bool = False) -> None:
        self.reason = reason
        self.missing = missing
        super().__init__(reason)


class QueueRemoved(Refused):
    """The configuration has no queue ``queue``; a call may outlive its queue's place in it."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        super().__init__(f"queue {queue} is not in the configuration", missing=True)


class ExternalError(IvrError):
    """Something outside failed. ``retryable``: the same request may succeed later."""

    retryable = False


class Unreachable(ExternalError):
    """No answer: connection down, or the deadline passed."""

    retryable = True


class Gone(ExternalError):
    """What we acted on no longer exists; on a deletion this is success."""


class NotInStasis(ExternalError):
    """The channel is not in our Stasis application, or the id we chose is taken."""


class NotUp(ExternalError):
    """The channel has not been answered."""


class Rejected(ExternalError):
    """The other side understood the request and declined it."""


class OutcomeUnknown(ExternalError):
    """A transaction was given to the database, which went away: it may or may not have been stored."""


def in_words(error: BaseException) -> str:
    """What kind of error a library raised, for people, without its text, which may hold addresses and
    secrets: ``ClientConnectionResetError`` is "client connection reset"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower().removesuffix(" error")
