"""Commands that are a process of their own: the engine, the SMS simulator, the watchdog, the check."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ivr_engine.errors import IvrError
from ivr_engine.settings import VARIABLES, Settings, from_environ

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ivr_engine.errors import ConfigError
    from ivr_engine.site.check import Problem

_VARIABLES = "Settings come from the environment:\n\n" + "\n\n".join(
    f"{name}: {meaning}" for name, meaning in VARIABLES.items()
)


def add_to(app: typer.Typer) -> None:
    """The commands of this module."""
    app.command(epilog=_VARIABLES)(run)
    app.command()(check)
    app.command()(simulator)
    app.command()(watchdog)


def settings() -> Settings:
    """From the environment of this process."""
    return from_environ(os.environ)


def run() -> None:
    """Take calls, until SIGTERM or Ctrl-C. Callers on the line stay in Asterisk."""
    gc.disable()  # a quarter of the start would be looking through what stays; `bootstrap` ends this
    from ivr_engine import bootstrap, observability

    here = settings()
    lines = observability.set_up(here.log, here.log_level)
    try:
        code = bootstrap.run(here)
    except BaseExceptionGroup as errors:
        meant, rest = errors.split(IvrError)
        if meant is None or rest is not None:
            raise
        raise _first(meant) from None
    finally:
        lines.flush()
    raise typer.Exit(code)


def check(
    config: Annotated[Path | None, typer.Argument(help="The site's folder [IVR_CONFIG]")] = None,
    prompts: Annotated[Path | None, typer.Option(help="Texts and audio [IVR_PROMPTS]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts")] = False,
) -> None:
    """Find what is wrong with the site's files: status 1 when there are errors."""
    from ivr_engine.site.check import Severity
    from ivr_engine.site.check import check as problems_of

    here = settings()
    problems = problems_of(
        config or here.config,
        prompts or here.prompts,
        provider=lambda name: _lacking(name, here),
        environ=os.environ,
    )
    if as_json:
        sys.stdout.write(json.dumps([_as_dict(problem) for problem in problems], indent=2) + "\n")
    else:
        _print_problems(problems)
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise typer.Exit(1)


def _lacking(provider: str, here: Settings) -> list[ConfigError]:
    """What the environment lacks for the SMS provider."""
    from ivr_engine.sms.twilio_account import problems

    return problems(here.twilio, here.public_url) if provider == "twilio" else []


def simulator(
    port: Annotated[int | None, typer.Option(help="Port; else that of IVR_SIMULATOR_URL")] = None,
) -> None:
    """The pretend SMS provider with its handsets, for testing without an account anywhere."""
    from urllib.parse import urlsplit

    from ivr_engine import observability
    from ivr_engine.keys import secret
    from ivr_engine.sms.simulator_server import SimulatorSettings, serve

    here = settings()
    lines = observability.set_up(here.log, here.log_level)
    url = urlsplit(here.simulator_url)
    shared = here.simulator_secret or secret(here.state, "simulator_secret")
    observability.hide(shared)
    wanted = SimulatorSettings(
        secret=shared,
        state=here.state,
        engine_url=here.public_url,
        host=url.hostname or "127.0.0.1",
        port=port if port is not None else url.port or 80,
    )
    try:
        _run(serve(wanted))
    except OSError as error:
        raise IvrError(f"{here.simulator_url}: {error.strerror}; set IVR_SIMULATOR_URL") from error
    finally:
        lines.flush()


def watchdog() -> None:
    """Send callers whose engine never came back to the fallback; end legs left alone."""
    from ivr_engine import observability
    from ivr_engine.asterisk.settings import AriSettings
    from ivr_engine.asterisk.watchdog import WatchdogSettings, watch
    from ivr_engine.keys import secret

    here = settings()
    lines = observability.set_up(here.log, here.log_level)
    password = here.ari_password or secret(here.state, "ari_password")
    observability.hide(password)
    ari = AriSettings(url=here.ari_url, user=here.ari_user, password=password, application="watchdog")
    try:
        _run(watch(ari, WatchdogSettings(limit_s=here.watchdog_limit_s)))
    finally:
        lines.flush()


def _run(process: Coroutine[object, object, None]) -> None:
    import uvloop

    uvloop.run(process)


def _first(errors: BaseExceptionGroup[IvrError]) -> IvrError:
    """The one sentence to show: the services of the engine fail as a group."""
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _as_dict(problem: Problem) -> dict[str, object]:
    return {
        "severity": problem.severity,
        "file": problem.file,
        "line": problem.line,
        "what": problem.what,
        "remedy": problem.remedy,
    }


def _print_problems(problems: list[Problem]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    for problem in problems:
        where = f"{problem.file}:{problem.line}" if problem.line else problem.file
        colour = "bold red" if problem.severity == "error" else "yellow"
        console.print(Text.assemble((f"{where}: ", "bold"), (problem.severity, colour), f": {problem.what}"))
        console.print(Text(f"    {problem.remedy}"))
    console.print(Text(summary([problem.severity for problem in problems])))


def summary(severities: list[str]) -> str:
    """For example "1 error, 2 warnings"."""
    if not severities:
        return "the site is in order"
    errors = severities.count("error")
    counts = ((errors, "error"), (len(severities) - errors, "warning"))
    return ", ".join(f"{number} {what}{'' if number == 1 else 's'}" for number, what in counts)
