"""Every caller script on a real Asterisk, many at the same time: each in a part of the site of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import yaml
from aiohttp import web

from ivr_engine.cli.client import Api
from ivr_engine.rehearsal.headless import ANYBODY
from ivr_engine.rehearsal.live import System, play_live
from ivr_engine.rehearsal.script_files import ScriptFile, read_scripts
from ivr_engine.rehearsal.written_prompts import names_of
from ivr_engine.settings import from_environ
from ivr_engine.sipp.process import LOOPBACK, Server, program
from ivr_engine.site.loader import load
from scripts.stack import Asterisk
from tests.callers.worlds import Raw, World
from tests.integration.engine import PROJECT, House, example_site, free_tcp_port
from tests.sipp.stage import library_of

STAGGER_S: Final = 0.25
"""Between the first beginnings: SIPp's starts and agents' rings do not all fall together."""
AT_ONCE: Final = 16
"""What the ears of one process hear without a gap while other tests run beside them."""
TOGETHER_S: Final = 120.0
PORT: Final = free_tcp_port()

SECOND: Final = PROJECT / "tests" / "callers"
LINES: Final = SECOND / "acd"
SITES: Final = {
    PROJECT / "config" / "callers": PROJECT / "config",
    SECOND / "scripts": SECOND / "site",
    LINES / "scripts": LINES,
}
"""Scripts, and the site they are for."""
FILES: Final = sorted(file for scripts in SITES for file in scripts.glob("*.yaml"))

ELSEWHERE: Final = f"http://127.0.0.1:{free_tcp_port()}"
"""Where data dips ask."""


def _worlds() -> dict[str, World]:
    worlds: dict[str, World] = {}
    for scripts, config in SITES.items():
        site, raw = load(config), _raw(config)
        for file in read_scripts([scripts], site, names_of(site, config.parent / "prompts")):
            worlds[file.name] = World(file, raw, site, len(worlds) + 1, ELSEWHERE)
    return worlds


def _raw(config: Path) -> Raw:
    if config == PROJECT / "config":
        return example_site()
    return yaml.load((config / "site.yaml").read_text(), yaml.BaseLoader)


@pytest.fixture(scope="module")
def worlds() -> dict[str, World]:
    return _worlds()


@pytest.fixture(scope="module")
def house(
    asterisk: Asterisk, tmp_path_factory: pytest.TempPathFactory, worlds: dict[str, World]
) -> Iterator[House]:
    second, third = _raw(SECOND / "site"), _raw(LINES)
    site = example_site() | {name: second[name] for name in ("transfers", "vip")}
    reasons = ("break_reasons", "wrap_up_reasons")
    site |= {name: third[name] for name in ("announcement_interval", "callbacks", *reasons)}
    site["skills"] = second["skills"] | third["skills"]
    site["access_points"] = second["access_points"] | {"points": {}}
    sections = site | {"points": site["access_points"]["points"]}
    for section in ("numbers", "queues", "flows", "schedules", "agents"):
        sections[section] = site[section] = {}
    for world in worlds.values():
        for section, own in world.settings().items():
            sections[section].update(own)
    folder = tmp_path_factory.mktemp("callers") / "house"
    with House(asterisk, folder, site, prompts=SECOND / "prompts") as house:
        yield house


@pytest.fixture(scope="module")
def failures(
    house: House, worlds: dict[str, World], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, str | None]:
    """Every script played; where each went another way."""
    return asyncio.run(_play_all(house, worlds, tmp_path_factory.mktemp("sipp")))


@pytest.mark.parametrize("name", [file.stem for file in FILES])
def test_script(failures: Mapping[str, str | None], name: str) -> None:
    assert failures[name] is None


async def _play_all(house: House, worlds: dict[str, World], folder: Path) -> Mapping[str, str | None]:
    outside, room = asyncio.Lock(), asyncio.Semaphore(AT_ONCE)
    with Api(from_environ(house.environment())) as api:
        system = System(
            site=load(house.config),
            server=Server(house.asterisk.sip_port),
            api=api,
            library=await library_of(house.config, house.prompts, house.sounds),
            folder=folder,
        )
        async with _other_systems(worlds):
            files = [world.script() for world in worlds.values()]
            plays = [
                _play(file, system, room, outside, after_s=number * STAGGER_S if number < AT_ONCE else 0.0)
                for number, file in enumerate(files)
                if not _needs_all(file)
            ]
            ended = dict(await asyncio.gather(*plays))
            for file in filter(_needs_all, files):
                ended |= [await _play(file, system, room, outside)]
    return ended


def _is_inside(file: ScriptFile) -> bool:
    """Whether the one trunk is not needed."""
    return not (file.script.is_called_back or any(name.startswith("+") for name in file.script.phones))


def _needs_all(file: ScriptFile) -> bool:
    """Whether all queues are closed: while nobody else is on the phone."""
    return any(
        step.staff and step.staff.does == "close" and not step.staff.queue for step in file.script.steps
    )


async def _play(
    file: ScriptFile, system: System, room: asyncio.Semaphore, outside: asyncio.Lock, *, after_s: float = 0.0
) -> tuple[str, str | None]:
    """Name and failure. One trunk leads outside: those who need it come one by one, beside the rest."""
    async with room if _is_inside(file) else outside:
        await asyncio.sleep(after_s)
        try:
            async with asyncio.timeout(TOGETHER_S):
                return file.name, (await play_live(file, system)).failure
        except Exception as error:
            return file.name, f"{file.path}: {error!r}"


@asynccontextmanager
async def _other_systems(worlds: dict[str, World]) -> AsyncGenerator[None]:
    """Answer data dips by the number of the world in the path; 503 where a script says nothing."""
    said = {str(world.number): list(world.file.script.answers.values()) for world in worlds.values()}
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        answers = said[request.match_info["world"]]
        if "too_late" in answers:
            await over.wait()
        if not answers or answers[0] == "too_late":
            return web.Response(status=503)
        return web.Response(text=json.dumps(answers[0]), content_type="application/json")

    app = web.Application()
    app.router.add_get("/{world}/{what}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(ELSEWHERE.rpartition(":")[2])).start()
    try:
        yield
    finally:
        over.set()
        await runner.cleanup()


async def test_a_scenario_runs_by_hand_and_with_ears(
    failures: Mapping[str, str | None], house: House, worlds: dict[str, World], tmp_path: Path
) -> None:
    """``script sipp`` and ``script sipp --run``, as a tester gives the commands."""
    script = json.loads(worlds["menu-support"].script().script.model_dump_json(exclude_defaults=True))
    script["steps"] = [each for step in script["steps"] for each in (*_slowly(step), step)]
    file = tmp_path / "menu-support.yaml"
    file.write_text(yaml.safe_dump(script))
    done = await asyncio.to_thread(house.command, "script", "sipp", str(file), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    scenario = tmp_path / "menu-support.xml"
    assert done.stdout.strip() == str(scenario)
    played = asyncio.to_thread(house.command, "script", "sipp", "--run", str(file))
    by_hand = [program(), "-sf", scenario, "-m", "1", "-i", LOOPBACK, "-mi", LOOPBACK, "-p", str(PORT)]
    with_ears, by_itself = await asyncio.gather(
        played, _ends([*map(str, by_hand), "-nostdin", f"{LOOPBACK}:{house.asterisk.sip_port}"], tmp_path)
    )
    assert with_ears.returncode == 0, with_ears.stdout + with_ears.stderr
    assert "passed" in with_ears.stdout
    assert by_itself == 0
    with Api(from_environ(house.environment())) as api:
        calls = await asyncio.to_thread(api.get, "/api/v1/calls", caller=ANYBODY)
    assert calls["items"][0]["queue"].endswith("support"), "the keys came when they were asked for"


def _slowly(step: Raw) -> Iterator[Raw]:
    """What comes before a step of who hears nothing and acts by the clock: the system may be slow."""
    if "presses" in step:
        yield {"waits": 1}
    if "hangs" in step:
        yield {"waits": 3}


async def _ends(command: list[str], folder: Path) -> int:
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdin=nothing, stdout=nothing, stderr=nothing
    )
    try:
        async with asyncio.timeout(60):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
