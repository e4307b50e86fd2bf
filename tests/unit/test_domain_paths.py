"""Values chosen out of what others answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.paths import LONGEST_VALUE, chosen

DOCUMENT = {"customer": {"name": "Ada", "phones": ["1", "2"], "vip": True, "age": 36}, "0": {"a": 1.5}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("customer.name", "Ada"),
        ("customer.phones.1", "2"),
        ("customer.phones.2", None),
        ("customer.phones.-1", None),
        ("customer.phones.x", None),
        ("customer.phones.²", None),
        ("customer.vip", "true"),
        ("customer.age", "36"),
        ("0.a", "1.5"),
        ("customer", None),
        ("customer.name.first", None),
        ("nobody", None),
    ],
)
def test_paths(path: str, value: str | None) -> None:
    assert chosen(DOCUMENT, path) == value


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_json, st.text(min_size=1))
def test_any_value_is_short_and_can_be_shown_and_stored(document: object, path: str) -> None:
    for value in (chosen(document, path), chosen({"a": document}, "a")):
        assert value is None or (len(value) <= LONGEST_VALUE and value.isprintable())
        if value is not None:
            value.encode()
