"""Prompts that nobody has to render: any name is there, with a length."""

from __future__ import annotations

from collections.abc import Mapping

from ivr_engine.ports import Prompt


class SimPrompts:
    """``ports.Prompts``. ``seconds`` gives the length by prompt name; ``otherwise_s`` to all the rest."""

    def __init__(self, seconds: Mapping[str, float] | None = None, otherwise_s: float = 2.0) -> None:
        self._seconds = seconds or {}
        self._otherwise_s = otherwise_s

    def get(self, language: str, name: str) -> Prompt:
        return Prompt(name, f"sound:sim/{language}/{name}", self._seconds.get(name, self._otherwise_s))

    def wording(self, language: str, name: str) -> str:
        return f"{name} in {language}"

    def audio_hash(self, language: str, name: str) -> str:
        return f"hash of {language}/{name}"
