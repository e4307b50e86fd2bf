"""What became of the offers of an SMS, and how many texts went to and fro: counts by queue and language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """Callers of one queue and language who were offered the wait-time SMS, and what became of it.

    Callers, not rounds, but for ``rounds``: each is counted once a day. ``offered``: the question was begun.
    ``allowed``, ``denied``, ``no_response``: what they said in the end; who was taken by an agent, or
    hung up, before that said nothing. ``not_offered``: by reason (``NotOffered``), also those who were
    asked later. ``withheld``: allowed, and a cap was reached. ``sent``: the provider has it.
    ``failed``: it was not delivered, or never taken. ``under_way``: neither yet. ``unknown``: nobody can
    tell. ``replied``: wrote back. ``withdrawn``: took it back.
    """

    offered: int = 0
    rounds: int = 0
    allowed: int = 0
    denied: int = 0
    no_response: int = 0
    withheld: int = 0
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    under_way: int = 0
    unknown: int = 0
    replied: int = 0
    withdrawn: int = 0
    not_offered: Mapping[str, int] = field(default_factory=dict[str, int])

    def __add__(self, other: Funnel) -> Funnel:
        reasons = dict(self.not_offered)
        for reason, callers in other.not_offered.items():
            reasons[reason] = reasons.get(reason, 0) + callers
        return Funnel(
            **{step: getattr(self, step) + getattr(other, step) for step in STEPS}, not_offered=reasons
        )


STEPS: tuple[str, ...] = tuple(one.name for one in fields(Funnel) if one.name != "not_offered")
"""The counts, in the order in which they come about."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Texts of calls of one queue. ``purposes``: of each ``Purpose`` how many."""

    inbound: int = 0
    outbound: int = 0
    purposes: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def total(self) -> int:
        return self.inbound + self.outbound


Place = tuple[str, str]
"""Queue and language."""


def summed(funnels: Iterable[Funnel]) -> Funnel:
    total = Funnel()
    for funnel in funnels:
        total += funnel
    return total


def used_together(usages: Iterable[Usage]) -> Usage:
    inbound = outbound = 0
    purposes: dict[str, int] = {}
    for usage in usages:
        inbound, outbound = inbound + usage.inbound, outbound + usage.outbound
        for purpose, texts in usage.purposes.items():
            purposes[purpose] = purposes.get(purpose, 0) + texts
    return Usage(inbound, outbound, purposes)
