"""Which messages an engine takes in hand now, and at which moment each is to leave: one transaction.

The store is the arbiter: the moments of a sender are dealt out from its row, in the transaction that writes
``sending`` into the messages that get them. So neither an engine that died nor one beside this one makes a
sender faster than it may be. ``docs/0003-sms-outbox.md`` says who goes first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ivr_engine.domain.messages import Message, MessageStatus
from ivr_engine.domain.pace import AHEAD, Slots
from ivr_engine.domain.quiet_hours import Hours
from ivr_engine.domain.records import replace
from ivr_engine.domain.sms_parts import parts
from ivr_engine.messaging import settling
from ivr_engine.messaging.outcomes import keep
from ivr_engine.messaging.settling import SettlingPolicy
from ivr_engine.ports import Tx

_OPEN: Final = frozenset({MessageStatus.SENDING, MessageStatus.UNSETTLED})
_TAKEN: Final = frozenset({MessageStatus.ACCEPTED, MessageStatus.SENT})
READY_AT_ONCE: Final = 500
"""Messages whose moment has come, made ready in one transaction."""

Veto = Callable[[Tx, Message], str | None]
"""A reason (code) not to send after all, asked in the transaction that claims the message: opted out, …"""


def _no_limit(sender: str) -> float | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingRules:
    """``engine``: the name of this one, under which its requests stand in the store. ``rate_of``: parts a
    second of a sender, ``None`` for no limit. ``hours``: when messages of which purpose may be sent. Of the
    ``vetoes`` the first reason counts."""

    engine: str = "engine"
    policy: SettlingPolicy = field(default_factory=SettlingPolicy)
    rate_of: Callable[[str], float | None] = _no_limit
    hours: Callable[[], Hours] = Hours
    vetoes: tuple[Veto, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """``places``: how many messages ``provider`` may be given now; from its own ``sender``, if it has one."""

    provider: str
    places: int
    sender: str | None = None


@dataclass(slots=True)
class Claimed:
    """``sends``: with the moment each is to leave. ``looks``: to be looked up in the provider's list.
    ``moved``: came to an end or were put off. ``again_at``: when there is more to take, by sender.
    ``backlog``: more waits than there were places for. ``at_once``: there is more to do without waiting;
    ``more_looks``: when a look is over."""

    sends: list[tuple[Message, datetime]] = field(default_factory=list[tuple[Message, datetime]])
    looks: list[Message] = field(default_factory=list[Message])
    moved: list[Message] = field(default_factory=list[Message])
    again_at: dict[str, datetime] = field(default_factory=dict[str, datetime])
    backlog: bool = False
    at_once: bool = False
    more_looks: bool = False


class Claim:
    """One transaction's work."""

    def __init__(self, tx: Tx, rules: SendingRules, now: datetime) -> None:
        self._tx = tx
        self._rules = rules
        self._policy = rules.policy
        self._now = now
        self._hours = rules.hours()
        self._out = Claimed()

    def claimed(self, routes: Sequence[Route], looks: int | None, resting: Collection[str]) -> Claimed:
        """``looks``: how many may be looked up; ``None``: it is not time for that. ``resting``: senders that
        are known to have no moment free now."""
        if looks is not None:
            made = self._tx.messages.make_ready(self._now, READY_AT_ONCE)
            self._out.at_once = made >= READY_AT_ONCE
            self._look_up(looks)
        if any(route.places > 0 for route in routes):
            senders = [s for s in self._tx.messages.senders_waiting() if s not in resting]
            for route in routes:
                self._share_out(senders, route)
        return self._out

    def stopped(self, message_id: str) -> Message | None:
        """A message in hand whose moment has come, if something speaks against it by now: it is ended."""
        message = self._tx.messages.get(message_id)
        reason = self._against(message) if message.status is MessageStatus.SENDING else None
        if reason is None:
            return None
        return keep(self._tx, message, settling.failed(message, reason, self._now), self._now)

    def _share_out(self, senders: Sequence[str], route: Route) -> None:
        """Each sender gets its part of the places: one with thousands waiting keeps out nobody."""
        left = route.places
        for number, sender in enumerate(senders):
            if left <= 0:
                self._out.backlog = True
                return
            left -= self._from(sender, route, math.ceil(left / (len(senders) - number)))

    def _from(self, sender: str, route: Route, places: int) -> int:
        """How many of the ``places`` were taken."""
        named, sends = route.sender or sender, self._out.sends
        slots, already, seen = self._slots(named), len(sends), 0
        most = places if slots.most is None else min(places, slots.most)
        found = self._tx.messages.to_send(sender, most) if most > 0 else []
        for message in found:
            if not slots.open:
                break
            seen += 1
            if self._may_leave(message, slots.next):
                self._take(message, route, slots)
        taken = len(sends) - already
        self._keep_pace(slots, [message for message, _ in sends[already:]])
        if seen < most and seen == len(found):
            return taken  # nothing else waits there
        if not slots.open:
            self._out.again_at[sender] = slots.next - AHEAD / 2
        elif taken >= places:
            self._out.backlog = True
        else:
            self._out.at_once = True
        return taken

    def _slots(self, sender: str) -> Slots:
        rate = self._rules.rate_of(sender)
        return Slots(sender, None if rate is None else self._tx.paces.get(sender), rate, self._now)

    def _keep_pace(self, slots: Slots, taken: Sequence[Message]) -> None:
        """Of a sender without limit only the turn counts, and callers have none."""
        if not taken:
            return
        turn = max(message.turn for message in taken)
        if slots.limited or turn > 0:
            before = None if slots.limited else self._tx.paces.get(slots.sender)
            self._tx.paces.save(slots.pace(before))

    def _may_leave(self, message: Message, moment: datetime) -> bool:
        """If not, that is written."""
        reason = self._against(message)
        if reason is not None:
            after = settling.failed(message, reason, self._now)
        else:
            allowed = self._hours.next_moment(message.purpose, message.recipient, moment)
            if allowed <= moment:
                return True
            after = settling.held(message, allowed, self._now, self._policy)
        self._out.moved.append(keep(self._tx, message, after, self._now))
        return False

    def _against(self, message: Message) -> str | None:
        if settling.too_old(message, self._now, self._policy):
            return settling.EXPIRED
        return next((code for veto in self._rules.vetoes if (code := veto(self._tx, message))), None)

    def _take(self, message: Message, route: Route, slots: Slots) -> None:
        moment = slots.take(parts(message.text).count if slots.limited else 1, message.turn)
        claimed = replace(
            settling.claimed(message, self._now, self._policy),
            provider=route.provider,
            sender=route.sender or message.sender,
            engine=self._rules.engine,
        )
        self._out.sends.append((keep(self._tx, message, claimed, self._now), moment))

    def _look_up(self, looks: int) -> None:
        """What nobody has settled: those of an engine that is gone (their lease is over), and those to be
        looked for in the provider's list. Then what was taken, and nothing heard of since."""
        if looks <= 0:
            return
        found = self._tx.messages.due(self._now, _OPEN, looks)
        self._out.more_looks = len(found) >= looks
        if len(found) < looks:
            found += self._tx.messages.due(self._now, _TAKEN, looks - len(found))
        for message in found:
            if message.status is MessageStatus.SENDING:
                after = settling.after_stop(message, self._now, self._policy)
                self._out.moved.append(keep(self._tx, message, after, self._now))
            else:
                lease = replace(message, next_attempt_at=self._now + timedelta(seconds=self._policy.lease_s))
                self._out.looks.append(keep(self._tx, message, lease, self._now))
