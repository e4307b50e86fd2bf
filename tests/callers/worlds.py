"""Many scripts in one engine at the same time: each gets numbers, queues, agents, flows and hours of its own.

Every name of the site gets a prefix, in the settings and in the script alike; what a script says about the
hour and about other systems is made true in its own part of the site.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

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
        own = {section: self._own(self.raw.get(section, {})) for section in _NAMED}
        own["numbers"] = {self._dialled(n): self._own(to) for n, to in self.raw["numbers"].items()}
        own["points"] = self._own(self.raw.get("access_points", {}).get("points", {}))
        own["schedules"] = {self.prefix + name: self._hours(name) for name in self.raw.get("schedules", {})}
        return copy.deepcopy(own)  # nothing is shared: YAML would write aliases

    def script(self) -> ScriptFile:
        told: Raw = self._own(self.file.script.model_dump(exclude_none=True))
        for step in told["steps"]:
            if "dials" in step:
                step["dials"]["number"] = self._dialled(step["dials"]["number"])
        return replace(self.file, script=Script.model_validate(told))

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
