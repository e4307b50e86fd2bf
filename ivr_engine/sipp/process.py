"""SIPp as a child process: started, cued, watched, ended.

A ``Sipp`` runs one scenario for one or many calls. Its call number *n* (from 1) has its media end on
``ears[n-1]``, which is open before SIPp starts.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ivr_engine.errors import ExternalError
from ivr_engine.sipp.ears import PHONE_EVENT, Ear
from ivr_engine.sipp.scenarios import CUE, register
from ivr_engine.sipp.sounds import Library

LOOPBACK: Final = "127.0.0.1"
REGISTERED_S: Final = 600
FIRST_EAR: Final = 10
"""Offset from SIPp's media port that the scenarios' SDP names, + 4 a further call. SIPp binds + 0 and + 2."""
_GUARD: Final = 8
"""Offset of a port in each step that nobody uses: held as long as the step's others belong to a SIPp, which
may not have bound them yet, or may have ended and be started again."""
_STEP: Final = 16
END_S: Final = 0.5
"""In this time callers who hang up have done so, where nothing keeps them waiting."""
LAST_S: Final = 3.0
"""In this time the others have too: a SIPp that is killed says goodbye to nobody, and its calls stay."""


class SippFailed(ExternalError):
    """SIPp ended with an error: an unexpected answer, or none."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where to call."""

    port: int
    host: str = LOOPBACK


@dataclass(frozen=True, slots=True)
class Logged:
    """A line a scenario wrote: ``rings``, ``answered``, ``cancelled``, ``hung-up-on``, ``hangs-up``.

    ``at`` is the wall clock (seconds since 1970).
    """

    what: str
    call_id: str
    at: float


