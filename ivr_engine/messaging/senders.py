"""Which of our numbers a text to a contact comes from."""

from __future__ import annotations

from ivr_engine.domain.numbers import receiver
from ivr_engine.domain.sms_numbers import choose
from ivr_engine.ports import Tx
from ivr_engine.site.models import Site
from ivr_engine.site.sms_numbers import Use, senders


def sender_for(tx: Tx, site: Site, queue: str, contact: str, use: Use = "in_call") -> str:
    """The number that texts of ``queue`` to ``contact`` (E.164) are sent from.

    The same as last time for this contact, when it still serves the queue; else the queue's first of the
    contact's country; else its first; else the site's. Numbers that are not verified are passed over. Also
    for a queue not known any more.
    """
    own = site.queues[queue].sms_numbers if queue in site.queues else ()
    candidates = senders(site.sms_numbers, own, use)
    usable = tx.sms_numbers.verified([sender.number for sender in candidates], site.sms.provider)
    candidates = [sender for sender in candidates if sender.number in usable]
    if not candidates:
        return site.sms.sender
    last = tx.messages.last_sender_to(contact, usable)
    return choose(candidates, receiver(contact).country, last, site.sms.sender)
