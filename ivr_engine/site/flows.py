"""Flows: what callers are led through before they come into a queue. ``docs/0007-flows.md`` tells the rest.

A flow is a set of named nodes; each holds exactly one thing to do and names the nodes that may follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from ivr_engine.domain.menu import MenuRules
from ivr_engine.domain.routing import MOST_LEVEL
from ivr_engine.site.flow_texts import AppLink, GoBySms
from ivr_engine.site.values import (
    JsonPath,
    Key,
    Language,
    Name,
    Outside,
    PositiveSeconds,
    Priority,
    PromptName,
    Settings,
    TokenVariable,
    Url,
)
from ivr_engine.site.way import Way

Tries = Annotated[int, Field(ge=0, le=20)]
Value = Annotated[str, Field(max_length=200)]
LevelOrNone = Annotated[int, Field(ge=0, le=MOST_LEVEL)]


class Play(Settings):
    """Say something, then go on."""

    prompt: PromptName
    """What is said."""
    then: Name
    """The node after it."""

    def ways(self) -> Iterator[Way]:
        yield Way(("then",), self.then)


class Asking(Settings):
    """What a menu and the choice of language have in common."""

    wait: PositiveSeconds = 5.0
    """Seconds of silence after the prompt in which a key still counts."""
    wrong_keys: Tries = 3
    """After so many wrong keys the caller is asked again; one more, and the call goes on."""
    silences: Tries = 2
    """So often the prompt is said again to who presses nothing."""
    longest: PositiveSeconds = 180.0
    """Seconds in which the prompt is repeated; whoever has not chosen by then goes on."""


class ChooseLanguage(Asking):
    """Let the caller choose. The prompt is played in each of the languages, in the order of the keys.
    A caller whose number chose before is not asked, unless a key led here."""

    prompt: PromptName = "choose_language"
    """Said in each language, naming its key."""
    keys: Annotated[dict[Key, Language], Field(min_length=1)]
    """The language by the key."""
    then: Name
    """Also of a caller who did not choose: in the language as it was."""

    def ways(self) -> Iterator[Way]:
        yield Way(("then",), self.then)

    def rules(self) -> MenuRules:
        return MenuRules(
            keys=self.keys, wrong_keys=self.wrong_keys, silences=self.silences, longest_s=self.longest
        )


class Menu(Asking):
    prompt: PromptName
    """What is said, naming each key."""
    keys: Annotated[dict[Key, Name], Field(min_length=1)]
    """The node by the key."""
    back: Key | None = "*"
    """To the menu before this one; a wrong key in the first menu."""
    repeat: Key | None = None
    """Says the prompt again."""
    otherwise: Name
    """For whoever passes one of the limits."""

    def ways(self) -> Iterator[Way]:
        yield Way(("otherwise",), self.otherwise)
        for key, target in self.keys.items():
            yield Way(("keys", key), target, key=True)

    def rules(self, everywhere: Mapping[str, str], *, has_before: bool) -> MenuRules:
        """``everywhere``: the flow's keys for all menus; ``has_before``: there is a menu to go back to."""
        own = {self.repeat, self.back if has_before else None}
        return MenuRules(
            keys={key: target for key, target in everywhere.items() if key not in own} | self.keys,
            wrong_keys=self.wrong_keys,
            silences=self.silences,
            longest_s=self.longest,
            back=self.back if has_before else None,
            repeat=self.repeat,
        )


class Hours(Settings):
    """Where to, by opening hours."""

    schedule: Name
    """By its name below `schedules`."""
    open: Name
    """The node while it is open."""
    closed: Name
    """The node while it is closed."""
    holiday: Name | None = None
    """Where to when it is a holiday that closes; not given: as when closed."""

    def ways(self) -> Iterator[Way]:
        yield Way(("open",), self.open)
        yield Way(("closed",), self.closed)
        if self.holiday is not None:
            yield Way(("holiday",), self.holiday)


class Note(Settings):
    """Note something about the call, and go on."""

    priority: Priority | None = None
    """In the line: in place of the number's."""
    language: Language | None = None
    """What is spoken from then on."""
    skills: dict[Name, LevelOrNone] = Field(default_factory=dict)
    """Required of the agent, besides what the queue requires; 0: no longer."""
    variables: dict[Name, Value] = Field(default_factory=dict)
    """Notes for later: `{name}` in a dip or a transfer gives them."""
    then: Name
    """The node after it."""

    def ways(self) -> Iterator[Way]:
        yield Way(("then",), self.then)


class Transfer(Settings):
    """To a number outside, through the site's trunk; the caller hears music until it is answered."""

    number: Outside
    """In E.164, or ``{name}`` of a variable. Checked against ``transfers`` whenever it is dialled."""
    ring_time: PositiveSeconds = 30.0
    """Seconds it rings at most."""
    music: Name = "default"
    """A music class of Asterisk's musiconhold.conf."""
    otherwise: Name
    """When it may not be dialled, is busy, or does not answer."""

    def ways(self) -> Iterator[Way]:
        yield Way(("otherwise",), self.otherwise)

    def to_dial(self, variables: Mapping[str, str]) -> str:
        """The number, which nobody has checked yet."""
        return variables.get(self.number[1:-1], "") if self.number.startswith("{") else self.number


