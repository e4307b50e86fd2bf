"""How long an agent is idle while callers wait: from the agent's hang-up to the next ring at the same phone.

python -m bench.idle [--callers N] [--agents N]

A real Asterisk, SIPp as callers and as agents' phones. All callers come faster than they can be served, so
the line is never empty before the end: every pause between two calls of an agent is the engine's and
Asterisk's.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import statistics
import sys
import tempfile
import urllib.request
from collections import defaultdict
from contextlib import closing
from datetime import datetime
from json import loads
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.calls import machine
from scripts.stack import Asterisk, Ports
from tests.integration.engine import House, example_site, with_queue
from tests.integration.sip import Call, Sipp, caller, phone, phone_that_answers

NUMBER: Final = "790"
QUEUE: Final = {"announce_position": "no", "announcement_interval": 3600, "in_call_sms": "no"}
TALK_S: Final = 4.0
ARRIVALS_S: Final = 25.0
"""All callers come within so long: 30 minutes of arrivals, made short."""
OVER_S: Final = 150.0
_MESSAGE: Final = re.compile(r"^-{10,} (\d{4}-\d\d-\d\d)[ T\t]+(\d\d:\d\d:\d\d\.\d+)", re.M)
_RING: Final = re.compile(r"^INVITE sip:(bench-\d+)@", re.M)
_HUNG_UP: Final = re.compile(r"^BYE .*?^From: .*?sip:(bench-\d+)@", re.M | re.S)


async def measure(callers: int, agents: int, folder: Path) -> list[float]:
    """Seconds of each pause, sorted. ``SystemExit`` when a caller was lost."""
    site = example_site()
    names = with_queue(
        site,
        "bench",
        NUMBER,
        agents=agents,
        announce_position="no",
        announcement_interval=3600,
        in_call_sms="no",
    )
    ports = Ports.free()
    with (
        Asterisk.start(folder=folder / "asterisk", ports=ports) as asterisk,
        House(asterisk, folder / "house", site) as house,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sink,
    ):
        sink.bind(("127.0.0.1", 0))
        ear = sink.getsockname()[1]
        here, trace = Ports.free().sip, folder / "phones.log"
        await _register(house, names, Sipp(ports.sip, folder), here, ear)
        phones = Sipp(
            ports.sip,
            folder,
            options=("-m", str(10 * callers), "-trace_msg", "-message_file", str(trace)),
        )
        rate = ("-m", str(callers), "-r", str(callers), "-rp", f"{1000 * ARRIVALS_S:.0f}", "-l", str(callers))
        lines = Sipp(ports.sip, folder, options=rate)
        async with (
            phones.plays(_answering(), local_port=here, ear=ear),
            lines.plays(caller(OVER_S), caller="+4915112345678", number=NUMBER, ear=ear) as calling,
        ):
            await _signed_in(house, names)
            await _all_served(calling)
        calls = _ask(house, f"/api/v1/calls?limit={callers + 10}")["items"]
        lost = [c["end_reason"] for c in calls if c["end_reason"] != "agent_hung_up"]
        if lost or len(calls) != callers:
            sys.exit(f"{len(calls)} of {callers} calls, not served: {lost}")
        return sorted(_pauses(trace.read_text(errors="replace")))


def _answering() -> str:
    """The phone hangs up first: for that it must name itself as it did when it answered."""
    return phone_that_answers(TALK_S).replace("From: [$me]", "From: [$me];tag=[pid]y[call_number]")


async def _register(house: House, names: list[str], sipp: Sipp, here: int, ear: int) -> None:
    """Every agent's phone at one address: what rings says for whom."""
    for name in names:
        account = _ask(house, f"/api/v1/agents/{name}/phone")
        await sipp.play(phone(), local_port=here, caller=name, password=account["password"], ear=ear)


async def _signed_in(house: House, names: list[str]) -> None:
    for name in names:
        await asyncio.to_thread(_ask, house, f"/api/v1/agents/{name}/sign-in", "POST")


async def _all_served(calling: Call) -> None:
    await calling.ended(OVER_S)


def _ask(house: House, path: str, method: str = "GET") -> dict[str, Any]:
    request = urllib.request.Request(
        house.url + path, method=method, headers={"Authorization": f"Bearer {house.token}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: dict[str, Any] = loads(answer.read())
        return found


def _pauses(trace: str) -> list[float]:
    """From each agent's hang-up to the next ring, by SIPp's own record of its messages."""
    marks = list(_MESSAGE.finditer(trace))
    hung_up: dict[str, datetime] = {}
    pauses: defaultdict[str, list[float]] = defaultdict(list)
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        at = datetime.fromisoformat(f"{mark[1]} {mark[2]}")
        text = trace[mark.end() : following.start() if following else None]
        if ring := _RING.search(text):
            ended = hung_up.pop(ring[1], None)
            if ended is not None:
                pauses[ring[1]].append((at - ended).total_seconds())
        elif (bye := _HUNG_UP.search(text)) and bye[1] not in hung_up:
            hung_up[bye[1]] = at
    return [pause for each in pauses.values() for pause in each]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--callers", type=int, default=200)
    parser.add_argument("--agents", type=int, default=20)
    wanted = parser.parse_args()
    on = machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        pauses = asyncio.run(measure(wanted.callers, wanted.agents, Path(folder)))
    table = Table("callers", "agents", "lost", "pauses", "p50 ms", "p99 ms", "worst ms")
    times = (statistics.median(pauses), pauses[int(len(pauses) * 0.99)], pauses[-1])
    table.add_row(
        str(wanted.callers), str(wanted.agents), "0", str(len(pauses)), *(f"{1000 * t:.0f}" for t in times)
    )
    Console(width=90).print(on, table)


if __name__ == "__main__":
    main()
