"""What staff does in a caller script is an operation of the API, with what that takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, get_args

import pytest

from ivr_engine.rehearsal.staff import OPERATIONS, Does, Staff
from ivr_engine.web.in_call import InCall
from tests.unit.test_web_in_call import make

WITH: Final[dict[str, dict[str, Any]]] = {
    "transfer": {"queue": "sales", "place": "head"},
    "consult": {"number": "030 1"},
    "listen": {"agent": "anna", "mode": "barge"},
    "break": {"agent": "anna", "reason": "lunch"},
    "back": {"agent": "anna"},
    "wrap-up": {"agent": "anna", "reason": "sold"},
    "close": {"queue": "sales"},
}


@pytest.mark.parametrize("does", get_args(Does))
async def test_the_api_understands_it(tmp_path: Path, does: str) -> None:
    rig, _ = make(tmp_path)
    staff = Staff.model_validate({"does": does} | WITH.get(does, {}))
    async with rig.client() as client:
        answer = await client.post(f"/api/v1{staff.path('c1')}", json=staff.body())
    assert answer.status_code in (200, 409), answer.text


def test_everything_that_can_be_done_with_a_call_can_be_done_in_a_script() -> None:
    assert set(OPERATIONS) == set(get_args(Does))
    of_calls = {name.replace("_", "-") for name in vars(InCall) if not name.startswith("_")}
    assert {does for does, operation in OPERATIONS.items() if operation.on == "call"} == of_calls