class Voicemail(Settings):
    """Ask for a message and record it, for a ticket; ``#`` ends it."""

    prompt: PromptName = "voicemail"
    """Said before the recording begins."""
    longest: Annotated[int, Field(ge=5, le=600)] = 120
    """Seconds."""
    silence: Annotated[int, Field(ge=2, le=60)] = 5
    """Seconds of silence that end it."""
    then: Name
    """For whoever has not hung up by then."""

    def ways(self) -> Iterator[Way]:
        yield Way(("then",), self.then)


PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_-]{0,39})\}")
CALL_FACTS: Final = frozenset({"caller", "number", "language", "call"})
"""What ``parameters`` of a dip may name besides variables: the caller's number (empty when hidden), the
number dialled, the language, the call's id."""


class Dip(Settings):
    """Ask another system about the call (JSON over HTTP) while the line is silent."""

    url: Url
    """The other system's address."""
    method: Literal["get", "post"] = "get"
    """How it is asked."""
    parameters: dict[Name, Value] = Field(default_factory=dict)
    """In the query of a GET, as JSON in the body of a POST. ``{caller}``, ``{number}``, ``{language}``,
    ``{call}`` and variables are filled in, and encoded."""
    token_from: TokenVariable | None = None
    """The environment variable that holds a bearer token; or the one with ``_FILE`` behind its name, the file
    with it."""
    deadline: Annotated[float, Field(gt=0, le=10)] = 3.0
    """Seconds for all of it."""
    set: dict[Name, JsonPath] = Field(default_factory=dict)
    """Variables, by the path of their value in the answer: ``customer.phones.0``."""
    priority: JsonPath | None = None
    """The path of a priority in the answer."""
    branch: JsonPath | None = None
    """Whose value decides among ``branches``."""
    branches: dict[Value, Name] = Field(default_factory=dict)
    """The node by that value."""
    then: Name
    """When no branch fits."""
    otherwise: Name
    """When there is no answer, or none that is understood."""

    def ways(self) -> Iterator[Way]:
        yield Way(("then",), self.then)
        yield Way(("otherwise",), self.otherwise)
        for value, target in self.branches.items():
            yield Way(("branches", value), target)


class EnterQueue(Settings):
    """Into the line of a queue: the end of the flow."""

    name: Name
    """The queue."""
    priority: Priority | None = None
    """In place of the number's."""
    skills: dict[Name, LevelOrNone] = Field(default_factory=dict)
    """Required of the agent, besides what the queue requires; 0: no longer."""
    closed: Name | None = None
    """Where to outside the queue's hours; not given: the queue's closed message, and the end."""
    callback: bool = False
    """The caller is called back when it is their turn: they confirm a number and hang up, and keep the place.
    Whoever confirms none waits."""

    def ways(self) -> Iterator[Way]:
        if self.closed is not None:
            yield Way(("closed",), self.closed)


class HangUp(Settings):
    """The last words, and the end."""

    prompt: PromptName = "goodbye"
    """The last words."""

    def ways(self) -> Iterator[Way]:
        yield from ()


Doing = (
    Play
    | ChooseLanguage
    | Menu
    | Hours
    | Note
    | Dip
    | Transfer
    | Voicemail
    | GoBySms
    | AppLink
    | EnterQueue
    | HangUp
)


class Node(Settings):
    """Exactly one of these is set; ``references`` sees to it."""

    play: Play | None = None
    language: ChooseLanguage | None = None
    menu: Menu | None = None
    hours: Hours | None = None
    set: Note | None = None
    dip: Dip | None = None
    transfer: Transfer | None = None
    voicemail: Voicemail | None = None
    sms: GoBySms | None = None
    app_link: AppLink | None = None
    queue: EnterQueue | None = None
    hang_up: HangUp | None = None

    def all(self) -> dict[str, Doing]:
        """What is set, by the name of its setting."""
        return {name: value for name in Node.model_fields if (value := getattr(self, name)) is not None}

    @property
    def doing(self) -> Doing:
        """What the node does."""
        return next(iter(self.all().values()))

    @property
    def kind(self) -> str:
        return next(iter(self.all()))


class Flow(Settings):
    start: Name
    """The node it begins with."""
    everywhere: dict[Key, Name] = Field(default_factory=dict)
    """Keys that lead there from every menu which gives them no other meaning, like ``0: operator``."""
    nodes: Annotated[dict[Name, Node], Field(min_length=1)]
    """Steps by name; each does one thing."""

    def prompts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Every prompt named, with the path of its setting below ``nodes``."""
        for name, node in self.nodes.items():
            for kind, doing in node.all().items():
                for setting in ("prompt", "not_sent"):
                    prompt = getattr(doing, setting, None)
                    if prompt is not None:
                        yield (name, kind, setting), prompt

    def ways(self, name: str) -> list[tuple[tuple[str, ...], Way]]:
        """Every way out of that node, with the path of its setting below ``nodes``."""
        node = self.nodes[name]
        own = [
            ((name, kind, *way.setting), way) for kind, doing in node.all().items() for way in doing.ways()
        ]
        if node.menu is None:
            return own
        taken = {*node.menu.keys, node.menu.back, node.menu.repeat}
        general = [(key, target) for key, target in self.everywhere.items() if key not in taken]
        return own + [((name,), Way(("everywhere", key), target, key=True)) for key, target in general]
