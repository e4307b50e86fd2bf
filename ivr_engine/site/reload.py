"""A changed configuration comes into force while calls are running.

Files are looked at every second; when they have stopped changing, settings are read and new prompts
rendered in a thread, and then everything is exchanged at once. What is wrong leaves the configuration in
force as it is. A running call reads the new one with its next step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from ivr_engine.errors import ConfigError, ConfigErrors, ExternalError, IvrError, in_words
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, Speech
from ivr_engine.site.files import Look, look
from ivr_engine.site.history import History
from ivr_engine.site.loader import read_site
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce, SiteNow
from ivr_engine.site.prompt_book import PromptBook
from ivr_engine.site.prompts import Progress, render

LOOK_EVERY_S: Final = 1.0
TRY_AGAIN_S: Final = 15.0
"""Between two tries while the disk or the speech engine fails."""

NEEDS_RESTART: Final = (("sms",), ("country",), ("speech",))
"""Held by parts that are made once: the SMS provider, what becomes of texts that come in, and the speech
engine."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Folders:
    """``config`` and ``prompts`` are the admin's, ``sounds`` is Asterisk's, ``history`` ours."""

    config: Path
    prompts: Path
    sounds: Path
    history: Path


@dataclass(frozen=True, slots=True)
class Made:
    """One configuration, read and rendered; ``seen``: the files it was made of."""

    site: Site
    prompts: PromptBook
    seen: Look


@dataclass(frozen=True, slots=True)
class State:
    """``version``: of the configuration in force, where history could be kept. ``problems``: why the files as
    they are now are not in force; empty: they are. ``loading``: nobody knows yet."""

    version: int | None
    problems: tuple[IvrError, ...] = ()
    loading: bool = False


def make(
    folders: Folders, speech: Speech, progress: Progress | None = None, before: Site | None = None
) -> Made:
    """Read and render. Blocking, possibly for seconds. Raises ``ConfigErrors`` for what an admin has to mend
    (of a running engine, ``before`` in force, also what needs a restart), ``ExternalError`` for the rest."""
    seen = look(folders.config, folders.prompts)
    reading = read_site(folders.config)
    if reading.site is None or reading.errors:
        raise ConfigErrors(reading.errors)
    if before is not None and (fixed := _needs_restart(before, reading.site)):
        file, line = reading.tree.at(fixed)
        what = f"'{'.'.join(fixed)}' cannot be changed while the engine runs"
        raise ConfigErrors([ConfigError(file, line, what, "restart the engine: callers keep their places")])
    return Made(reading.site, render(reading.site, folders.prompts, folders.sounds, speech, progress), seen)


def _needs_restart(before: Site, after: Site) -> tuple[str, ...] | None:
    for path in NEEDS_RESTART:
        if getattr(before, path[0]) != getattr(after, path[0]):
            return path
    return None


class Reloader:
    """Keeps ``in_force`` what the files say. ``run`` is held by the engine's root task group.

    ``exchanged`` is awaited after each exchange, with the site before it; while it raises
    ``ExternalError`` it is tried again. ``told`` hears how each loading ended.
    """

    def __init__(
        self,
        folders: Folders,
        speech: Speech,
        clock: Clock,
        first: Made,
        exchanged: Callable[[Site], Awaitable[None]],
        told: Callable[[bool], None],
    ) -> None:
        self.in_force = SiteNow(InForce(first.site, first.prompts))
        self.state = State(None)
        self._history = History(folders.history, folders.config, folders.prompts)
        self._folders = folders
        self._speech = speech
        self._clock = clock
        self._made = first
        self._exchanged = exchanged
        self._told = told
        self._seen = first.seen
        self._asked = asyncio.Event()
        self._done = asyncio.Event()
        self._not_exchanged: Site | None = None
        self._trouble = Trouble("site.not_exchanged", "site.exchanged_after_all")

    def playable(self) -> bool:
        """Every prompt in force lies where Asterisk reads it. Looks at the disk."""
        return self._made.prompts.playable(self._folders.sounds)

    def wake(self) -> None:
        """Load now, whether anything has changed or not."""
        self.state = State(self.state.version, self.state.problems, loading=True)
        self._done.clear()
        self._asked.set()

    async def reload(self, within_s: float) -> State:
        """Load now, and wait for how that ends; the state may still be ``loading`` after ``within_s``."""
        self.wake()
        try:
            async with asyncio.timeout(within_s):
                await self._done.wait()
        except TimeoutError:
            pass
        return self.state

    async def run(self) -> None:
        version = await asyncio.to_thread(self._keep)
        self.state = State(version, self.state.problems, self.state.loading)
        seen_before = self._seen
        while True:
            asked = await self._pause()
            seen = await asyncio.to_thread(look, self._folders.config, self._folders.prompts)
            # Looking alike twice: nobody is in the middle of writing.
            if asked or (seen != self._seen and seen == seen_before):
                await self._load(seen)
            seen_before = seen
            await self._tell_parts()

    async def _pause(self) -> bool:
        """Whether somebody asked for a loading."""
        failing = any(isinstance(problem, ExternalError) for problem in self.state.problems)
        try:
            async with asyncio.timeout(TRY_AGAIN_S if failing else LOOK_EVERY_S):
                await self._asked.wait()
        except TimeoutError:
            return failing
        self._asked.clear()
        return True

    async def _load(self, seen: Look) -> None:
        before = self.in_force.current.site
        try:
            made = await asyncio.to_thread(make, self._folders, self._speech, None, before)
        except IvrError as error:
            self._seen = seen
            self._refused(error)
            return
        except Exception as error:  # whatever a file makes us stumble over, calls go on
            log.exception("site.fault", remedy="report this trace")
            self._seen = seen
            self._refused(ExternalError(f"the configuration could not be read ({in_words(error)})"))
            return
        after = await asyncio.to_thread(look, self._folders.config, self._folders.prompts)
        if after != made.seen:
            self._asked.set()  # changed while it was read: nobody knows what was
            return
        self._made, self._seen = made, made.seen
        self.in_force.current = InForce(made.site, made.prompts)
        self._not_exchanged = self._not_exchanged or before
        version = await asyncio.to_thread(self._keep)
        if version != self.state.version or self.state.problems:
            log.info(
                "site.in_force", version=version, queues=len(made.site.queues), prompts=len(made.prompts)
            )
        self._ended(State(version))

    def _refused(self, error: IvrError) -> None:
        problems: tuple[IvrError, ...] = error.errors if isinstance(error, ConfigErrors) else (error,)
        if [str(problem) for problem in problems] != [str(problem) for problem in self.state.problems]:
            for problem in problems:
                log.error("site.refused", problem=str(problem), meaning="the one before stays in force")
        self._ended(State(self.state.version, problems))

    def _ended(self, state: State) -> None:
        self.state = state
        self._told(not state.problems)
        self._done.set()

    async def _tell_parts(self) -> None:
        before = self._not_exchanged
        if before is None:
            return
        try:
            await self._exchanged(before)
        except ExternalError as error:
            self._trouble.met(error, remedy=f"tried again every {LOOK_EVERY_S:g} s")
            return
        self._not_exchanged = None
        self._trouble.over()

    def _keep(self) -> int | None:
        """The number of the configuration in force. A history that cannot be written stops nothing."""
        try:
            files = self._history.present()
            if look(self._folders.config, self._folders.prompts) != self._made.seen:
                return None  # edited again already: these are not the files in force
            return self._history.keep(files, self._clock.now()).number
        except ConfigError as error:
            log.warning("site.not_kept", problem=str(error), meaning="this version cannot be gone back to")
            return None
