"""Who waits and who is free, kept so that one event is answered without looking at everybody.

Callers with equal needs stand in one line each; agents are found by the queues they serve. The state between
two events is stable: nobody waits whom a free agent could take. So after an event only those concern us whom
it brought or freed, and what they can take. What is found is what ``domain.matching.matches`` finds.

How it grows: a caller who comes costs a binary search in one line, and a look at the free agents of the
queues needed; an agent who becomes free costs a look at the first caller of each line that stands for one of
their queues. Neither depends on how many wait.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping

from ivr_engine.domain.matching import Free, Pair, Place, Waiting, chosen
from ivr_engine.domain.routing import Need, fits


class Board:
    """Changed by what happened, then asked for ``pairs`` until there is none."""

    def __init__(self, turns: Mapping[str, int] | None = None) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._lines: dict[Need, list[Place]] = {}
        self._needs: defaultdict[str, set[Need]] = defaultdict(set)
        self._free: dict[str, Free] = {}
        self._serving: defaultdict[str, set[str]] = defaultdict(set)
        self._turns = dict(turns or {})
        self._new_needs: set[Need] = set()
        self._newly_free: set[str] = set()

    @property
    def waiting(self) -> Mapping[str, Waiting]:
        """By call id."""
        return self._waiting

    @property
    def free(self) -> Mapping[str, Free]:
        """By name."""
        return self._free

    @property
    def settled(self) -> bool:
        """Nothing came since the pairs were last asked for: there are none."""
        return not self._new_needs and not self._newly_free

    def turn(self, queue: str, order: int) -> None:
        """The queue's last call was offered to the agent at this place of the site's list."""
        self._turns[queue] = order

    def put(self, caller: Waiting) -> None:
        """Comes to wait, or waits with another place or need."""
        self.remove(caller.id)
        self._waiting[caller.id] = caller
        line = self._lines.get(caller.need)
        if line is None:
            line = self._lines[caller.need] = []
            for queue in caller.need.queues:
                self._needs[queue].add(caller.need)
        insort(line, caller.place)
        self._new_needs.add(caller.need)

    def remove(self, call_id: str) -> None:
        """Waits no more; fine when they did not."""
        caller = self._waiting.pop(call_id, None)
        if caller is None:
            return
        line = self._lines[caller.need]
        del line[bisect_left(line, caller.place)]
        if not line:
            del self._lines[caller.need]
            for queue in caller.need.queues:
                self._needs[queue].discard(caller.need)

    def set_free(self, agent: Free) -> None:
        """May be offered a call from now on, or is another than before."""
        self.set_busy(agent.name)
        self._free[agent.name] = agent
        for queue in agent.profile.queues:
            self._serving[queue].add(agent.name)
        self._newly_free.add(agent.name)

    def set_busy(self, name: str) -> None:
        """May not be offered a call; fine when that was so before."""
        agent = self._free.pop(name, None)
        if agent is not None:
            for queue in agent.profile.queues:
                self._serving[queue].discard(name)

    def pairs(self) -> Iterator[Pair]:
        """The pairs that what changed has made possible, first in line first.

        After each one, before the next is asked for, the caller must be removed and the agent set busy, or
        either set to what they really are; else they are found again.
        """
        while not self.settled:
            yield from self._concerned(self._take_news())

    def _take_news(self) -> set[Need]:
        """The lines that what changed may have made servable."""
        concerned = {need for need in self._new_needs if need in self._lines}
        for name in self._newly_free:
            agent = self._free.get(name)
            if agent is not None:
                concerned |= {
                    need
                    for queue in agent.profile.queues
                    for need in self._needs.get(queue, ())
                    if fits(agent.profile, need, name)
                }
        self._new_needs.clear()
        self._newly_free.clear()
        return concerned

    def _concerned(self, needs: set[Need]) -> Iterator[Pair]:
        lines = [(self._lines[need][0], number, need) for number, need in enumerate(needs)]
        heapq.heapify(lines)
        while lines:
            place, number, need = heapq.heappop(lines)
            line = self._lines.get(need)
            if line and line[0] == place:
                agent = self._best(need)
                if agent is None:
                    continue
                yield Pair(place[2], agent.name)
                line = self._lines.get(need)
            if line:
                heapq.heappush(lines, (line[0], number, need))

    def _best(self, need: Need) -> Free | None:
        names = {name for queue in need.queues for name in self._serving.get(queue, ())}
        fitting = (self._free[name] for name in names)
        able = [agent for agent in fitting if fits(agent.profile, need, agent.name)]
        return chosen(able, need, self._turns.get(need.queue, -1))
