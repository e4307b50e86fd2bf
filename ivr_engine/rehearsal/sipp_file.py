"""A caller script as a SIPp scenario that anybody can run: keys, words and the end come at set times, as they
came when the script was played in virtual time with the true lengths of the prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final
from xml.sax.saxutils import quoteattr

from ivr_engine.errors import Refused
from ivr_engine.rehearsal.headless import ANYBODY, Act, Played
from ivr_engine.rehearsal.script import HIDDEN, Script
from ivr_engine.sipp.scenarios import CallerDoes, Key, Say, caller

REACTION_S: Final = 1.0
"""People take so long to act on what they hear; it also makes up for a real line's delays."""

STAY_MS: Final = 1000


def scenario(played: Played, voice: Callable[[str], str]) -> str:
    """The XML. ``voice`` makes a capture file of words and tells its name. Raises ``Refused`` for what one
    scenario cannot do."""
    script = played.outcome.file.script
    if played.outcome.failure is not None:
        raise Refused(f"it goes another way already in virtual time: {played.outcome.failure}")
    if len(script.dialled) > 1 or script.is_called_back:
        raise Refused(f"{played.outcome.file.path}: has two calls, and a scenario is one; play it with --run")
    does = CallerDoes(_attribute(script.what), list(_acts(played, voice)), _end_ms(played))
    signalled = "anonymous" if script.caller == HIDDEN else script.caller or ANYBODY
    [dialling] = [step.dials for step in script.steps if step.dials is not None]
    text = caller(does, signalled=signalled, dials=dialling.number, headers=dialling.headers)
    notes = "\n".join(note.replace("--", "- -") for note in _notes(script, played.acts))
    return text.replace("<scenario", f"<!--\n{notes}\n-->\n<scenario", 1)


def _acts(played: Played, voice: Callable[[str], str]) -> Iterator[Key | Say]:
    before = 0.0
    for act in _done(played):
        if act.kind in ("presses", "says"):
            after_ms = max(1, round((act.at - before) * 1000))
            before = act.at
            yield Key(act.what, after_ms) if act.kind == "presses" else Say(voice(act.what), after_ms)


def _end_ms(played: Played) -> int:
    """Hang up when the script does, or a while after its end."""
    acts = _done(played)
    last = max((act.at for act in acts if act.kind != "hangs"), default=0.0)
    hangs = next((act.at for act in acts if act.kind == "hangs"), None)
    end = played.seconds + STAY_MS / 1000 if hangs is None else hangs
    return max(1, round((end - last) * 1000))


def _done(played: Played) -> list[Act]:
    return [act for act in played.acts if act.kind not in ("dials", "staff")]


def _notes(script: Script, acts: Sequence[Act]) -> Iterator[str]:
    """What only people, ears or the API can see to."""
    for name, phone in script.phones.items():
        yield f"needs {name} at a phone, who {phone.does.replace('_', ' ')}"
    if script.company is not None:
        number = script.company.dials or script.dialled[0]
        yield f"needs {script.company.callers} others, who dialled {number} before and wait"
    for step in script.steps:
        if step.signs_in is not None:
            yield f"needs {step.signs_in} signed in"
    for act in acts:
        if act.kind == "staff":
            yield f"needs staff after {act.at:.0f} s: {act.what}"
    for _, expects in script.expectations():
        wanted = expects.model_dump(exclude_defaults=True)
        yield f"expects {', '.join(f'{name}: {value}' for name, value in wanted.items())}"


def _attribute(text: str) -> str:
    return quoteattr(text)[1:-1].replace('"', "&quot;")
