"""Which of our numbers a text to a contact comes from."""

from __future__ import annotations

from typing import Final

from ivr_engine.domain.messages import Direction
from ivr_engine.domain.numbers import receiver
from ivr_engine.domain.sms_numbers import choose
from ivr_engine.ports import Tx
from ivr_engine.site.models import Site
from ivr_engine.site.sms_numbers import Use, senders

LOOKED_BACK: Final = 50
"""Messages of a contact among which the last sender is looked for."""


def sender_for(tx: Tx, site: Site, queue: str, contact: str, use: Use = "in_call") -> str:
    """The number that texts of ``queue`` to ``contact`` (E.164) are sent from.

    The same as last time for this contact, when it still serves the queue; else the queue's first of the
    contact's country; else its first; else the site's. Numbers that are not verified are passed over. Also
    for a queue not known any more.
    """
    own = site.queues[queue].sms_numbers if queue in site.queues else ()
    candidates = senders(site.sms_numbers, own, use)
    if not candidates:
        return site.sms.sender
    last = _last_sender(tx, contact, {sender.number for sender in candidates})
    return choose(candidates, receiver(contact).country, last, site.sms.sender)


def _last_sender(tx: Tx, contact: str, among: set[str]) -> str | None:
    sent = (
        message.sender
        for message in tx.messages.search(number=contact, limit=LOOKED_BACK)
        if message.direction is Direction.OUTBOUND
    )
    return next((sender for sender in sent if sender in among), None)
