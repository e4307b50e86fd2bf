"""A line once, not once a packet or once a try."""

from __future__ import annotations

from structlog.testing import capture_logs

from ivr_engine.errors import Unreachable
from ivr_engine.observability.rationed import RationedLog, Trouble


def test_one_line_a_cause_and_interval_with_the_count_of_those_left_out() -> None:
    now = [0.0]
    log = RationedLog(60.0, lambda: now[0])
    with capture_logs() as lines:
        for second in range(70):
            now[0] = float(second)
            log.warning("webhook.refused", cause="signature", reason="signature")
            log.warning("webhook.refused", cause="body", reason="body") if second < 2 else None
    told = [(line["reason"], line.get("left_out")) for line in lines]
    assert told == [("signature", None), ("body", None), ("signature", 59)]
    assert {line["log_level"] for line in lines} == {"warning"}


def test_causes_that_strangers_invent_do_not_fill_the_memory() -> None:
    log = RationedLog()
    with capture_logs() as lines:
        for number in range(2000):
            log.warning("x.y", cause=str(number))
    assert len(lines) == 2000
    assert len(vars(log)["_said"]) <= 256


def test_a_trouble_has_a_beginning_and_an_end() -> None:
    trouble = Trouble("sms.store_down", "sms.store_back")
    with capture_logs() as lines:
        trouble.over()
        for _ in range(5):
            trouble.met(Unreachable("locked"), meaning="wait")
        trouble.met(TimeoutError())
        trouble.met(Unreachable("locked"))
        trouble.over()
        trouble.over()
        trouble.met(Unreachable("locked"))
    assert [(line["event"], line.get("error"), line.get("failures")) for line in lines] == [
        ("sms.store_down", "locked", None),
        ("sms.store_down", "no answer in time", None),
        ("sms.store_back", None, 7),
        ("sms.store_down", "locked", None),
    ]
