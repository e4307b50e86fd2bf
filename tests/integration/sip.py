"""SIPp as caller and as agent's phone, one process a call; the sound goes to an ``Ear``.

Enough for the tests of the dialplan and the watchdog; the scenarios of the whole journey are in
``tests/sipp``.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ivr_engine.sipp.process import ends_with_us
from scripts.stack import ports

REGISTERED_S = 60
PATIENT = 'retrans="5000"'
"""Who asks again too soon is answered twice; the second answer would reach who has the port next."""


class SippFailed(AssertionError):
    """SIPp did not end as the scenario says."""


_HEAD = """From: <sip:[caller]@127.0.0.1>;tag=[pid]x[call_number]
To: <sip:[number]@127.0.0.1>{to_tag}
Call-ID: [call_id]
CSeq: {cseq}
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
Contact: <sip:[caller]@[local_ip]:[local_port]>"""

_ANSWERED = """[last_Via:]
[last_From:]
[last_To:]{to_tag}
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>"""

_SDP = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio [ear] RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15"""

_EMPTY = "Content-Length: 0\n"


def _send(first: str, *parts: str, attributes: str = "") -> str:
    body = "\n".join((first, *parts))
    return f"<send {attributes}><![CDATA[\n{body}\n]]></send>\n"


def _recv(what: str, attributes: str = "") -> str:
    return f"<recv {what} {attributes}/>\n"


