"""``scripts/run``: everything the engine needs, and the engine, kept running until Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dialplan import configure
from dialplan.configure import LOOPBACK
from ivr_engine import keys
from scripts.stack import packages, venv
from scripts.stack.asterisk import Asterisk, from_environment, reached_at
from scripts.stack.child import Child, how
from scripts.stack.errors import StackError
from scripts.stack.ports import Ports, usable
from scripts.stack.system import GENERATED, become_root, say

HEALTHY_S = 120
"""The first start speaks every prompt."""
LOOK_S = 0.5
REPLACED = 76
"""The engine's exit status when another one took its application name: starting it again would fight."""

USAGE = """Usage: scripts/run

Sets up what is missing, then runs Asterisk, the SMS simulator, the watchdog and the engine until Ctrl-C.
What can be set, as environment variables (default):

  IVR_SIP_PORT       where Asterisk takes calls, UDP on IVR_SIP_HOST (5060 on 127.0.0.1)
  IVR_HTTP_PORT      where the engine's API is, on IVR_HTTP_HOST (8080 on 127.0.0.1)
  IVR_ARI_PORT       where Asterisk's ARI is, on IVR_ARI_HOST (8088 on 127.0.0.1)
  IVR_RTP_PORTS      UDP ports for sound (20000-29999)
  IVR_CALLERS        addresses and networks whose calls are taken, separated by commas (127.0.0.1)
  IVR_EXTERNAL_ADDRESS, IVR_LOCAL_NETS    behind NAT: how the world sees Asterisk, and who is inside
  IVR_SIMULATOR_PORT where the SMS simulator is, on 127.0.0.1 (8090)
  IVR_CONFIG, IVR_PROMPTS, IVR_STATE    other folders than config, prompts, .ivr/state
  IVR_API_TOKEN      the API's token (made once and kept)
  IVR_ARI_URL, IVR_ARI_USER, IVR_ARI_PASSWORD, IVR_SOUNDS    use that Asterisk and start none

`.ivr/venv/bin/ivr-engine run --help` lists all the engine reads."""


def main(arguments: Sequence[str]) -> int:
    """Run until told to stop; the exit status."""
    if arguments:
        print(USAGE)
        return 0 if {"-h", "--help"} & set(arguments) else 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: stop.set())
    state = Path(os.environ.get("IVR_STATE") or GENERATED / "state").resolve()
    with _alone(state), ExitStack() as stack:
        return _run(state, stack, stop)


def _run(state: Path, stack: ExitStack, stop: threading.Event) -> int:
    env = _environment(state)
    _check_ports(env)
    elsewhere = bool(env.get("IVR_ARI_URL"))
    if not elsewhere:
        become_root()
    needs = (*packages.ENVIRONMENT, *packages.SPEECH)
    packages.install(needs if elsewhere else (*needs, *packages.for_asterisk()))
    venv.ensure("run")
    if stop.is_set():
        return 130
    asterisk = from_environment() or _start_asterisk(env)
    stack.callback(asterisk.stop)
    env |= {
        "IVR_ARI_URL": asterisk.ari_url,
        "IVR_ARI_USER": asterisk.ari_user,
        "IVR_ARI_PASSWORD": asterisk.ari_password,
        "IVR_SOUNDS": str(asterisk.sounds_dir),
    }
    children = [Child(name, env) for name in ("simulator", "watchdog", "run")]
    for child in children:
        stack.callback(child.stop)
        child.start()
    if not _healthy(env, children, stop):
        return 130 if stop.is_set() else 1
    _welcome(state, env)
    while not stop.wait(LOOK_S):
        for child in tuple(children):
            if child.ended() == REPLACED:
                # The callers are in the other engine's hands: Asterisk must stay up for them.
                say("Another engine has taken this one's name, and its callers; this one stays down.")
                say("Give each engine its own IVR_ARI_APP. Asterisk and the rest run on until Ctrl-C.")
                children.remove(child)
            else:
                child.keep()
        if not elsewhere and not asterisk.running():
            say("Asterisk ended; it is started again.")
            if asterisk.kept():
                asterisk.restart()
            else:
                asterisk.stop()
                asterisk = _start_asterisk(env)
                stack.callback(asterisk.stop)
    say("Stopping ...")
    return 0


