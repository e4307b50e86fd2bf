"""Other people's systems, in memory."""

from __future__ import annotations

import asyncio

from ivr_engine.errors import ExternalError, Unreachable
from ivr_engine.ports import Question


class SimLookup:
    """``ports.Lookup``. ``answers``: what is answered, by address, after ``after_s``; an error is raised.
    ``too_late``: addresses where nothing comes in time."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {}
        self.asked: list[Question] = []
        self.too_late: set[str] = set()
        self.after_s = 0.2

    async def ask(self, question: Question) -> object:
        self.asked.append(question)
        if self.after_s >= question.deadline_s or question.url in self.too_late:
            await asyncio.sleep(question.deadline_s)
            raise Unreachable(f"no answer within {question.deadline_s:g} s")
        await asyncio.sleep(self.after_s)
        answer = self.answers.get(question.url, Unreachable("nobody there"))
        if isinstance(answer, ExternalError):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing is open."""
