"""The emergency switch: closes a queue, or all, with a spoken message, until somebody opens it again."""

from __future__ import annotations

import structlog

from ivr_engine.domain.events import QueueSwitched
from ivr_engine.domain.switches import ALL, Switch
from ivr_engine.errors import Refused
from ivr_engine.ports import Clock, Line, Store, Tx
from ivr_engine.site.now import SiteNow

log = structlog.get_logger()

MESSAGE = "emergency"
"""What callers hear where nothing else is named."""


class Switchboard:
    """``Refused`` for a queue or a prompt that the site does not have. ``ALL`` stands for every queue."""

    def __init__(self, in_force: SiteNow, store: Store, clock: Clock, line: Line) -> None:
        self._in_force = in_force
        self._store = store
        self._clock = clock
        self._line = line

    async def close(self, queue: str, prompt: str = MESSAGE) -> Switch:
        """Who waits there hears ``prompt`` and is hung up on; so does who comes, until it is opened. Who
        talks to an agent goes on talking."""
        self._known(queue)
        self._spoken(prompt)

        def write(tx: Tx) -> Switch:
            switch = Switch(queue=queue, prompt=prompt, since=self._clock.now())
            tx.queues.close(switch)
            tx.events.add(switch.since, None, QueueSwitched(queue, prompt))
            return switch

        switch = await self._store.run(write)
        log.warning("queue.closed", queue=queue or "all", prompt=prompt)
        self._line.look(queue or None)
        return switch

    async def open(self, queue: str) -> bool:
        """False when it was not closed. A queue closed by itself stays so when all are opened."""
        if queue not in await self.closed():  # also one that the site does not have any more
            self._known(queue)

        def write(tx: Tx) -> bool:
            opened = tx.queues.open(queue)
            if opened:
                tx.events.add(self._clock.now(), None, QueueSwitched(queue, None))
            return opened

        opened = await self._store.run(write)
        if opened:
            log.warning("queue.opened", queue=queue or "all")
            self._line.look(queue or None)
        return opened

    async def closed(self) -> dict[str, Switch]:
        """What is closed now."""
        return await self._store.run(lambda tx: tx.queues.switches())

    def _known(self, queue: str) -> None:
        queues = self._in_force.current.site.queues
        if queue not in (ALL, *queues):
            known = ", ".join(sorted(queues))
            raise Refused(f"no queue {queue!r}: the site has {known}", missing=True)

    def _spoken(self, prompt: str) -> None:
        current = self._in_force.current
        try:
            current.prompts.get(current.site.default_language, prompt)
        except KeyError:
            remedy = f"add it to prompts/{current.site.default_language}/texts.yaml"
            raise Refused(f"no prompt {prompt!r}: {remedy}", missing=True) from None
