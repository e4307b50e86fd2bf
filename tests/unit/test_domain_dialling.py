"""Emergency and premium numbers are never dialled; the rest is by the site's list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.dialling import NotDialled, why_not_dialled

EVERYTHING = tuple(f"+{digit}" for digit in range(1, 10))


@pytest.mark.parametrize("number", ["112", "110", "+49112", "+49110", "0112", "+43112", "+44999", "+1911"])
def test_emergency_numbers_are_never_dialled(number: str) -> None:
    assert why_not_dialled(number, "DE", EVERYTHING) in (NotDialled.EMERGENCY, NotDialled.NO_NUMBER)


@pytest.mark.parametrize(
    "number",
    [
        "+499001234567",
        "+4918012345678",
        "+19005551234",
        "+33899123456",
        "+449098790123",
        "+41900123456",
        "+43900123456",
    ],
)
def test_premium_numbers_are_never_dialled(number: str) -> None:
    assert why_not_dialled(number, "DE", EVERYTHING) is NotDialled.PREMIUM


@pytest.mark.parametrize(
    ("number", "allowed", "expected"),
    [
        ("+4930901820", ["+49"], None),
        ("+4930901820", ["+4930901820"], None),
        ("+4930901820", ["+43", "+4989"], NotDialled.NOT_ALLOWED),
        ("+4930901820", [], NotDialled.NOT_ALLOWED),
        ("+390612345678", ["+39"], None),
        ("+33153000000", ["+33"], None),
        ("+33177000000", ["+33"], None),
        ("+4314401234", ["+43"], None),
        ("+12025550123", ["+1"], None),
        ("+49", ["+49"], NotDialled.NO_NUMBER),
        ("+4930901820;ext=1", ["+49"], NotDialled.NO_NUMBER),
        ("anna", ["+49"], NotDialled.NO_NUMBER),
    ],
)
def test_the_list_decides(number: str, allowed: list[str], expected: NotDialled | None) -> None:
    assert why_not_dialled(number, "DE", allowed) is expected


@given(st.text(max_size=40))
def test_whatever_is_written_nothing_is_raised(number: str) -> None:
    why_not_dialled(number, "DE", EVERYTHING)
