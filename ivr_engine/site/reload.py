"""A changed configuration comes into force while calls are running.

Files are looked at every second; when they have stopped changing, settings are read and new prompts
rendered in a thread, and then everything is exchanged at once. What is wrong leaves the configuration in
force as it is. A running call reads the new one with its next step.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from ivr_engine.domain.records import replace
from ivr_engine.errors import ConfigError, ConfigErrors, ExternalError, IvrError, in_words
from ivr_engine.observability.rationed import Trouble
from ivr_engine.ports import Clock, Speech
from ivr_engine.site.files import CONFIG, PROMPTS, Look, look
from ivr_engine.site.history import History
from ivr_engine.site.loader import read_site
from ivr_engine.site.models import Site
from ivr_engine.site.now import InForce, SiteNow
from ivr_engine.site.prompt_book import PromptBook
from ivr_engine.site.prompts import Progress, render

LOOK_EVERY_S: Final = 1.0
TRY_AGAIN_S: Final = 15.0
"""Between two tries while the disk or the speech engine fails."""

NEEDS_RESTART: Final = (("sms", "provider"), ("speech", "program"))
"""Texts under way are the provider's who took them. And whoever may write settings, in the portal for
instance, does not at once say which program runs."""

Voice = Callable[[Site], Speech]
"""What speaks the texts of a site."""

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
    """One configuration, read and rendered; ``seen``: the files it was made of. Of a start with files that
    are wrong: ``problems`` with them, and the ``version`` of the history that is in force instead."""

    site: Site
    prompts: PromptBook
    seen: Look
    version: int | None = None
    problems: tuple[IvrError, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """``version``: of the configuration in force, where history could be kept. ``problems``: why the files as
    they are now are not in force; empty: they are. ``loading``: nobody knows yet."""

    version: int | None
    problems: tuple[IvrError, ...] = ()
    loading: bool = False


def make_first(folders: Folders, voice: Voice, progress: Progress | None = None) -> Made:
    """As ``make``, for a start. Files with mistakes do not keep an engine from taking calls: then it is the
    version that was in force last."""
    seen = look(folders.config, folders.prompts)
    try:
        return make(folders, voice, progress)
    except ConfigErrors as wrong:
        before = _in_force_last(folders, voice, progress)
        if before is None:
            raise
        for problem in wrong.errors:
            log.critical("site.refused", problem=str(problem), in_force=f"version {before.version}")
        return replace(before, seen=seen, problems=wrong.errors)


def _in_force_last(folders: Folders, voice: Voice, progress: Progress | None) -> Made | None:
    """``None`` when there is none, or it is not right for this engine."""
    history = History(folders.history, folders.config, folders.prompts)
    version = next((version for version in reversed(history.versions()) if version.applied), None)
    if version is None:
        return None
    with tempfile.TemporaryDirectory(prefix="ivr-site-") as scratch:
        config, prompts = Path(scratch) / CONFIG, Path(scratch) / PROMPTS
        try:
            history.write_to(version, config, prompts)
            made = make(replace(folders, config=config, prompts=prompts), voice, progress)
        except (ConfigError, ConfigErrors) as error:
            log.error("site.no_way_back", version=version.number, problem=str(error))
            return None
    return replace(made, version=version.number)


def make(
    folders: Folders, voice: Voice, progress: Progress | None = None, before: Site | None = None
) -> Made:
    """Read and render. Blocking, possibly for seconds. Raises ``ConfigErrors`` for what an admin has to mend
    (of a running engine, ``before`` in force, also what needs a restart), ``ExternalError`` for the rest."""
    seen = look(folders.config, folders.prompts)
    reading = read_site(folders.config)
    if reading.site is None or reading.errors:
        raise ConfigErrors(reading.errors)
    site = reading.site
    if before is not None and (fixed := _needs_restart(before, site)):
        file, line = reading.tree.at(fixed)
        what = f"'{'.'.join(fixed)}' cannot be changed while the engine runs"
        raise ConfigErrors([ConfigError(file, line, what, "restart the engine: callers keep their places")])
    return Made(site, render(site, folders.prompts, folders.sounds, voice(site), progress), seen)


def _needs_restart(before: Site, after: Site) -> tuple[str, ...] | None:
    for group, setting in NEEDS_RESTART:
        if getattr(getattr(before, group), setting) != getattr(getattr(after, group), setting):
            return group, setting
    return None


class Reloader:
    """Keeps ``in_force`` what the files say. ``run`` is held by the engine's root task group.

    ``exchanged`` is awaited after each exchange, with the site before it; while it raises
    ``ExternalError`` it is tried again. ``told`` hears how each loading ended.
    """

    def __init__(
        self,
        folders: Folders,
        voice: Voice,
        clock: Clock,
        first: Made,
        exchanged: Callable[[Site], Awaitable[None]],
        told: Callable[[bool], None],
    ) -> None:
        self.in_force = SiteNow(InForce(first.site, first.prompts))
        self.state = State(first.version, first.problems)
        self._history = History(folders.history, folders.config, folders.prompts)
        self._folders = folders
        self._voice = voice
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
        if self._made.problems:
            self._told(False)
        else:
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
            made = await asyncio.to_thread(make, self._folders, self._voice, None, before)
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
