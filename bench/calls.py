"""What a call costs. Two runs of the same load on the same Asterisk: a plain dialplan, then the engine.

Each call hears the consent message, presses 1 after a second, hears "sent" and hangs up after five
seconds. In the run with the engine the answer is stored with its proof, the SMS is written durably, sent to
the simulator, and its status comes back by webhook; all of that is in the engine's CPU time. What PostgreSQL
uses, where the engine stores in it, is a row of its own.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, LiteralString, Protocol

import psycopg
from rich.console import Console
from rich.table import Table

from bench import load
from bench.process import Used, family_cpu_s, machine_busy, used
from bench.report import write
from bench.wire import Reaction, Wire
from scripts.stack import Asterisk, Ports
from tests.integration.engine import House, example_site
from tests.postgresql import Server
from tests.sipp.stage import sound_files

NUMBER: Final = "710"
"""Queue ``express``: the consent message at once."""
PLAIN: Final = "720"
WARM_UP: Final = 50
SQLITE, POSTGRESQL = "sqlite", "postgresql"
SETTLED_S: Final = 60.0
THEIR_PLAIN_MS: Final = 8.4
"""What a call in the plain dialplan costs on the machine that the aims were set for. Where it costs more, a
machine has to be compared with that one: by the share of what it can do, and at as many calls a second as
keep it as busy."""
NOT_THEIRS: Final = 1.1
"""Times ``THEIR_PLAIN_MS`` above which a machine counts as slower."""
BUSY: Final = 0.5
"""Load average above which the numbers say more about the machine than about the program."""


class Dial(Protocol):
    """Call a number so often, so many times a second."""

    def __call__(self, *, number: str, calls: int, rate: int) -> load.Outcome: ...


@dataclass(frozen=True)
class Load:
    """So many calls, ``rate`` a second."""

    calls: int
    rate: int

    def scaled(self, share: float) -> Load:
        """As long, with that share of the calls."""
        return Load(max(1, round(self.calls * share)), max(1, round(self.rate * share)))


@dataclass(frozen=True)
class Run:
    """One load: what came of the calls, what Asterisk used for them."""

    rate: int
    outcome: load.Outcome
    asterisk_ms: float
    asterisk_peak_mb: float
    busy: float
    """How much of the machine all processes together used while the calls came, 0 to 1."""
    keys: int
    """Keys whose end was seen on the wire. Under load SIPp leaves some out."""


@dataclass(frozen=True)
class EngineRun(Run):
    """``sms_*``: rows in the store, and messages in the simulator's own ledger."""

    engine_ms: float
    engine_peak_mb: float
    simulator_ms: float
    database_ms: float | None
    """What PostgreSQL used; ``None`` with SQLite, which is part of the engine."""
    allowed: int
    sms_delivered: int
    sms_in_ledger: int
    reactions: list[Reaction]
    dropped: int


def main() -> int:
    wanted = _arguments()
    here = machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        ports = Ports.free()
        with Asterisk.start(folder=folder / "asterisk", ports=ports) as asterisk:
            callers = load.Ports.free(wanted.calls)
            every = range(1, wanted.calls + 1)
            wire = Wire(ports.http, {load.caller(call): callers.of_call(call) for call in every})
            wire.start()
            with (
                _database(wanted.database) as database,
                House(asterisk, folder / "house", example_site(), database_url=database.url) as house,
            ):
                _plain_dialplan(asterisk, house)
                dial = functools.partial(load.run, folder, callers, sip_port=ports.sip)
                whole = Load(wanted.calls, wanted.rate)
                plain = _plain(asterisk, wire, dial, whole)
                runs = [_engine(asterisk, house, database, wire, dial, whole)]
                if plain.asterisk_ms > THEIR_PLAIN_MS * NOT_THEIRS:
                    slower = whole.scaled(THEIR_PLAIN_MS / plain.asterisk_ms)
                    runs.append(_engine(asterisk, house, database, wire, dial, slower))
                wire.stop()
    rows = _rows(plain, runs)
    _show(rows)
    if not wanted.no_file:
        write(
            rows,
            machine=here,
            calls=wanted.calls,
            rate=wanted.rate,
            warm_up=WARM_UP,
            database=wanted.database,
        )
    agree = all(run.allowed == run.sms_delivered == run.sms_in_ledger == run.keys for run in runs)
    return 0 if agree and not any(run.outcome.failed for run in (plain, *runs)) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=50, help="calls a second (50)")
    parser.add_argument("--no-file", action="store_true", help="do not write docs/benchmarks.md")
    parser.add_argument(
        "--database",
        choices=(SQLITE, POSTGRESQL),
        default=SQLITE,
        help="what the engine stores in (sqlite); for postgresql a server is made",
    )
    return parser.parse_args()


