"""What a caller script is played on: a caller's phone and the people around it, in virtual or in real time.

``headless`` is the one, ``live`` the other; ``player`` knows neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, Protocol

from ivr_engine.rehearsal.script import Dialling, Sent
from ivr_engine.rehearsal.staff import Staff

Item = dict[str, Any]
"""As the API shows it."""


NO_CALL: Final = "there is no call in which that could be done"


class NotHeard(Exception):
    """What was waited for did not come in time."""


class Line(Protocol):
    """One caller's side of everything. Sounds are ``music``, ``agent``, ``silence`` or prompts as
    ``language/name``."""

    async def company(self, number: str, size: int) -> None:
        """So many others call that number and wait."""
        ...

    async def dial(self, how: Dialling) -> None: ...

    async def press(self, key: str) -> None: ...

    async def say(self, words: str) -> None:
        """Returns when it is said."""
        ...

    async def hang_up(self) -> None: ...

    async def pick_up(self, *, within_s: float) -> None:
        """Once the caller's own phone rings: that is the call from then on. ``NotHeard``: it never rings."""
        ...

    async def wait(self, seconds: float) -> None: ...

    async def write(self, text: str, *, picture: bool) -> None:
        """To whoever wrote last to this phone, else to the number that the site's texts come from."""
        ...

    async def agent_sends(self, what: Sent) -> None:
        """A text to the caller, from the agent who talks to them; ``Refused`` as the API would."""
        ...

    async def staff(self, what: Staff) -> None:
        """``Refused`` as the API would."""
        ...

    async def sign_in(self, agent: str) -> None: ...

    async def sign_out(self, agent: str) -> None: ...

    async def hears(self, wanted: Callable[[str], bool], *, within_s: float, whole: bool) -> None:
        """Until a sound is heard that was not waited for before; ``NotHeard``."""
        ...

    def heard(self) -> Sequence[str]:
        """All sounds of this call so far, in order."""
        ...

    def longest_silence_s(self) -> float: ...

    async def call(self) -> Item | None:
        """The caller's newest call."""
        ...

    async def texts(self) -> Sequence[str]:
        """On the caller's phone, oldest first."""
        ...

    async def ticket(self) -> Item | None:
        """The caller's newest one."""
        ...

    async def agent(self, name: str) -> Item: ...


def prompt_name(sound: str) -> str:
    """``consent`` of ``de/consent``; empty for what is no prompt."""
    return sound.partition("/")[2]


def is_prompt(pattern: str) -> Callable[[str], bool]:
    """Whether a sound is a prompt with such a name, of any language where the pattern names none."""
    if "/" in pattern:
        return lambda sound: fnmatchcase(sound, pattern)
    return lambda sound: fnmatchcase(prompt_name(sound), pattern)
