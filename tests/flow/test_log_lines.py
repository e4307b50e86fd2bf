"""What strangers or a long outage cause again and again is said once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.testing import capture_logs

from ivr_engine.errors import ExternalError
from tests.flow.centre import contact_centre, virtual

FULL = ExternalError("the disk is full: nothing can be written; make room on it")


@contextmanager
def everything_logged() -> Generator[list[MutableMapping[str, Any]]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as lines:
        yield lines


@virtual
async def test_a_scanner_is_worth_one_line() -> None:
    async with contact_centre() as centre:
        centre.engine()
        with everything_logged() as lines:
            for number in range(30):
                caller = await centre.call(number=f"00{number}")
                await caller.ended()
        [line] = [line for line in lines if line["event"] == "call.turned_away"]
        assert line["log_level"] == "warning"


@virtual
async def test_new_callers_while_the_store_is_down_are_named_once_and_again_when_it_works() -> None:
    async with contact_centre() as centre:
        engine = centre.engine()
        first = await centre.call()
        await first.hears_prompt("music")
        with everything_logged() as lines:
            engine.store.faults.extend(FULL for _ in range(2000))
            callers = [await centre.call(caller=f"+49151123456{number}") for number in range(10, 15)]
            await asyncio.sleep(60)
            assert all("fallback" in caller.ears.sounds for caller in callers)
            during = Counter(line["event"] for line in lines)
            engine.store.faults.clear()
            await asyncio.sleep(30)
        assert during["call.not_taken"] == 1
        assert during["reconciliation.failed"] <= 1
        assert during["calls.reconciled"] <= 1
        after = Counter(line["event"] for line in lines)
        assert after["call.not_taken"] == after["calls.taken_again"] == 1
        assert after["matching.store_unavailable"] == after["matching.works_again"]