@dataclass(frozen=True)
class Database:
    """``url`` is empty for SQLite; ``pid``: the server's."""

    url: str = ""
    pid: int | None = None

    def cpu_s(self) -> float:
        return 0.0 if self.pid is None else family_cpu_s(self.pid)


@contextmanager
def _database(kind: str) -> Generator[Database]:
    """A server as in production: what is committed is on the disk."""
    if kind == SQLITE:
        yield Database()
        return
    with Server(fsync="on", full_page_writes="on") as server, server.database() as url:
        yield Database(url, server.pid)


def _plain_dialplan(asterisk: Asterisk, house: House) -> None:
    """The same two prompts from the dialplan alone."""
    files = sound_files(house.config, house.prompts, house.sounds)
    consent, sent = files["en/consent"].stem, files["en/sms_sent"].stem
    for line in (
        f"{PLAIN},1,Goto,bench,s,1 into ivr-in",
        "s,1,Answer into bench",
        f"s,2,Background,ivr/{consent} into bench",
        "s,3,WaitExten,10 into bench",
        f"1,1,Playback,ivr/{sent} into bench",
        "1,2,Wait,10 into bench",
    ):
        said = asterisk.cli(f"dialplan add extension {line}")
        if "added" not in said:
            raise SystemExit(f"the plain dialplan could not be made: {said}")


def _plain(asterisk: Asterisk, wire: Wire, dial: Dial, wanted: Load) -> Run:
    _say(f"plain dialplan, {wanted.rate} calls a second")
    dial(number=PLAIN, calls=WARM_UP, rate=wanted.rate)
    wire.forget()
    before, machine = used(asterisk.pid), machine_busy()
    outcome = dial(number=PLAIN, calls=wanted.calls, rate=wanted.rate)
    after, busy = used(asterisk.pid), _share(machine)
    return Run(
        rate=wanted.rate,
        outcome=outcome,
        asterisk_ms=_ms_a_call(before, after, wanted.calls),
        asterisk_peak_mb=after.peak_mb,
        busy=busy,
        keys=len(wire.reactions),
    )


def _share(before: tuple[float, float]) -> float:
    now = machine_busy()
    return (now[0] - before[0]) / (now[1] - before[1])


def _engine(
    asterisk: Asterisk, house: House, database: Database, wire: Wire, dial: Dial, wanted: Load
) -> EngineRun:
    _say(f"engine, {wanted.rate} calls a second")
    assert house.engine is not None
    assert house.simulator is not None
    pids = asterisk.pid, house.engine.pid, house.simulator.pid
    dial(number=NUMBER, calls=WARM_UP, rate=wanted.rate)
    _settle(house)
    warm = _counts(house)
    wire.forget()
    before, machine, stored = [used(pid) for pid in pids], machine_busy(), database.cpu_s()
    outcome = dial(number=NUMBER, calls=wanted.calls, rate=wanted.rate)
    busy = _share(machine)
    _settle(house)
    after, stored = [used(pid) for pid in pids], database.cpu_s() - stored
    counts = [now - then for now, then in zip(_counts(house), warm, strict=True)]
    asterisk_ms, engine_ms, simulator_ms = (
        _ms_a_call(then, now, wanted.calls) for then, now in zip(before, after, strict=True)
    )
    return EngineRun(
        rate=wanted.rate,
        outcome=outcome,
        asterisk_ms=asterisk_ms,
        asterisk_peak_mb=after[0].peak_mb,
        busy=busy,
        keys=len(wire.reactions),
        engine_ms=engine_ms,
        engine_peak_mb=after[1].peak_mb,
        simulator_ms=simulator_ms,
        database_ms=stored * 1000 / wanted.calls if database.pid is not None else None,
        allowed=counts[0],
        sms_delivered=counts[1],
        sms_in_ledger=counts[2],
        reactions=wire.reactions,
        dropped=wire.dropped,
    )


def _settle(house: House) -> None:
    """Wait until every call is ended and every SMS has come to its end."""
    deadline = time.monotonic() + SETTLED_S
    while _open_work(house):
        if time.monotonic() > deadline:
            logs = house.log()[-2000:] + house.log("simulator")[-2000:]
            raise SystemExit(f"{_open_work(house)} calls and SMS still open after {SETTLED_S:g} s: {logs}")
        time.sleep(0.2)


def _open_work(house: House) -> int:
    calls = _stored(house, "SELECT count(*) FROM calls WHERE ended_at IS NULL")
    return calls + _stored(house, "SELECT count(*) FROM messages WHERE status != 'delivered'")