def _environment(state: Path) -> dict[str, str]:
    """What the engine's processes get: as given, with our defaults spelled out."""
    env = {name: value for name, value in os.environ.items() if value or not name.startswith("IVR_")}
    env.setdefault("IVR_SIP_PORT", "5060")
    env.setdefault("IVR_HTTP_HOST", LOOPBACK)
    env.setdefault("IVR_HTTP_PORT", "8080")
    env.setdefault("IVR_SIMULATOR_PORT", "8090")
    env.setdefault("IVR_SIMULATOR_URL", f"http://{LOOPBACK}:{env['IVR_SIMULATOR_PORT']}")
    env["IVR_STATE"] = str(state)
    return env


def _number(env: dict[str, str], name: str) -> int:
    text = env[name]
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise StackError(f"{name} is {text!r}; it must be a port, 1 to 65535.")
    return int(text)


def _check_ports(env: dict[str, str]) -> None:
    """Before anything is made, so that the sentence comes at once."""
    if not env.get("IVR_ARI_URL"):
        Ports(**vars(configure.ports(env))).check(configure.network(env))
    for name in ("IVR_HTTP_PORT", "IVR_SIMULATOR_PORT"):
        port = _number(env, name)
        if not usable(port, socket.SOCK_STREAM):
            raise StackError(f"TCP port {port} is taken; end what uses it, or set {name} to another one.")


def _start_asterisk(env: dict[str, str]) -> Asterisk:
    state = Path(env["IVR_STATE"])
    watched = bool(env.get("IVR_TRUNKS", "").strip())
    return Asterisk.start(
        folder=state / "asterisk",
        ports=Ports(**vars(configure.ports(env))),
        network=configure.network(env),
        sounds_dir=Path(env.get("IVR_SOUNDS") or state / "sounds"),
        ari_password=_secret(env, "ari_password"),
        ami_password=_secret(env, "ami_password") if watched else "",
    )


def _secret(env: dict[str, str], name: str) -> str:
    return configure.secret(env, f"IVR_{name.upper()}") or keys.secret(Path(env["IVR_STATE"]), name)


def _healthy(env: dict[str, str], children: Sequence[Child], stop: threading.Event) -> bool:
    """Wait until calls are taken; false when told to stop, or when a process ends before that (it has
    then said why)."""
    deadline = time.monotonic() + HEALTHY_S
    while not stop.wait(0.1):
        for child in children:
            if (code := child.ended()) is not None:
                say(f"The process {child.name} ended ({how(code)}); what it says is above.")
                return False
        try:
            with urllib.request.urlopen(f"{_address(env)}/health", timeout=2) as answer:
                if answer.status == 200:
                    return True
        except (OSError, urllib.error.URLError):
            pass
        if time.monotonic() > deadline:
            raise StackError(
                f"The engine takes no calls after {HEALTHY_S} s; {_address(env)}/health says why."
            )
    return False


def _address(env: dict[str, str]) -> str:
    return f"http://{reached_at(env['IVR_HTTP_HOST'])}:{env['IVR_HTTP_PORT']}"


def _welcome(state: Path, env: dict[str, str]) -> None:
    token = env.get("IVR_API_TOKEN") or keys.kept(state, keys.API_TOKEN)
    say(f"""
  Ready for calls.

  Dial   sip:700@{reached_at(env.get("IVR_SIP_HOST", LOOPBACK))}:{env["IVR_SIP_PORT"]} (UDP, no account)
  Look   {_address(env)}/docs (any name, the token as password)
         or with .ivr/venv/bin/ivr-engine: calls, queues, messages, handset read NUMBER, agents, ...
  Token  {token}

  Ctrl-C ends all of it.
""")


@contextmanager
def _alone(state: Path) -> Generator[None]:
    """One at a time in a state folder."""
    # It will hold phone numbers and texts.
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / "run.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"scripts/run runs already with the state in {state}.") from None
        yield
