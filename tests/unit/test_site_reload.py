"""A changed configuration comes into force, a wrong one does not, and every change can be taken back."""

from __future__ import annotations

import asyncio
import shutil
import wave
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ivr_engine.errors import ConfigErrors, ExternalError, Refused
from ivr_engine.site import reload
from ivr_engine.site.history import KEPT, History
from ivr_engine.site.models import Site
from ivr_engine.site.reload import Folders, Reloader, State, make_first

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 31, tzinfo=UTC)
ANSWERS_S = 30.0


class Voice:
    """Says everything as the same short noise."""

    fingerprint = "noise"

    def __init__(self) -> None:
        self.broken = False

    def speak(self, text: str, language: str, to: Path) -> None:
        if self.broken:
            raise ExternalError("no voice")
        with wave.open(str(to), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(b"\x00\x20\x00\xe0" * 200)


class Clock:
    def now(self) -> datetime:
        return NOW


@dataclass
class World:
    folders: Folders
    voice: Voice = field(default_factory=Voice)
    exchanged: list[Site] = field(default_factory=list[Site])
    told: asyncio.Queue[bool] = field(default_factory=asyncio.Queue[bool])
    push_fails: bool = False
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def speaks(self, site: Site) -> Voice:
        """A voice of its own for each site's settings."""
        self.voice.fingerprint = site.speech.engine
        return self.voice

    async def _exchanged(self, before: Site) -> None:
        if self.push_fails:
            raise ExternalError("Asterisk is away")
        self.exchanged.append(before)
        self.heard.set()

    def write(self, text: str, file: str = "site.yaml") -> None:
        (self.folders.config / file).write_text(text)

    def brand(self, name: str) -> None:
        self.change("brand: Example Shop", f"brand: {name}")

    def change(self, old: str, new: str, file: str = "site.yaml") -> None:
        text = (self.folders.config / file).read_text()
        assert old in text
        self.write(text.replace(old, new), file)

    @property
    def history(self) -> History:
        return History(self.folders.history, self.folders.config, self.folders.prompts)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Reloader]:
        first = await asyncio.to_thread(make_first, self.folders, self.speaks)
        reloader = Reloader(self.folders, self.speaks, Clock(), first, self._exchanged, self.told.put_nowait)
        task = asyncio.create_task(reloader.run())
        try:
            yield reloader
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the example, as an engine that ran before has left them."""
    folders = _example(tmp_path_factory.mktemp("before"))
    make_first(folders, World(folders).speaks)
    return folders.sounds


@pytest.fixture
def world(tmp_path: Path, sounds: Path) -> World:
    folders = _example(tmp_path)
    shutil.copytree(sounds, folders.sounds)
    return World(folders)


def _example(folder: Path) -> Folders:
    """In English alone."""
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    site = (config / "site.yaml").read_text().replace("[en, de, it, es, fr]", "[en]")
    (config / "site.yaml").write_text(site)
    flows = (config / "flows.yaml").read_text()
    (config / "flows.yaml").write_text(flows.replace("{1: en, 2: de, 3: it, 4: es, 5: fr}", "{1: en}"))
    numbers = (config / "numbers.yaml").read_text()
    (config / "numbers.yaml").write_text(numbers.replace("    language: de\n", ""))
    sms = (config / "sms.yaml").read_text().splitlines()
    kept = [line for line in sms if not line.lstrip().startswith(("de:", "it:", "es:", "fr:"))]
    (config / "sms.yaml").write_text("\n".join(kept) + "\n")
    (folder / "prompts").mkdir()
    shutil.copytree(ROOT / "prompts" / "en", folder / "prompts" / "en")
    return Folders(config, folder / "prompts", folder / "sounds", folder / "history")


def _brand(reloader: Reloader) -> str:
    return reloader.in_force.current.site.brand


async def test_a_change_is_seen_and_comes_into_force(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "LOOK_EVERY_S", 0.01)
    async with world.running() as reloader:
        before = reloader.in_force.current
        world.brand("Other Shop")
        assert await asyncio.wait_for(world.told.get(), ANSWERS_S)
        assert _brand(reloader) == "Other Shop"
        assert reloader.in_force.current.prompts is not before.prompts


async def test_what_is_wrong_leaves_the_one_before_in_force_and_says_where(world: World) -> None:
    async with world.running() as reloader:
        world.change("languages: [en]", "languages: [en\n")
        state = await reloader.reload(ANSWERS_S)
        assert "site.yaml" in str(state.problems[0])
        assert _brand(reloader) == "Example Shop"
        assert not world.told.get_nowait()
        world.change("languages: [en\n", "languages: [en]")
        assert (await reloader.reload(ANSWERS_S)).problems == ()


async def test_the_same_mistake_is_logged_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []

    class Log:
        def error(self, event: str, **_facts: object) -> None:
            lines.append(event)

        def info(self, event: str, **_facts: object) -> None: ...

    monkeypatch.setattr(reload, "log", Log())
    async with world.running() as reloader:
        world.change("country: DE", "country: Germany")
        await reloader.reload(ANSWERS_S)
        await reloader.reload(ANSWERS_S)
        assert lines == ["site.refused"]


async def test_country_sender_and_voice_are_changed_while_calls_run(world: World) -> None:
    async with world.running() as reloader:
        before = reloader.in_force.current
        world.change("country: DE", "country: AT")
        world.change("+4915735990001", "+4915735990002", "sms.yaml")
        world.write("speech: {engine: piper, voices: {en: /voices/en.onnx}}\n", "speech.yaml")
        assert (await reloader.reload(ANSWERS_S)).problems == ()
        now = reloader.in_force.current
        assert (now.site.country, now.site.sms.sender) == ("AT", "+4915735990002")
        assert now.prompts.get("en", "goodbye").media != before.prompts.get("en", "goodbye").media


@pytest.mark.parametrize(
    ("text", "file", "setting"),
    [
        ("sms: {provider: twilio, sender: +4915735990001}", "sms.yaml", "sms.provider"),
        ("speech: {program: /opt/espeak}", "speech.yaml", "speech.program"),
    ],
)
async def test_what_needs_a_restart_says_so(world: World, text: str, file: str, setting: str) -> None:
    async with world.running() as reloader:
        sms = (world.folders.config / "sms.yaml").read_text()
        rest = sms[sms.index("in_call_sms:") :] if file == "sms.yaml" else ""
        world.write(f"{text}\n{rest}", file)
        world.brand("Other Shop")
        state = await reloader.reload(ANSWERS_S)
        assert "restart" in str(state.problems[0])
        assert setting in str(state.problems[0])
        assert file in str(state.problems[0])
        assert _brand(reloader) == "Example Shop", "all of a change or nothing"


async def test_a_voice_that_fails_changes_nothing(world: World) -> None:
    async with world.running() as reloader:
        world.voice.broken = True
        texts = world.folders.prompts / "en" / "texts.yaml"
        texts.write_text(texts.read_text().replace("Goodbye", "Farewell"))
        state = await reloader.reload(ANSWERS_S)
        assert [str(problem) for problem in state.problems] == ["no voice"]
        world.voice.broken = False
        assert (await reloader.reload(ANSWERS_S)).problems == ()


async def test_a_fault_of_ours_ends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as reloader:

        def stumbles(*_: object) -> None:
            raise RecursionError

        monkeypatch.setattr(reload, "make", stumbles)
        state = await reloader.reload(ANSWERS_S)
        assert "could not be read" in str(state.problems[0])


async def test_parts_hear_of_the_exchange_until_they_have_done_theirs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "LOOK_EVERY_S", 0.01)
    async with world.running() as reloader:
        world.push_fails = True
        world.brand("Other Shop")
        await reloader.reload(ANSWERS_S)
        assert world.exchanged == []
        world.push_fails = False
        await asyncio.wait_for(world.heard.wait(), ANSWERS_S)
        assert world.exchanged[0].brand == "Example Shop"


async def test_each_configuration_in_force_is_kept_and_can_be_gone_back_to(world: World) -> None:
    async with world.running() as reloader:
        await reloader.reload(ANSWERS_S)
        world.brand("Other Shop")
        assert await reloader.reload(ANSWERS_S) == State(2)
        [change] = world.history.differences(1)
        assert "-brand: Example Shop" in change.lines
        assert "+brand: Other Shop" in change.lines
        assert world.history.write_back(world.history.before_last_change(), NOW) == ["config/site.yaml"]
        await reloader.reload(ANSWERS_S)
        assert _brand(reloader) == "Example Shop"


def test_an_undo_without_a_number_first_takes_back_what_was_never_in_force(world: World) -> None:
    history = world.history
    history.keep(history.present(), NOW)
    world.write("nonsense", "more.yaml")
    world.brand("Other Shop")
    assert history.before_last_change().number == 1
    assert history.write_back(history.version(1), NOW) == ["config/more.yaml", "config/site.yaml"]
    assert not (world.folders.config / "more.yaml").exists()
    assert "Example Shop" in (world.folders.config / "site.yaml").read_text()
    [first, aside] = history.versions()
    assert (first.applied, aside.applied) == (True, False)
    assert history.contents(aside)["config/more.yaml"] == b"nonsense"


def test_what_is_not_settings_stays(world: World) -> None:
    world.history.keep(world.history.present(), NOW)
    world.write("notes", "README")
    world.brand("Other Shop")
    world.history.write_back(world.history.version(1), NOW)
    assert (world.folders.config / "README").exists()


def test_only_so_many_versions_are_kept_and_nothing_of_others(world: World) -> None:
    history = world.history
    for number in range(KEPT + 5):
        history.keep({"config/site.yaml": b"%d" % number}, NOW)
    assert [v.number for v in history.versions()] == list(range(6, KEPT + 6))
    assert len(list((world.folders.history / "contents").iterdir())) == KEPT
    with pytest.raises(Refused, match="there are 6 to 55"):
        history.version(5)


@pytest.mark.parametrize("name", ["config/../../etc/passwd", "/etc/passwd", "prompts/../x/y", "config/.x"])
def test_a_version_that_leads_elsewhere_is_none(world: World, name: str) -> None:
    versions = world.folders.history / "versions"
    versions.mkdir(parents=True)
    digest = "0" * 64
    (versions / "00000001.json").write_text(
        f'{{"number": 1, "at": "2026-01-31", "applied": true, "files": {{"{name}": "{digest}"}}}}'
    )
    assert world.history.versions() == []


def test_the_first_load_of_all_refuses_a_wrong_site(world: World) -> None:
    world.change("country: DE", "country: Germany")
    with pytest.raises(ConfigErrors):
        make_first(world.folders, world.speaks)


async def test_a_start_with_a_wrong_site_goes_on_with_the_one_in_force_last(world: World) -> None:
    async with world.running() as reloader:
        await reloader.reload(ANSWERS_S)
        world.brand("Second Shop")
        assert (await reloader.reload(ANSWERS_S)).version == 2
    world.told = asyncio.Queue()
    world.change("country: DE", "country: Germany")
    wrong = (world.folders.config / "site.yaml").read_bytes()
    async with world.running() as reloader:
        assert _brand(reloader) == "Second Shop"
        assert reloader.in_force.current.prompts.wording("en", "goodbye").startswith(
            "Thank you for calling Sec"
        )
        assert reloader.playable()
        assert reloader.state.version == 2
        assert "country" in str(reloader.state.problems[0])
        assert not await asyncio.wait_for(world.told.get(), ANSWERS_S)
        assert (world.folders.config / "site.yaml").read_bytes() == wrong, "the admin's files are the admin's"
        assert [version.number for version in world.history.versions()] == [1, 2], "nothing wrong is kept"
        world.change("country: Germany", "country: AT")
        assert (await reloader.reload(ANSWERS_S)) == State(3)
        assert reloader.in_force.current.site.country == "AT"


def test_a_history_that_is_no_help_is_said_and_the_start_refused(world: World) -> None:
    (world.folders.config / "wrong.yaml").write_text("nonsense: 1\n")
    files = world.history.present()
    world.history.keep(files, NOW)
    with pytest.raises(ConfigErrors, match="nonsense"):
        make_first(world.folders, world.speaks)
