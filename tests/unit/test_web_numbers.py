"""A number in a query is understood however it arrives, and nothing in it is an error."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
import web_rig
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr_engine.web.numbers import asked_number

E164 = "+4915112345678"

mobile_numbers = st.from_regex(r"\+491(51|60|70|76)[0-9]{8}", fullmatch=True).filter(
    lambda n: asked_number(n, "DE") == n
)


@given(mobile_numbers, st.sampled_from(["", " ", "-", "/"]), st.integers(4, 9))
def test_plus_blank_and_national_spellings_are_one_number(number: str, gap: str, at: int) -> None:
    national = "0" + number[3:]
    for written in (
        number,
        " " + number[1:],
        "00" + number[1:],
        national,
        number[:at] + gap + number[at:],
        " " + number[1:at] + gap + number[at:],
        f" {number} ",
    ):
        assert asked_number(written, "DE") == number


@given(st.text(max_size=60), st.sampled_from(["DE", "US", "GB"]))
def test_anything_is_a_question(raw: str, country: str) -> None:
    once = asked_number(raw, country)
    assert asked_number(once, country) == once


@pytest.mark.parametrize("raw", ["", " ", "+", "anonymous", "x' OR 1=1", "1" * 40, "\0"])
def test_what_is_no_number_stays_itself(raw: str) -> None:
    assert asked_number(raw, "DE") == raw.strip()


def test_any_query_is_answered_in_one_shape(tmp_path: Path) -> None:
    import asyncio

    rig = web_rig.make(tmp_path)
    queries = st.dictionaries(
        st.sampled_from(["caller", "open", "limit", "number", "status", "other"]),
        st.text(max_size=45) | st.integers().map(str),
    )
    lists = st.sampled_from(["calls", "messages", "tickets", "consents"])
    ids = st.text(max_size=20).map(lambda text: quote(text, safe=""))
    things = ids.flatmap(
        lambda id: st.sampled_from(
            [f"{kind}/{id}" for kind in ("calls", "messages", "tickets", "agents", "queues")]
            + [f"messages/m1/media/{id}", f"tickets/t1/files/{id}", f"agents/{id}/phone"]
        )
    )
    paths = lists | things

    async def ask(path: str, query: str) -> None:
        async with rig.client() as client:
            answer = await client.get(f"/api/v1/{path}?{query}")
        assert answer.status_code in (200, 400, 404, 422), answer.text
        assert set(answer.json()) == {"items" if answer.status_code == 200 else "error"}

    with asyncio.Runner() as runner:

        @settings(max_examples=150)
        @given(paths, queries)
        def check(path: str, query: dict[str, str]) -> None:
            runner.run(ask(path, "&".join(f"{k}={quote(v)}" for k, v in query.items())))

        check()
        runner.run(rig.store.close())
