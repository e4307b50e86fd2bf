"""Errors of libraries, in words."""

from __future__ import annotations

import aiohttp
import pytest

from ivr_engine.errors import in_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientConnectionResetError("Cannot write to closing transport"), "client connection reset"),
        (aiohttp.ServerDisconnectedError(), "server disconnected"),
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(111, "http://user:password@host"), "connection refused"),
    ],
)
def test_the_kind_of_error_is_named_and_its_text_is_not(error: Exception, words: str) -> None:
    assert in_words(error) == words