def _scenario(*steps: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="call">\n{"".join(steps)}</scenario>\n'


def _until_the_end(hold_s: float, bye: str) -> str:
    """Stay up until the other side hangs up, or hang up after ``hold_s``."""
    return (
        _recv('request="BYE"', f'timeout="{int(hold_s * 1000)}" ontimeout="bye"')
        + _send("SIP/2.0 200 OK", _ANSWERED.format(to_tag=""), _EMPTY, attributes='next="end"')
        + '<label id="bye"/>\n'
        + bye
        + _recv('response="200"')
        + '<label id="end"/>\n'
    )


def caller(hold_s: float) -> str:
    """Call ``[number]`` as ``[caller]``, stay for ``hold_s`` seconds after the answer."""
    bye = _send(
        "BYE [next_url] SIP/2.0",
        _HEAD.format(to_tag="[peer_tag_param]", cseq="2 BYE"),
        "[routes]",
        _EMPTY,
        attributes='retrans="500"',
    )
    return _scenario(
        _send(
            "INVITE sip:[number]@[remote_ip]:[remote_port] SIP/2.0",
            _HEAD.format(to_tag="", cseq="1 INVITE"),
            _SDP,
            attributes='retrans="500"',
        ),
        *(_recv(f'response="{code}"', 'optional="true"') for code in (100, 180, 183)),
        _recv('response="200"', 'rrs="true"'),
        _send(
            "ACK [next_url] SIP/2.0",
            _HEAD.format(to_tag="[peer_tag_param]", cseq="1 ACK"),
            "[routes]",
            _EMPTY,
        ),
        _until_the_end(hold_s, bye),
    )


def refused(code: int) -> str:
    """Call ``[number]`` and be refused with ``code``."""
    return _scenario(
        _send(
            "INVITE sip:[number]@[remote_ip]:[remote_port] SIP/2.0",
            _HEAD.format(to_tag="", cseq="1 INVITE"),
            _SDP,
            attributes='retrans="500"',
        ),
        _recv('response="100"', 'optional="true"'),
        _recv(f'response="{code}"'),
        _send(
            "ACK sip:[number]@[remote_ip]:[remote_port] SIP/2.0",
            _HEAD.format(to_tag="[peer_tag_param]", cseq="1 ACK"),
            _EMPTY,
        ),
    )


def _register(cseq: int, authorization: str, attributes: str) -> str:
    head = _HEAD.format(to_tag="", cseq=f"{cseq} REGISTER").replace("[number]", "[caller]")
    return _send(
        "REGISTER sip:[remote_ip]:[remote_port] SIP/2.0",
        head,
        f"Expires: {REGISTERED_S}",
        *([authorization] if authorization else []),
        _EMPTY,
        attributes=attributes,
    )


def phone() -> str:
    """Register as ``[caller]`` with ``[password]``."""
    return _scenario(
        _register(1, "", PATIENT),
        _recv('response="401"', 'auth="true"'),
        _register(2, "[authentication username=[caller] password=[password]]", PATIENT),
        '<label id="once-more"/>\n',
        _recv('response="401"', 'optional="true" next="once-more"'),
        _recv('response="200"'),
    )


def phone_that_answers(hold_s: float) -> str:
    """Ring, answer, stay for ``hold_s`` seconds."""
    tag = ";tag=[pid]y[call_number]"
    bye = _send(
        "BYE [next_url] SIP/2.0",
        "[last_Via:]\nFrom: [$me]\nTo: [$you]\n[last_Call-ID:]\nCSeq: 1 BYE\nMax-Forwards: 70",
        _EMPTY,
        attributes='retrans="500"',
    )
    take = (
        '<recv request="INVITE" rrs="true"><action>'
        '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="you"/>'
        '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="me"/>'
        "</action></recv>\n"
    )
    return _scenario(
        take,
        _send("SIP/2.0 180 Ringing", _ANSWERED.format(to_tag=tag), _EMPTY),
        _send("SIP/2.0 200 OK", _ANSWERED.format(to_tag=tag), _SDP, attributes='retrans="500"'),
        _recv('request="ACK"'),
        _until_the_end(hold_s, bye),
    )


@dataclass(frozen=True)
class Sipp:
    """SIPp against the Asterisk on ``sip_port``; its files go into ``folder``."""

    sip_port: int
    folder: Path
    address: str = "127.0.0.1"
    """Where it calls from."""
    transport: str = "u1"
    """UDP; ``t1`` is TCP."""
    options: tuple[str, ...] = ()
    """More for SIPp's command line."""

    @asynccontextmanager
    async def plays(self, scenario: str, *, local_port: int = 0, **keys: str | int) -> AsyncGenerator[Call]:
        """Run ``scenario``; ``keys`` fill its ``[name]``. What still runs at the end is ended."""
        call = await Call.start(self, scenario, local_port, {k: str(v) for k, v in keys.items()})
        try:
            yield call
        finally:
            await call.abandon()

    async def play(
        self, scenario: str, *, within_s: float = 20, local_port: int = 0, **keys: str | int
    ) -> None:
        """Run ``scenario`` to its end."""
        async with self.plays(scenario, local_port=local_port, **keys) as call:
            await call.ended(within_s)


@dataclass(frozen=True)
class Call:
    """One running SIPp."""

    process: asyncio.subprocess.Process
    errors: Path

    @staticmethod
    async def start(sipp: Sipp, scenario: str, local_port: int, keys: dict[str, str]) -> Call:
        program = shutil.which("sipp")
        assert program is not None, "sipp is missing; `apt-get install sip-tester` brings it"
        number = len(list(sipp.folder.glob("*.xml")))
        file = sipp.folder / f"{number}.xml"
        # Not by SIPp's own -key, which does not reach into [authentication ...].
        for name, value in keys.items():
            scenario = scenario.replace(f"[{name}]", value)
        file.write_text(scenario)
        errors = file.with_suffix(".errors")
        port = str(local_port or ports.free(socket.SOCK_DGRAM))
        process = await asyncio.create_subprocess_exec(
            *ends_with_us(),
            *(program, f"127.0.0.1:{sipp.sip_port}", "-sf", str(file), "-i", sipp.address, "-p", port),
            *("-t", sipp.transport, "-m", "1", *sipp.options),
            *("-trace_err", "-error_file", str(errors), "-nostdin"),
            # Not a BYE of SIPp's own when something unexpected comes: it would wait for the answer.
            *("-default_behaviors", "abortunexp"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return Call(process, errors)

    async def ended(self, within_s: float = 20) -> None:
        """Wait until every call has gone as the scenario says; raise ``SippFailed`` if one has not."""
        try:
            async with asyncio.timeout(within_s):
                code = await self.process.wait()
        except TimeoutError:
            raise SippFailed(f"SIPp still runs after {within_s} s. {self._said()}") from None
        if code != 0:
            raise SippFailed(f"SIPp ended with {code}. {self._said()}")

    async def abandon(self) -> None:
        """End SIPp at once, as a phone that loses its network."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    def _said(self) -> str:
        return self.errors.read_text(errors="replace")[-3000:] if self.errors.exists() else ""


async def eventually(condition: Callable[[], Awaitable[bool]], within_s: float = 10) -> None:
    """Return once ``condition`` holds; ``TimeoutError`` when it does not in time. The last look is when the
    time is over, also of who was kept waiting until then."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not await condition():
        if loop.time() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.05)  # between two looks at another process
