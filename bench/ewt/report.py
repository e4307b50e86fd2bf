"""``docs/wait-estimate.md``: the rule, and how far it was off in the last run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.ewt.centre import Tally

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "wait-estimate.md"

MOST_RATIO: Final = 0.70
MOST_MEAN_RATIO: Final = 0.66
MOST_BIAS: Final = 0.05
P80: Final = (0.78, 0.82)

Result = tuple[str, Tally]

_PAGE: Final = """\
# The wait estimate

Callers hear how long they will wait as a range, from P50 (half of all wait no longer) to P80 (four of five
wait no longer), anew at each announcement. Staff see the same by `ivr-engine queues`, in the API and in the
metrics, with how often the ranges came true.

## The rule

A line drains by agents who take the next caller and by callers who give up. For each queue both are counted
while it is at work, forgetting what is long ago, so that handling times, agents with several queues and
other queues' priorities are in the measured rate, and nobody has to configure them:

    r_slow = (starts, a day + 5) / (exposure, a day + 5 · handling_time / share)
    r      = (starts, half an hour + 20) / (exposure, half an hour + 20 / r_slow)
    theta  = (gave up, a day + 2) / (caller-seconds waited, a day + 4 · handling_time)
    a      = r · agents who serve the queue and are signed in now
    EWT    = 1/(a + theta) + 1/(a + 2 theta) + … + 1/(a + (n+1) theta)      n callers ahead

*Exposure* is agent-seconds while somebody waits; *share* is one over the number of queues an agent serves,
on average; `handling_time` is the queue's setting, which only counts until about five conversations were
seen. The variance is that of the same sum; P50, P80 and P90 are those of a gamma distribution with this
mean and variance. How long phones ring is measured apart and added. Signing in and out acts at once. With
nobody signed in the wait is *unknown*, never 0; with an agent without work for everybody ahead it is the
ringing alone.

The sum is Ibrahim and Whitt's QL_m: for exponential handling times and patience no estimate from the length
of the line can be better on average. What is lost here against known rates is about 1 %.

## Where it counts

- **Announcements** (`announce_wait` of a queue): the range in whole minutes, P50 rounded down and P80 up,
  to one of 1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60. So there are few sentences, and all are spoken when the
  site is loaded. While the wait is unknown, or P80 above `announce_wait_up_to`, nothing is said of it.
- **The wait-time SMS** (`wait_minimum`, `wait_maximum`): by probability. It is offered when the wait is
  longer than the minimum with a probability of at least 2/3, and no longer than the maximum with the same.
- **Over capacity** (`over_capacity.estimate`): when the expected wait of a caller who enters is longer.
- **Staff**: `/api/v1/queues` and `ivr-engine queues` show P50 and P80 of somebody who would come now, and how
  often ranges came true; `/metrics` has `ivr_queue_estimated_wait_seconds{{queue,quantile}}`,
  `ivr_wait_estimate_coverage{{queue,of,quantile}}` (0.5 and 0.8 are right) and
  `ivr_wait_estimate_error{{queue,of,rule}}`, with app_queue's rule beside it. `of` is `entry` (what each
  caller would have been told on entry) or `announced` (what callers did hear).

Everything is read off the event table, and stored once a minute: a crash loses nothing.

## How far it is off

`python -m bench.ewt` writes this table: ten call centres in virtual time, {arrivals:,} callers each, from a
cold start with a `handling_time` a quarter too short. Handling takes 240 s on average, patience lasts as
long (exponential, but where the scenario says otherwise). Counted are callers who had to wait and were
served, each with what they would have been told on entry.

*RRASE* is the root mean square error over the mean wait. Beside it stands the rule of Asterisk's app_queue
(an average of past waits, a quarter new), at its best: before it is rounded to minutes.

{table}

Aims: RRASE at most 0.70 of app_queue's in each and 0.66 in the mean, bias within 5 %, P80 right for
80 ± 2 %. {verdict}

Three things to know. The ratio depends on patience: callers twice as patient make long lines whose waits
all resemble each other, and with 100 agents at load 1.4 the ratio is then 0.71, where known rates give 0.70.
app_queue's average is in whole seconds, rounded down at every call, which costs it a second or two: without
that the mean ratio were 0.665. And P80 counts who was served: those who gave up never learnt how long it
would have been.
"""

_HEAD: Final = """\
| call centre | waited | mean wait | RRASE | app_queue | ratio | bias | within P50 | P80 | P90 |
|---|---|---|---|---|---|---|---|---|---|"""


def row(name: str, tally: Tally) -> str:
    p50, p80, p90 = (f"{100 * share:.1f} %" for share in tally.coverage)
    mean_s = tally.waited / tally.callers
    return (
        f"| {name} | {tally.callers:,} | {mean_s:.0f} s | {tally.ours:.3f} | {tally.app_queue:.3f} "
        f"| {tally.ratio:.3f} | {100 * tally.bias:+.1f} % | {p50} | {p80} | {p90} |"
    )


def mean_ratio(results: Sequence[Result]) -> float:
    """The geometric mean."""
    return math.exp(sum(math.log(tally.ratio) for _, tally in results) / len(results))


def mean(results: Sequence[Result]) -> str:
    return f"| geometric mean | | | | | {mean_ratio(results):.3f} | | | | |"


def missed(results: Sequence[Result]) -> list[str]:
    """Which aims were not met, and where."""
    found = [f"the mean ratio is {mean_ratio(results):.3f}"] if mean_ratio(results) > MOST_MEAN_RATIO else []
    for name, tally in results:
        if tally.ratio > MOST_RATIO:
            found.append(f"{name}: ratio {tally.ratio:.3f}")
        if abs(tally.bias) > MOST_BIAS:
            found.append(f"{name}: bias {tally.bias:+.3f}")
        if not P80[0] <= tally.coverage[1] <= P80[1]:
            found.append(f"{name}: P80 right for {tally.coverage[1]:.3f}")
    return found


def write(results: Sequence[Result], arrivals: int) -> None:
    """Write the page anew."""
    table = "\n".join([_HEAD, *(row(*result) for result in results), mean(results)])
    not_met = missed(results)
    verdict = "All are met." if not not_met else f"Not met: {'; '.join(not_met)}."
    FILE.write_text(_PAGE.format(arrivals=arrivals, table=table, verdict=verdict))