@dataclass(slots=True)
class Sipp:
    """One running SIPp."""

    process: asyncio.subprocess.Process
    folder: Path
    name: str
    host: str
    port: int
    ears: Sequence[Ear]
    _cues: dict[str, int] = field(default_factory=dict[str, int])

    def call_id(self, call: int) -> str:
        """The Call-ID of the ``call``-th call made (from 1)."""
        return f"{self.name}-{call}"

    def cue(self, call_id: str) -> None:
        """Tell the scenario of that call to go on."""
        number = self._cues[call_id] = self._cues.get(call_id, 0) + 1
        lines = (
            f"{CUE} sip:cue@{self.host}:{self.port} SIP/2.0",
            f"Via: SIP/2.0/UDP {LOOPBACK}:9;branch=z9hG4bKcue{number}",
            "From: <sip:cue@cue>;tag=cue",
            "To: <sip:cue@cue>;tag=cue",
            f"Call-ID: {call_id}",
            f"CSeq: {number} {CUE}",
            "Content-Length: 0\r\n\r\n",
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto("\r\n".join(lines).encode(), (self.host, self.port))

    def hang_up(self, call_id: str) -> None:
        """Cue that call to its end, once: told again before its BYE is sent, SIPp drops it without one."""
        if call_id not in self._cues:
            self.cue(call_id)

    def log(self) -> list[Logged]:
        """What the scenario has logged so far."""
        file = self.folder / f"{self.name}.log"
        lines = file.read_text().splitlines() if file.exists() else []
        words = [line.split() for line in lines if line.count("\t") == 2]
        return [Logged(each[0], each[1], float(each[-1])) for each in words]

    def hang_up_all(self) -> None:
        for call in range(1, len(self.ears) + 1):
            self.hang_up(self.call_id(call))

    async def logs(
        self, what: str, *, call_id: str | None = None, within: float = 15.0, times: int = 1
    ) -> Logged:
        """The first such line (of that call), or the ``times``-th; ``SippFailed`` when it does not come in
        time."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            found = [line for line in self.log() if line.what == what and call_id in (None, line.call_id)]
            if len(found) >= times:
                return found[times - 1]
            if asyncio.get_running_loop().time() > deadline:
                raise SippFailed(f"{self.name}: no '{what}' within {within:g} s, only {self.log()}")
            await asyncio.sleep(0.02)

    async def done(self, *, within: float = 30.0) -> None:
        """Wait until every call has taken the way its scenario goes; else ``SippFailed``."""
        try:
            async with asyncio.timeout(within):
                code = await self.process.wait()
        except TimeoutError:
            raise SippFailed(f"{self.name}: still running after {within:g} s: {self.log()}") from None
        if code != 0:
            raise SippFailed(f"{self.name}: SIPp ended with {code}: {self.errors()}")

    def errors(self) -> str:
        """What SIPp complained about."""
        files = [self.folder / f"{self.name}.{kind}" for kind in ("errors", "out")]
        return "\n".join(file.read_text(errors="replace")[-2000:] for file in files if file.exists())

    async def stop(self) -> None:
        """End it, whatever it is doing: calls that wait for a cue hang up first."""
        self.hang_up_all()
        if not await self._over(END_S):
            await self.stop_being_called(LAST_S)

    async def stop_being_called(self, within: float = END_S) -> None:
        """End it as soon as its calls are over, and after that time in any case."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGUSR1)
        if not await self._over(within) and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    async def _over(self, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                await self.process.wait()
        except TimeoutError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Ports:
    """What one SIPp binds on ``host``: its media (also + 2), SIP and control ports; the ears of its calls."""

    host: str
    media: int
    ears: Sequence[Ear]
    guards: Sequence[Ear]

    @property
    def sip(self) -> int:
        return self.media + 4

    @property
    def control(self) -> int:
        return self.media + 6


@asynccontextmanager
async def calls(
    scenario: Path,
    server: Server,
    *,
    number: str,
    callers: Sequence[str],
    library: Library,
    folder: Path,
    rate: float = 20.0,
) -> AsyncGenerator[Sipp]:
    """Call ``number`` once from each of ``callers``, ``rate`` a second. Leaving ends what still runs."""
    async with _ports(LOOPBACK, library, len(callers)) as ports:
        name = _name(scenario.stem)
        numbers = folder / f"{name}.csv"
        numbers.write_text("SEQUENTIAL\n" + "".join(f"{caller};\n" for caller in callers))
        arguments = ["-s", number, "-inf", str(numbers), "-m", str(len(callers)), "-r", f"{rate:g}"]
        arguments += ["-cid_str", f"{name}-%u", f"{server.host}:{server.port}"]
        sipp = await _start(scenario, arguments, folder, name, ports)
        try:
            yield sipp
        finally:
            await sipp.stop()


@asynccontextmanager
async def phone(
    scenario: Path,
    server: Server,
    *,
    account: str,
    password: str,
    library: Library,
    folder: Path,
    calls: int = 1,
) -> AsyncGenerator[Sipp]:
    """An agent's phone: registered while it is there, and ready to be rung so often (``ears[0]`` hears its
    first call)."""
    async with _ports(_own_address(), library, calls) as ports:
        for ear in ports.ears:
            ear.sends_keys_as(PHONE_EVENT)
        log_in = ["-s", account, "-au", account, "-ap", password, "-m", "1", f"{server.host}:{server.port}"]
        await _register(REGISTERED_S, log_in, folder, ports)
        arguments = ["-s", account, f"{server.host}:{server.port}"]
        sipp = await _start(scenario, arguments, folder, _name(scenario.stem), ports)
        try:
            yield sipp
        finally:
            await sipp.stop_being_called()
            await _register(0, log_in, folder, ports)


async def _register(seconds: int, arguments: Sequence[str], folder: Path, ports: Ports) -> None:
    name = _name("register" if seconds else "unregister")
    scenario = folder / f"{name}.xml"
    scenario.write_text(register(seconds))
    sipp = await _start(scenario, arguments, folder, name, ports)
    try:
        await sipp.done(within=10)
    finally:
        await sipp.stop()


def program() -> str:
    """Where SIPp is; ``SippFailed`` when it is not installed."""
    found = shutil.which("sipp")
    if found is None:
        raise SippFailed("sipp is missing; `apt-get install sip-tester` brings it")
    return found


def ends_with_us() -> Sequence[str]:
    """Put before a command, it is killed when we are, however that happens: nobody would be called for ever.
    Nothing where ``setpriv`` is missing."""
    found = shutil.which("setpriv")
    return (found, "--pdeathsig", "KILL") if found else ()


async def _start(scenario: Path, arguments: Sequence[str], folder: Path, name: str, ports: Ports) -> Sipp:
    common = ["-sf", str(scenario), "-i", ports.host, "-p", str(ports.sip), "-nostdin"]
    common += ["-mi", ports.host, "-mp", str(ports.media), "-ci", ports.host, "-cp", str(ports.control)]
    common += ["-trace_logs", "-log_file", str(folder / f"{name}.log")]
    common += ["-trace_err", "-error_file", str(folder / f"{name}.errors")]
    nothing = asyncio.subprocess.DEVNULL
    with (folder / f"{name}.out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *ends_with_us(), program(), *common, *arguments, stdin=nothing, stdout=out, stderr=out, cwd=folder
        )
    return Sipp(process, folder, name, ports.host, ports.sip, ports.ears)


_PORTS: Final = range(30_000, 32_700)
"""Above those Asterisk uses in tests, below those the kernel hands out by itself (32768 and up)."""
_next_port = random.randrange(_PORTS.start, _PORTS.stop, _STEP)  # noqa: S311  not a secret


@asynccontextmanager
async def _ports(host: str, library: Library, calls: int) -> AsyncGenerator[Ports]:
    """Ports of its own for a SIPp with that many calls; the ears are open."""
    ports = await _free_ports(host, library, calls)
    try:
        yield ports
    finally:
        for ear in (*ports.ears, *ports.guards):
            ear.close()


def _own_address() -> str:
    """A loopback address that nobody else is likely to have had. A phone takes whatever comes for its first
    call, and with it the next call's port: also what Asterisk still says to whoever had the same address and
    port before, for half a minute (RFC 3261, 17.1.2.2)."""
    return ".".join(("127", *(str(random.randrange(1, 255)) for _ in range(3))))  # noqa: S311  not a secret


async def _free_ports(host: str, library: Library, calls: int) -> Ports:
    global _next_port
    steps = -(-(FIRST_EAR + 4 * calls) // _STEP)
    size = steps * _STEP
    while True:
        if _next_port + size > _PORTS.stop:
            _next_port = _PORTS.start
        base, _next_port = _next_port, _next_port + size
        # The guards first: looking at the others would disturb a SIPp that is about to bind them.
        guards = [base + _GUARD + _STEP * step for step in range(steps)]
        bound_by_sipp = [base, base + 2, base + 4, base + 6]
        ears = [base + FIRST_EAR + 4 * number for number in range(calls)]
        opened = await _open(host, [*guards, *bound_by_sipp, *ears], library)
        for ear in opened[steps : steps + 4]:
            ear.close()
        if opened:
            # Let go of them for good first.
            await asyncio.sleep(0)
            return Ports(host, base, opened[steps + 4 :], opened[:steps])


async def _open(host: str, ports: Sequence[int], library: Library) -> list[Ear]:
    """An ear at each port, or none at all when one is taken."""
    opened: list[Ear] = []
    try:
        for port in ports:
            opened.append(await Ear.open(library, port, host))
    except OSError:
        for ear in opened:
            ear.close()
        return []
    return opened


def _name(what: str) -> str:
    return f"{what}-{random.getrandbits(32):08x}"
