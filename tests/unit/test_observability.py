"""The log holds no number, text or secret in the clear, whoever wrote the line and in whatever shape."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from io import StringIO
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.observability.logs import LineWriter, set_up
from ivr_engine.observability.masking import clean, hide

NUMBER = "+4915112345678"
DIGITS = "15112345678"
TOKEN = "tok-Vh3kZ81mQpX"
TEXT = "the lamp stays red since Tuesday"


class Log:
    """What was logged, as it is written."""

    def __init__(self, style: str, level: str = "info") -> None:
        self.stream = StringIO()
        self.writer: LineWriter = set_up(style, level, self.stream)

    @property
    def text(self) -> str:
        assert self.writer.flush()
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    yield
    root.handlers, root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@dataclass
class Letter:
    sender: str
    text: str


class Kind(StrEnum):
    NUMBER = NUMBER


SHAPES = [
    NUMBER,
    "4915112345678",
    "004915112345678",
    "015112345678",
    "+49 151 12345678",
    "+49 (0)151 1234-5678",
    "0151/12345678",
    "0151.1234.5678",
    "(0151) 12 34 56 78",
    "0151\u00a012345678",
    "0151\u201112345678",
    "sip:+4915112345678@10.0.0.1:5060",
    "tel:+4915112345678;phone-context=x",
    '"4915112345678" <sip:4915112345678@x>',
    "/api/v1/calls?caller=%2B4915112345678&limit=1",
    "caller=+49%20151%2012345678",
    "PJSIP/4915112345678-00000012",
    "{'From': '+4915112345678'}",
    '{\\"from\\": \\"+4915112345678\\"}',
    "n4915112345678n",
    "\\n4915112345678\\n",
]


def leaks(text: str) -> bool:
    """Six digits of the number in a row, whatever stands between them."""
    digits = "".join(c for c in text if c.isdigit())
    return any(DIGITS[i : i + 6] in digits for i in range(len(DIGITS) - 5))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("style", ["json", "pretty"])
def test_a_number_in_any_shape_is_masked_everywhere(style: str, shape: str) -> None:
    log = Log(style)
    ours = structlog.get_logger()
    ours.info(f"event {shape}", value=shape)
    ours.info("nested", value={"a": [shape, (shape,)], shape: 1}, seen=Letter(shape, TEXT))
    for name in ("uvicorn.error", "aiohttp.server", "asyncio"):
        logging.getLogger(name).error("%s of %s", "request", shape)
    try:
        raise ValueError(f"cannot call {shape}")
    except ValueError as error:
        try:
            raise RuntimeError("outer") from error
        except RuntimeError:
            ours.exception("failed")
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    written = log.text
    assert written.count("\n") >= 7
    assert "cannot call" in written
    for line in written.splitlines():
        assert not leaks(line.partition("Z")[2] or line), line


def test_a_number_of_another_type_is_masked_too() -> None:
    log = Log("json")
    structlog.get_logger().info("x", a=4915112345678, b=Kind.NUMBER, c=NUMBER.encode(), d=Path("/x") / NUMBER)
    structlog.get_logger().info("y", small=8080, ratio=0.25, yes=True, none=None)
    first, second = log.lines
    assert not leaks(json.dumps({k: v for k, v in first.items() if k in "abc"}))
    assert {k: second[k] for k in ("small", "ratio", "yes", "none")} == {
        "small": 8080,
        "ratio": 0.25,
        "yes": True,
        "none": None,
    }


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {TOKEN}",
        f"{{'authorization': 'Bearer {TOKEN}'}}",
        f"http://ivr:{TOKEN}@127.0.0.1:8088/ari",
        f"/ari/events?api_key=ivr:{TOKEN}&app=x",
        f"password={TOKEN}",
        f'{{"token": "{TOKEN}"}}',
        f"PhoneAccount(name='anna', password='{TOKEN}')",
        f"Message(text='{TEXT}', status='queued')",
        f'{{"text": "{TEXT}"}}',
        '{\\"text\\": \\"' + TEXT + '\\"}',
        f"Body={TEXT.replace(' ', '+')}&To=x",
    ],
)
def test_secrets_and_texts_are_hidden_in_any_line(line: str) -> None:
    log = Log("json")
    structlog.get_logger().error("x", line=line)
    logging.getLogger("aiohttp.client").error(line)
    for text in (TOKEN, TEXT, TEXT.replace(" ", "+")):
        assert text not in log.text
    assert log.text.count("[hidden]") == 2


def test_keys_that_name_secrets_and_texts_hide_their_values() -> None:
    log = Log("json")
    structlog.get_logger().info("x", text=TEXT, api_token=TOKEN, headers={"Authorization": TOKEN}, ok="yes")
    [line] = log.lines
    assert (line["text"], line["api_token"], line["headers"]) == (
        "[hidden]",
        "[hidden]",
        {"Authorization": "[hidden]"},
    )
    assert line["ok"] == "yes"


def test_a_known_secret_is_hidden_wherever_it_stands() -> None:
    hide("swordfish-7")
    log = Log("json")
    structlog.get_logger().info("it is xswordfish-7x", seen=b"swordfish-7")
    assert "swordfish" not in log.text


@pytest.mark.parametrize(
    "kept",
    [
        "2026-01-31T09:15:00.123456+00:00 at 127.0.0.1:5060",
        "call 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "call 9f1c8e0d4b7a4f6e8d2c1b0a99887766",
        "channel 1763683200.12",
        "port 5060, 1000 calls, 12.5 ms, dialled 700",
        "Asterisk 22.10.1",
        "+4915…78",
    ],
)
def test_what_a_log_is_read_for_stays(kept: str) -> None:
    assert clean(kept) == kept


@given(st.text())
def test_masking_is_total_and_done_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(
    st.text(max_size=20).filter(lambda t: not any(c.isdigit() for c in t)),
    st.from_regex(r"\+?[1-9][0-9]{9,14}", fullmatch=True),
    st.text(max_size=20).filter(lambda t: not any(c.isdigit() for c in t)),
)
def test_no_number_gets_through_whatever_stands_around_it(before: str, number: str, after: str) -> None:
    assert number[-9:] not in clean(before + number + after)


def test_the_call_id_is_on_every_line_of_its_call() -> None:
    log = Log("json")
    with structlog.contextvars.bound_contextvars(call="c1"):
        structlog.get_logger().info("played")
        logging.getLogger("aiohttp").warning("slow")
    structlog.get_logger().info("other")
    assert [line.get("call") for line in log.lines] == ["c1", "c1", None]
    first = log.lines[0]
    assert list(first)[:3] == ["timestamp", "level", "event"]
    assert datetime.fromisoformat(str(first["timestamp"])).tzinfo == UTC


def test_below_the_level_nothing_is_computed() -> None:
    log = Log("json")
    structlog.get_logger().debug("x", value=_Explodes())
    assert log.text == ""
    assert Log("json", "debug").writer is not log.writer


class _Explodes:
    def __repr__(self) -> str:
        raise RuntimeError("never shown")


def test_a_value_that_cannot_be_shown_costs_only_itself() -> None:
    log = Log("json")
    structlog.get_logger().info("x", value=_Explodes(), other=1)
    assert log.lines[0]["value"] == "<_Explodes: RuntimeError in repr>"
    logging.getLogger("aiohttp").error("%d", "no number")
    assert "a line of aiohttp was lost" in log.text


def test_libraries_are_heard_from_warning_on() -> None:
    log = Log("json")
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn_explicit(f"old way, see {NUMBER}", UserWarning, "x.py", 1)
    assert [line["event"] for line in log.lines][:1] == ["Invalid HTTP request received."]
    assert not any(NUMBER in str(line) for line in log.lines)


def test_last_words_are_masked() -> None:
    log = Log("pretty")
    error = ValueError(f"at {NUMBER}")
    sys.excepthook(ValueError, error, None)
    thread = threading.Thread(target=_raise, args=(error,), name="worker")
    thread.start()
    thread.join()
    assert "process.ends_by_error" in log.text
    assert "thread.died" in log.text
    assert not leaks(log.text.partition("ends")[2].replace("2026", ""))


def _raise(error: Exception) -> None:
    raise error


class Stuck(StringIO):
    """A terminal that stands still until released."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def write(self, text: str, /) -> int:
        self.go_on.wait(10)
        return super().write(text)


async def test_a_terminal_that_stands_still_does_not_stop_the_loop() -> None:
    stuck = Stuck()
    writer = LineWriter(stuck)
    for number in range(12_000):
        writer.write(f"line {number}")
    await asyncio.sleep(0)
    stuck.go_on.set()
    assert await asyncio.to_thread(writer.flush, 10)
    writer.write("after")
    writer.close()
    text = stuck.getvalue()
    assert "line 0\n" in text
    assert "lines dropped" in text
    assert text.endswith("after\n")


@pytest.mark.parametrize("broken", [OSError, ValueError])
def test_a_stream_that_is_gone_is_survived(broken: Callable[[], Exception]) -> None:
    class Gone(StringIO):
        def write(self, text: str, /) -> int:
            raise broken()

    writer = LineWriter(Gone())
    writer.write("x")
    writer.close()
