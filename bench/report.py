"""``docs/benchmarks.md``: the last runs of ``scripts/bench``, ``bench.reload`` and ``bench.simulate``, and
how they measure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"

Row = tuple[str, ...]
"""What is measured, what it is in the plain dialplan, and in each run with the engine."""

_PAGE: Final = """\
# What a call costs

Written by `scripts/bench`; run it to get the numbers of your own machine.

{calls} calls at {rate} a second, five seconds each, on {machine}. SIPp, Asterisk, the engine and the SMS
simulator share that machine (a load above 0.5 before the run means that other work did too, and made all
numbers worse). The caller hears the consent message at once, presses 1 after a second, hears "sent" and hangs
up. With the engine, the answer is stored with its proof, the SMS is written durably, sent to the simulator,
and its status comes back by signed webhook.

{table}

When mostly busy the machine is the limit: SIPp leaves keys out, and others come before the message does and
count for nothing. What matters then is that consents, deliveries and the provider's ledger agree.

Aims: no call failed; at most 4 ms of engine CPU a call with everything on, and at most half of Asterisk's;
p99 of the reaction under 20 ms. They were set for two cores on which a call in the plain dialplan costs
8.4 ms. Where it costs more, everything does: the machine is slower, or shared with others. So the engine's
CPU is also given as a share of what the plain dialplan costs in the same run, times 8.4 ms; and the last
column, there only on such a machine, is a run with as many calls a second as keep it as busy with Asterisk
as the other was with 50: for the reaction, which is mostly waiting for a core. A call costs more CPU then,
because fewer at once share fewer commits.

## How it is measured

- CPU: user and system time of all threads, from `/proc`, before the first call and after the last SMS was
  reported delivered, divided by the calls. {warm_up} calls before that warm everything up and do not count.
- Reaction: from the key's first end packet (RFC 4733) to the `PlaybackFinished` of the consent message, by
  the kernel's time stamps of the RTP packet and of Asterisk's event packet on the loopback. In it: Asterisk
  noticing the key, the engine deciding and asking for the prompt to stop, Asterisk stopping it.
- SMS: rows in the engine's store against messages in the simulator's own ledger.
- The plain dialplan is `Background`, `WaitExten`, `Playback` with the same two prompts on the same Asterisk,
  just before. It stores nothing, sends nothing, and its callers hear no music.
"""

_POSTGRESQL: Final = """
## The same on PostgreSQL

Written by `scripts/bench --database postgresql`: {calls} calls at {rate} a second, on {machine}.
Everything as above, but the engine stores in PostgreSQL on the same machine, each commit durable. Every
statement is a way to the server and back, in place of a function call.

{table}
"""

_RELOAD: Final = """
## While the configuration changes

Written by `python -m bench.reload`, on {machine}.
A site of {queues} queues and {prompts} prompts in {languages} languages, of which nothing is new, is loaded
again and again, while calls like those above come {rate} a second.

{table}

Aims: loaded in under 2 s; no call delayed by more than 20 ms.
"""

_DAY: Final = """
## A simulated day

Written by `python -m bench.simulate`, on {machine}.
`config/days/ten-thousand.yaml`: ten thousand calls, straight and through the menu, to 72 agents, with texts,
wait estimates and tickets ([simulate.md](simulate.md)). One process, so one core.

{table}

Aims: under 60 s; the same report twice.
"""


_LINES: Final = """
## Matching callers and agents

Written by hand, from what ``bench.matching`` and ``bench.idle`` print.
"""


_SENDING: Final = """
## Texts that are sent

Written by `python -m bench.sending`, on {machine}; {database}.
Ten thousand messages are put into the outbox and sent by five senders, each at its rate, to the simulator in
a process of its own, which reports what became of each by signed webhook. Then the simulator answers 500 for
a minute. The rates are those of its ledger, from a sender's first message to its last.

{table}

Aims: over 1,000 a second durably put into the outbox; each rate within 5 %; nothing lost, nothing doubled.
"""

_WEBHOOKS: Final = """
## Texts from phones

Written by `python -m bench.webhooks`, on {machine}; {database}.
Twilio's webhooks for texts of 1,000 calls, {rate} a second at random moments (a Poisson process) for a
minute, to an engine whose database holds {past} calls, texts and tickets of before. Each is answered when
its signature was checked and the text is durable, with its event and the comment on the ticket. Counted from
the moment it was to be sent, so a queue would show; the sender shares the machine.

{table}

Aims: p99 under 50 ms; every text answered, stored and on its ticket once.
"""


def write_sending(rows: Sequence[tuple[str, str]], *, machine: str, database: str) -> None:
    """Write the part of the page about texts that are sent anew."""
    table = "\n".join(["| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)])
    _put(_SENDING, _SENDING.format(machine=machine, database=_named(database), table=table))


def write_webhooks(
    rows: Sequence[tuple[str, str]], *, machine: str, rate: int, database: str, past: int
) -> None:
    """Write the part of the page about texts from phones anew."""
    table = "\n".join(["| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)])
    part = _WEBHOOKS.format(
        machine=machine, rate=rate, database=_named(database), past=f"{past:,}", table=table
    )
    _put(_WEBHOOKS, part)


def _named(database: str) -> str:
    return {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(database.partition("+")[0], database)


def write(rows: Sequence[Row], *, machine: str, calls: int, rate: int, warm_up: int, database: str) -> None:
    """Write the part of the page about calls on that database anew."""
    runs = len(rows[0]) - 2
    lines = ["| | plain dialplan |" + " engine |" * runs, "|---|---|" + "---|" * runs]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    template = _PAGE if database == "sqlite" else _POSTGRESQL
    part = template.format(calls=calls, rate=rate, machine=machine, table="\n".join(lines), warm_up=warm_up)
    _put(template, part)


def write_reload(
    rows: Sequence[tuple[str, str]], *, machine: str, queues: int, prompts: int, languages: int, rate: int
) -> None:
    """Write the part of the page about reloading anew."""
    table = "\n".join(["| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)])
    part = _RELOAD.format(
        machine=machine, queues=queues, prompts=prompts, languages=languages, rate=rate, table=table
    )
    _put(_RELOAD, part)


def write_day(rows: Sequence[tuple[str, str]], *, machine: str) -> None:
    """Write the part of the page about simulating a day anew."""
    table = "\n".join(["| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)])
    _put(_DAY, _DAY.format(machine=machine, table=table))


def _put(template: str, part: str) -> None:
    """``part`` in place of what was made of ``template`` before; the others stay."""
    parts = _parts()
    parts[template] = part
    FILE.write_text("".join(parts.values()))


def _parts() -> dict[str, str]:
    """The page as it is, in pieces, by the template each was made of."""
    text, parts = FILE.read_text(), dict[str, str]()
    for template in reversed((_POSTGRESQL, _RELOAD, _DAY, _LINES, _WEBHOOKS, _SENDING)):
        text, heading, after = text.partition(template.partition("\n\n")[0])
        parts = {template: heading + after} | parts
    return {_PAGE: text} | parts
