"""The callers of the bench: one SIPp, and somewhere for the RTP to go."""

from __future__ import annotations

import csv
import random
import resource
import socket
import subprocess
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SCENARIO: Final = Path(__file__).with_name("consent_call.xml")
LOOPBACK: Final = "127.0.0.1"
CALL_S: Final = 5.2
SPARE_S: Final = 60.0


class LoadFailed(Exception):
    """SIPp could not be run."""


@dataclass(frozen=True)
class Outcome:
    """Calls that went as the scenario says, and calls that did not."""

    good: int
    failed: int


def caller(call: int) -> str:
    """The number of the ``call``-th caller, from 1: a German mobile number each."""
    return f"+49151{10_000_000 + call}"


@dataclass(frozen=True)
class Ports:
    """``media``: SIPp's media port; the SDP of call n (from 1) names it + 10 + 4 (n - 1)."""

    media: int

    @staticmethod
    def free(calls: int) -> Ports:
        """A range nobody uses now."""
        for _ in range(50):
            ports = Ports(random.randrange(33_000, 60_000 - 4 * calls, 2))
            try:
                own = [ports.sip, ports.control, ports.media, ports.media + 2]
                with _sinks([*own, *map(ports.of_call, range(1, calls + 1))]):
                    return ports
            except OSError:
                continue
        raise LoadFailed(f"there is no free range of {4 * calls} UDP ports")

    @property
    def sip(self) -> int:
        return self.media - 2

    @property
    def control(self) -> int:
        return self.media - 4

    def of_call(self, call: int) -> int:
        return self.media + 10 + 4 * (call - 1)


def callers(file: Path, calls: int) -> Path:
    """The callers' numbers for SIPp."""
    file.write_text("SEQUENTIAL\n" + "".join(f"{caller(call)};\n" for call in range(1, calls + 1)))
    return file


def run(folder: Path, ports: Ports, *, sip_port: int, number: str, calls: int, rate: int) -> Outcome:
    """Call ``number`` so often, ``rate`` times a second; returns when the last call is over."""
    numbers = callers(folder / "callers.csv", calls)
    statistics = folder / f"sipp-{number}-{calls}.csv"
    statistics.unlink(missing_ok=True)
    command = ["sipp", "-sf", str(SCENARIO), "-inf", str(numbers), "-s", number, "-m", str(calls)]
    command += ["-r", str(rate), "-l", str(calls), "-i", LOOPBACK, "-mi", LOOPBACK, "-p", str(ports.sip)]
    command += [
        "-mp",
        str(ports.media),
        "-cp",
        str(ports.control),
        "-nostdin",
        "-trace_stat",
        "-stf",
        str(statistics),
    ]
    command += ["-trace_err", "-error_file", str(folder / f"sipp-{number}-{calls}.errors")]
    with _somewhere_to_go(ports, calls), (folder / "sipp.out").open("wb") as out:
        try:
            subprocess.run(
                [*command, f"{LOOPBACK}:{sip_port}"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=folder,
                timeout=calls / rate + CALL_S + SPARE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LoadFailed(f"SIPp: {error}") from None
    if not statistics.exists():
        raise LoadFailed(f"SIPp did not start: {(folder / 'sipp.out').read_text(errors='replace')[-500:]}")
    with statistics.open() as opened:
        last = list(csv.DictReader(opened, delimiter=";"))[-1]
    good = int(last["SuccessfulCall(C)"])
    return Outcome(good, calls - good)


@contextmanager
def _somewhere_to_go(ports: Ports, calls: int) -> Generator[None]:
    """A socket at each caller's media port that is never read. Without one, Asterisk would spend time on the
    kernel telling it, packet by packet, that nobody is there."""
    try:
        with _sinks(map(ports.of_call, range(1, calls + 1))):
            yield
    except OSError as error:
        raise LoadFailed(f"a port for RTP was taken meanwhile ({error.strerror}); run it again") from None


@contextmanager
def _sinks(ports: Iterable[int]) -> Generator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    with ExitStack() as sinks:
        for port in ports:
            sink = sinks.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sink.bind((LOOPBACK, port))
        yield
