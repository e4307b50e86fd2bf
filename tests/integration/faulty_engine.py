"""The engine with a bug put in: in queue ``faulty`` the first announcement of each call fails."""

from __future__ import annotations

from ivr_engine.callflow import house
from ivr_engine.cli import main
from ivr_engine.domain.calls import Call
from ivr_engine.ports import Prompt

_sound = house.House.prompt
_failed: set[str] = set()


def _prompt(self: house.House, call: Call, name: str) -> Prompt:
    if call.queue == "faulty" and call.id not in _failed:
        _failed.add(call.id)
        raise ZeroDivisionError("a bug")
    return _sound(self, call, name)


house.House.prompt = _prompt

if __name__ == "__main__":
    main()
