"""The commands. ``ivr-engine --help`` lists them.

Two kinds: those that *are* a process (``run``, ``simulator``, ``watchdog``, ``check``) and those that ask a
running engine over its API. What a command needs is imported when it runs, so that asking is quick.
"""

from __future__ import annotations

import sys

import typer

from ivr_engine.cli import (
    asking,
    beginning,
    config,
    crm,
    db,
    handset,
    in_call,
    in_call_sms,
    privacy,
    processes,
    report,
    say,
    script,
    simulate,
    sms_numbers,
    staff,
)
from ivr_engine.errors import IvrError

FAILED = 1
INTERRUPTED = 130

app = typer.Typer(
    name="ivr-engine",
    help="A voice and SMS contact centre engine on Asterisk.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
processes.add_to(app)
asking.add_to(app)
privacy.add_to(app)
staff.add_to(asking.agents_app, asking.queues_app)
in_call.add_to(asking.calls_app)
crm.add_to(app)
in_call_sms.add_to(asking.calls_app)
config.add_to(app)
beginning.add_to(app)
say.add_to(app)
simulate.add_to(app)
report.add_to(app)
app.add_typer(handset.app, name="handset")
app.add_typer(db.app, name="db")
app.add_typer(script.app, name="script")
app.add_typer(sms_numbers.app, name="sms-numbers")


def main() -> None:
    """Run a command. What went wrong on purpose is one sentence on standard error, and status 1."""
    try:
        app()
    except IvrError as error:
        sys.stderr.write(f"ivr-engine: {error}\n")
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
