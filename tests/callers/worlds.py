"""Many scripts in one engine at the same time: each gets numbers, queues, agents, flows and hours of its own.

Every name of the site gets a prefix, in the settings and in the script alike; what a script says about the
hour and about other systems is made true in its own part of the site.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ivr_engine.domain.records import replace
from ivr_engine.domain.schedules import opening
from ivr_engine.rehearsal.script import Script
from ivr_engine.rehearsal.script_files import ScriptFile
from ivr_engine.site.models import Site

Raw = dict[str, Any]

_NAMED: Final = ("queues", "agents", "flows", "schedules")
_ALWAYS: Final[Raw] = {"mon-sun": ["00:00-24:00"]}


@dataclass(frozen=True)
class World:
    """The ``number``-th script's part of a site. ``elsewhere``: where other systems are for all scripts."""

    file: ScriptFile
    raw: Raw
    site: Site
    number: int
    elsewhere: str
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        trunk = {self.site.transfers.trunk} if self.site.transfers else set[str]()
        names = {name for section in _NAMED for name in self.raw.get(section, {})} - trunk
        names |= set(self.raw.get("access_points", {}).get("points", {}))
        object.__setattr__(self, "names", frozenset(names))

    @property
    def prefix(self) -> str:
        return f"w{self.number}-"

    def settings(self) -> Raw:
        """The sections that are this world's own; ``points`` are those of ``access_points``."""
        used, queues = self._used(), self.raw["queues"]
        own = {section: self._own(self._kept(section, used)) for section in ("queues", "flows")}
        own["agents"] = {
            self._own(name): self._own(agent | {"queues": sorted(used & set(agent["queues"]))})
            for name, agent in self.raw["agents"].items()
            if name in used or used & set(queues) & set(agent["queues"])
        }
        own["numbers"] = {self._dialled(n): self._own(self.raw["numbers"][n]) for n in self._numbers()}
        own["points"] = self._own(self.raw.get("access_points", {}).get("points", {}))
        own["schedules"] = {self.prefix + name: self._hours(name) for name in self._kept("schedules", used)}
        return copy.deepcopy(own)  # nothing is shared: YAML would write aliases

    def script(self) -> ScriptFile:
        told: Raw = self._own(self.file.script.model_dump(exclude_none=True))
        if number := told.get("company", {}).get("dials"):
            told["company"]["dials"] = self._dialled(number)
        for step in told["steps"]:
            if "dials" in step:
                step["dials"]["number"] = self._dialled(step["dials"]["number"])
        return replace(self.file, script=Script.model_validate(told))

    def _numbers(self) -> set[str]:
        """Those of the site that the script dials."""
        company = self.file.script.company
        dialled = {*self.file.script.dialled, *([company.dials] if company and company.dials else [])}
        return dialled & set(self.raw["numbers"])

    def _used(self) -> frozenset[str]:
        """Names that the script can come across: a site of all worlds whole would take long to load."""
        used = set(_words(self.file.script.model_dump())) | set(_words(self.raw.get("access_points", {})))
        used |= set(_words([self.raw["numbers"][number] for number in self._numbers()]))
        sections = [self._section(name) for name in ("queues", "flows")]
        while (
            more := {word for each in sections for name in used & set(each) for word in _words(each[name])}
            - used
        ):
            used |= more
        return frozenset(used & self.names | {self.site.transfers.trunk if self.site.transfers else ""})

    def _kept(self, section: str, used: frozenset[str]) -> Raw:
        return {name: each for name, each in self._section(section).items() if name in used}

    def _section(self, section: str) -> Raw:
        return self.raw.get(section, {})

    def _dialled(self, number: str) -> str:
        return f"{self.number:02}{number}"

    def _own(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self._own(key): self._own(each) for key, each in value.items()}  # pyright: ignore
        if isinstance(value, list | tuple | set | frozenset):
            return [self._own(each) for each in value]  # pyright: ignore
        if not isinstance(value, str):
            return value
        if value.startswith("http://"):
            return f"{self.elsewhere}/{self.number}/{value.rpartition('/')[2]}"
        return self.prefix + value if value in self.names else value

    def _hours(self, name: str) -> Raw:
        """Those of the site; with ``at``: open, closed or a holiday for ever, as at that hour."""
        given = self.raw["schedules"][name]
        begins = self.file.script.begins
        if begins is None:
            return given
        then = opening(self.site.schedules[name].schedule, begins)
        if then.holiday is None:
            return {"time_zone": given["time_zone"], "hours": _ALWAYS if then.open else {}}
        holiday = {"name": then.holiday, "from": "01-01", "to": "12-31"}
        of_day = {"hours": ["00:00-24:00"]} if then.open else {}
        return {"time_zone": given["time_zone"], "hours": _ALWAYS, "holidays": [holiday | of_day]}


def _words(value: Any) -> Iterator[str]:
    """All strings in it, also those that name what else is in it."""
    if isinstance(value, Mapping):
        for key, each in value.items():  # pyright: ignore
            yield from (*_words(key), *_words(each))
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:  # pyright: ignore
            yield from _words(each)
    elif isinstance(value, str):
        yield value