def _counts(house: House) -> tuple[int, int, int]:
    allowed = _stored(house, "SELECT count(*) FROM consents WHERE outcome = 'allowed'")
    delivered = _stored(house, "SELECT count(*) FROM messages WHERE status = 'delivered'")
    ledger = _in_file(house, "SELECT count(*) FROM messages", "simulator.sqlite3")
    return allowed, delivered, ledger


def _stored(house: House, query: LiteralString) -> int:
    if not house.database_url:
        return _in_file(house, query, "ivr.db")
    with psycopg.connect(house.database_url) as connection:
        [count] = connection.execute(query).fetchone() or (0,)
        return int(count)


def _in_file(house: House, query: str, file: str) -> int:
    with closing(sqlite3.connect(f"file:{house.state / file}?mode=ro", uri=True, timeout=10)) as database:
        return int(database.execute(query).fetchone()[0])


def _ms_a_call(before: Used, after: Used, calls: int) -> float:
    return (after.cpu_s - before.cpu_s) * 1000 / calls


def _rows(plain: Run, runs: list[EngineRun]) -> list[tuple[str, ...]]:
    """What is measured, of the plain dialplan and of each run with the engine."""
    both = [plain, *runs]
    share = THEIR_PLAIN_MS / plain.asterisk_ms

    def row(what: str, of_plain: str, of: Callable[[EngineRun], str]) -> tuple[str, ...]:
        return (what, of_plain, *map(of, runs))

    served = [row("PostgreSQL CPU a call", "-", lambda run: f"{run.database_ms or 0:.2f} ms")]
    return [
        ("calls a second", *(str(run.rate) for run in both)),
        ("calls failed", *(f"{run.outcome.failed} of {_calls(run.outcome)}" for run in both)),
        ("keys on the wire", *(str(run.keys) for run in both)),
        ("machine busy while the calls came", *(f"{run.busy:.0%}" for run in both)),
        row("engine CPU a call", "-", lambda run: f"{run.engine_ms:.2f} ms"),
        *(served if runs[0].database_ms is not None else []),
        ("Asterisk CPU a call", *(f"{run.asterisk_ms:.2f} ms" for run in both)),
        row("engine against Asterisk, same run", "-", lambda run: f"{run.engine_ms / run.asterisk_ms:.0%}"),
        row(
            "engine CPU a call, were this the machine of the aims",
            f"({THEIR_PLAIN_MS:.2f} ms)",
            # Fewer calls at once share fewer commits, so each of them costs more.
            lambda run: f"{run.engine_ms * share:.2f} ms" if run is runs[0] else "-",
        ),
        row(
            "key's end packet → PlaybackFinished, p50 / p99",
            "-",
            lambda run: _spread(run.reactions, lambda one: one.stopped and one.stopped - one.ended),
        ),
        row(
            "of that, key's end packet → ChannelDtmfReceived",
            "-",
            lambda run: _spread(run.reactions, lambda one: one.told and one.told - one.ended),
        ),
        row(
            "consents stored / SMS delivered / in the provider's ledger",
            "-",
            lambda run: f"{run.allowed} / {run.sms_delivered} / {run.sms_in_ledger}",
        ),
        row("most memory, engine", "-", lambda run: f"{run.engine_peak_mb:.0f} MB"),
        ("most memory, Asterisk", *(f"{run.asterisk_peak_mb:.0f} MB" for run in both)),
        row("SMS simulator CPU a call", "-", lambda run: f"{run.simulator_ms:.2f} ms"),
    ]


def _calls(outcome: load.Outcome) -> int:
    return outcome.good + outcome.failed


def _spread(reactions: list[Reaction], of: Callable[[Reaction], float | None]) -> str:
    values = sorted(value * 1000 for each in reactions if (value := of(each)) is not None)
    if len(values) < 100:
        return f"only {len(values)} seen"
    cuts = statistics.quantiles(values, n=100)
    return f"{cuts[49]:.1f} / {cuts[98]:.1f} ms ({len(values)} calls)"


def machine() -> str:
    """What this runs on, and how busy it was before."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    busy = os.getloadavg()[0]
    if busy > BUSY:
        _say(f"the machine is busy with other work (load {busy:.1f}): the numbers will be too high")
    return f"{os.cpu_count()} cores, {model}; Python {platform.python_version()}; load before: {busy:.1f}"


def _show(rows: list[tuple[str, ...]]) -> None:
    headings = "", "plain dialplan", *("engine" for _ in rows[0][2:])
    table = Table(*headings, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _say(what: str) -> None:
    print(f"{what} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
