"""What a text message says about messages themselves: STOP, HELP, START and their families, the same in plain
words, and "do not call me back".

Five languages at once: people write in theirs, whatever language they called in. Compared without case,
accents, punctuation and emoji. A command is the whole message, courtesies aside, or a clear intent said in it
("bitte keine SMS mehr"); a word of the families in the middle of something else is not ("the bus stop").
Revoking by any reasonable means counts (47 CFR 64.1200(a)(10)), so where a sentence can hardly mean anything
else it is honoured.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Final

from ivr_engine.domain.opt_out_phrases import (
    ALONE,
    COURTESIES,
    HELP,
    NO_CALL,
    NO_CALL_WORDS,
    NO_MORE_TEXTS,
    START,
    STOP,
    YES,
)

LONGEST: Final = 640
"""Characters that are looked at: four parts. Who writes more than that writes about something else."""


class Command(StrEnum):
    STOP = "stop"
    HELP = "help"
    START = "start"


_COURTESY: Final = "|".join(sorted(COURTESIES, key=len, reverse=True))
_BEFORE: Final = re.compile(rf"(?:(?:{_COURTESY})\b ?)+")
_AFTER: Final = re.compile(rf"(?:(?:^| )(?:{_COURTESY})\b)+$")

_INTENT: Final = tuple(re.compile(pattern) for pattern in NO_MORE_TEXTS)
_NO_CALL: Final = tuple(re.compile(pattern) for pattern in NO_CALL)

_TURNED_AROUND: Final = re.compile(
    r"\b(?:dont|do not|never|not|wont|will not|didnt|did not|did you|did|why do you|when do you|when will you"
    r"|will you ever|cant|cannot|could not|couldnt|shouldnt|should not|doesnt|does not|if you|unless you|if i"
    r"|before you|until you|who|what|he|she|they"
    r"|nicht|wann|warum|wieso|wenn sie|wenn ich|bevor|falls|wer"
    r"|non|perche|quando|se|prima di|chi"
    r"|no|por que|cuando|si|antes de|nunca|quien"
    r"|ne|n|pourquoi|quand|si vous|avant d|avant de|qui|si je)"
    r"(?: (?:you|i|me|please|just|really|ever|have|need|want|to|mich|sie|bitte|mi|me|vous|pas|voglio|quiero"
    r"|veux|que))*$"
)
"""Words before a command that make something else of it: "don't …", "why did you …"."""
_HAPPENED: Final = re.compile(
    r"\b(?:get|got|received|why|bekomme|bekam|bekommen|erhalte|erhielt|habe|hatte|kam|kamen|kommt|kriege"
    r"|warum|wieso|weshalb|gibt|ricevo|ricevuto|arriva\w*|perche|llego|llega|recibo|recibi|recibido|por que"
    r"|recois|recu|pourquoi|il n y a)\b"
)
"""Words before "no messages" that report what happened instead of wishing it."""
_A_NO: Final = re.compile(
    r"(?:keine?|nicht|nichts|nie|non|no|ne|n|dont|do not|never|plus|pas|aucun|ni|niente|nessun)\b"
)


def command_of(text: str, *, opted_out: bool = False) -> Command | None:
    """The command that ``text`` is, if any. ``opted_out``: its sender is, so that YES means START."""
    said = _plain(text[:LONGEST])
    bare = _without_courtesies(said)
    if opted_out and YES in (said, bare or said.split(" ", 1)[0]):
        return Command.START
    for word in (said, bare, _joined(bare), _drawn_in(bare)):
        if word in STOP:
            return Command.STOP
        if word in HELP:
            return Command.HELP
        if word in START:
            return Command.START
    if _a_sentence_says_stop(text) or _intends(_INTENT, text):
        return Command.STOP
    return None


@lru_cache(maxsize=16)  # asked when a text is stored, and again a moment later
def wants_no_call(text: str) -> bool:
    """Whether ``text`` says that its sender is not to be called back. It says nothing about messages."""
    return _without_courtesies(_plain(text[:LONGEST])) in NO_CALL_WORDS or _intends(_NO_CALL, text)


def _intends(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    said = _without_courtesies(_plain(_unquoted(text[:LONGEST])))
    return any(_is_meant(said, found) for pattern in patterns for found in pattern.finditer(said))


def _is_meant(said: str, found: re.Match[str]) -> bool:
    before = said[: found.start()].rstrip()
    if _A_NO.match(found[0]):
        return not _HAPPENED.search(before)
    return not _TURNED_AROUND.search(before)


_SENTENCE: Final = re.compile(r"([^.!?\n;]*)([.!?\n;]*)")


def _a_sentence_says_stop(text: str) -> bool:
    """Not one that asks: "Stop?" among other words is a question."""
    return any(
        not end.startswith("?") and _without_courtesies(_plain(sentence)) in ALONE
        for sentence, end in _SENTENCE.findall(_unquoted(text[:LONGEST]))
    )


_QUOTED: Final = re.compile(r"[\"“”„«»][^\"“”„«»\n]{2,}[\"“”„«»]|^>.*$", re.MULTILINE)


def _unquoted(text: str) -> str:
    """Without what is quoted, which is ours more often than not: phones send
    'Liked "Reply STOP to opt out"'. Who quotes everything means it."""
    own = _QUOTED.sub(" … ", text)
    return own if _NOT_WORDS.sub("", own) else text


_NOT_WORDS: Final = re.compile(r"[\W_]+")
_CONTRACTION: Final = re.compile(r"\b(\w+n) t\b")
_RUN: Final = re.compile(r"(.)\1{2,}")


def _plain(text: str) -> str:
    """Lower case, no accents, words with one space between: what is compared."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    letters = "".join(c for c in folded if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    return _CONTRACTION.sub(r"\1t", _NOT_WORDS.sub(" ", letters).strip())


def _without_courtesies(said: str) -> str:
    begun = _BEFORE.match(said)
    return _AFTER.sub("", said[begun.end() :] if begun else said).strip()


def _joined(said: str) -> str:
    """``s t o p`` as ``stop``."""
    return said.replace(" ", "") if len(said) > 4 and all(len(word) == 1 for word in said.split()) else said


def _drawn_in(said: str) -> str:
    """``stooooop`` as ``stop``."""
    return _RUN.sub(r"\1", said)
