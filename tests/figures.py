"""What faults were survived, in numbers: printed once more at the end of a test run.

A test says ``figure(19, "provider answers 500 for 60 s", messages=1000, lost=0, doubled=0)`` beside its
assertions. The figures travel with the test's report, so that tests run side by side print them too.
"""

from __future__ import annotations

from typing import Final, Protocol

import pytest

KEY: Final = "figure"


class Figure(Protocol):
    def __call__(self, item: int, story: str, /, **numbers: float | str) -> None: ...


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """``item``: its number in docs/reliability.md."""

    def tell(item: int, story: str, /, **numbers: float | str) -> None:
        said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in numbers.items())
        request.node.user_properties.append((KEY, f"{item:3}  {story}: {said}"))

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = {value for report in reports for key, value in report.user_properties if key == KEY}
    if told:
        terminalreporter.section("faults survived")
        for line in sorted(told):
            terminalreporter.write_line(line)
