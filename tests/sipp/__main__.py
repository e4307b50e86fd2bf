"""Play the branches against a running engine and print a table: ``python -m tests.sipp --help``.

Branches without agents are played at the same time; those with agents one after another, because they
want the queue for themselves (nobody else may be signed in there).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ivr_engine.keys import API_TOKEN, kept
from ivr_engine.sipp.process import Server
from ivr_engine.sipp.sounds import Library
from tests.sipp.api import Api, api_of, until
from tests.sipp.branches import BRANCHES, Branch
from tests.sipp.scenarios import CALLERS
from tests.sipp.stage import Stage, library_of

LONGEST_S = 180.0
EMPTY_S = 60.0


@dataclass(frozen=True)
class Played:
    """What became of one branch; ``error`` is ``None`` when it passed."""

    branch: Branch
    seconds: float
    error: BaseException | None


def main() -> int:
    wanted = _arguments()
    played = asyncio.run(_play(wanted))
    Console().print(_table(played))
    failed = [each for each in played if each.error is not None]
    for each in failed:
        print(f"\n{each.branch.name}: {type(each.error).__name__}: {each.error}")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    state = Path(os.environ.get("IVR_STATE", ".ivr/state"))
    parser = argparse.ArgumentParser(prog="python -m tests.sipp", description=__doc__)
    parser.add_argument("branches", nargs="*", help=f"which ones (all): {', '.join(BRANCHES)}")
    parser.add_argument("--number", default="700", help="the number to call (700)")
    parser.add_argument("--agents", default="anna,ben", help="who serves its queue (anna,ben)")
    parser.add_argument("--language", default="en", help="what is spoken there (en)")
    parser.add_argument("--by-hand", action="store_true", help="SIPp alone acts, by the scenarios' times")
    parser.add_argument("--sip-port", type=int, default=int(os.environ.get("IVR_SIP_PORT", "5060")))
    parser.add_argument("--url", default=f"http://127.0.0.1:{os.environ.get('IVR_HTTP_PORT', '8080')}")
    parser.add_argument("--token", default=os.environ.get("IVR_API_TOKEN") or kept(state, API_TOKEN))
    parser.add_argument("--config", type=Path, default=Path(os.environ.get("IVR_CONFIG", "config")))
    parser.add_argument("--prompts", type=Path, default=Path(os.environ.get("IVR_PROMPTS", "prompts")))
    sounds = Path(os.environ.get("IVR_SOUNDS", str(state / "sounds")))
    parser.add_argument("--sounds", type=Path, default=sounds, help="folder of the rendered prompts")
    wanted = parser.parse_args()
    unknown = set(wanted.branches) - BRANCHES.keys()
    if unknown:
        parser.error(f"no branch {', '.join(sorted(unknown))}")
    if not wanted.token:
        parser.error("no token: set IVR_API_TOKEN, or IVR_STATE to the engine's state folder")
    return wanted


async def _play(wanted: argparse.Namespace) -> list[Played]:
    library = await library_of(wanted.config, wanted.prompts, wanted.sounds)
    with tempfile.TemporaryDirectory(prefix="sipp-") as folder:
        async with api_of(wanted.url, wanted.token) as api:
            stage = _stage(wanted, api, library, Path(folder))
            chosen = [BRANCHES[name] for name in wanted.branches or BRANCHES]
            if wanted.by_hand:
                chosen = [branch for branch in chosen if branch.name in CALLERS]
            together = [branch for branch in chosen if not branch.agents]
            played = list(await asyncio.gather(*(_play_one(branch, stage) for branch in together)))
            for branch in chosen:
                if branch.agents:
                    played.append(await _play_one(branch, stage))
    return played


def _stage(wanted: argparse.Namespace, api: Api, library: Library, folder: Path) -> Stage:
    return Stage(
        server=Server(wanted.sip_port),
        api=api,
        library=library,
        folder=folder,
        number=wanted.number,
        agents=wanted.agents.split(","),
        language=wanted.language,
        by_hand=wanted.by_hand,
    )


async def _line_is_empty(stage: Stage) -> None:
    """The agents of a branch would be given whoever waits there already."""

    async def others() -> list[str]:
        calls = await stage.api.open_calls()
        return [call["id"] for call in calls if call["number"] == stage.number]

    what = (
        f"nobody else is in a call to {stage.number}; end those calls, or take a number of its own (--number)"
    )
    await until(others, lambda found: not found, what=what, within=EMPTY_S)


async def _play_one(branch: Branch, stage: Stage) -> Played:
    began = time.monotonic()
    error: BaseException | None = None
    try:
        async with asyncio.timeout(LONGEST_S):
            if branch.agents:
                await _line_is_empty(stage)
            await branch.play(stage)
    except Exception as failure:
        error = failure
    print(f"{branch.name}: {'failed' if error else 'passed'}", file=sys.stderr, flush=True)
    return Played(branch, time.monotonic() - began, error)


def _table(played: list[Played]) -> Table:
    table = Table("branch", "what is seen", "", "s", box=None, header_style="bold", pad_edge=False)
    for each in played:
        outcome = "[green]passed[/]" if each.error is None else "[red]FAILED[/]"
        table.add_row(each.branch.name, each.branch.what, outcome, f"{each.seconds:.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
