"""Looked at once more when an SMS that a caller asked for is about to be sent: the number and the caps, as
they are set by now."""

from __future__ import annotations

from collections.abc import Callable

from ivr_engine.domain.consent import NotOffered, why_not_written_to
from ivr_engine.domain.messages import ASKED_FOR, Message
from ivr_engine.domain.numbers import receiver
from ivr_engine.ports import Clock, Tx
from ivr_engine.site.models import Site


def abuse_veto(site: Callable[[], Site], clock: Clock) -> Callable[[Tx, Message], str | None]:
    """A reason, as in ``NotOffered``, not to send it after all. It is counted already: of a count above its
    cap nothing goes out, as when the cap was lowered meanwhile."""

    def veto(tx: Tx, message: Message) -> str | None:
        if message.purpose not in ASKED_FOR:
            return None
        now = site()
        why = why_not_written_to(now.rules_of_any_queue, receiver(message.recipient))
        if why is not None:
            return why
        counters = now.abuse.caps.counters(message.recipient)
        used = tx.sms_counts.used(counters, clock.now())
        over = next((one for one in counters if used[one.key] > one.limit), None)
        return None if over is None else NotOffered.of_cap(over.cap)

    return veto
