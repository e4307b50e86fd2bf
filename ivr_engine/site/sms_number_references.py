"""What must agree about numbers for texts: each is a number, and each queue names what may serve it."""

from __future__ import annotations

from collections.abc import Iterator

import phonenumbers

from ivr_engine.domain.numbers import is_country, to_e164
from ivr_engine.domain.sms_numbers import Kind, kind_of
from ivr_engine.errors import ConfigError
from ivr_engine.site.explain import nearest
from ivr_engine.site.models import Site
from ivr_engine.site.sms_numbers import MOST_LETTERS, SmsNumber, senders
from ivr_engine.site.tree import Node, shown

Path = tuple[str, ...]

_HERE = "sms_numbers"


def errors(site: Site, tree: Node) -> Iterator[ConfigError]:
    """Everything that keeps a number from being used as it is written."""
    for number, own in site.sms_numbers.items():
        yield from _number(site, tree, number, own)
    yield from _of_queues(site, tree)
    yield from _for_all(site, tree)


def _number(site: Site, tree: Node, number: str, own: SmsNumber) -> Iterator[ConfigError]:
    at = (_HERE, number)
    match kind_of(number):
        case Kind.SHORT_CODE:
            if own.country is None:
                what = f"the short code {number} has no country: it works in one alone"
                yield _error(tree, at, what, f"add 'country: {site.country}' below it")
        case Kind.ALPHANUMERIC:
            if len(number) > MOST_LETTERS:
                what = f"the sender {shown(number)} has {len(number)} characters"
                yield _error(tree, at, what, f"shorten it: at most {MOST_LETTERS} are carried")
            if own.direction == "inbound":
                what = f"nobody can write to the name {shown(number)}, but it is 'inbound'"
                yield _error(tree, (*at, "direction"), what, "write 'direction: outbound'")
        case _:
            yield from _with_country_code(site, tree, number, own)
    if own.country is not None and not is_country(own.country):
        remedy = "write its two letters as in ISO 3166: DE, AT, US, GB"
        yield _error(tree, (*at, "country"), f"there is no country '{own.country}'", remedy)
    if "sms" not in own.capabilities:
        what = f"{number} carries no texts: 'capabilities' lacks 'sms'"
        yield _error(tree, (*at, "capabilities"), what, "add 'sms', or take the number away")
    if own.direction == "outbound" and not own.sends:
        what = f"{number} is 'outbound' and does not send: it does nothing"
        yield _error(tree, (*at, "sends"), what, "leave 'sends' out, or write 'direction: inbound'")


def _with_country_code(site: Site, tree: Node, number: str, own: SmsNumber) -> Iterator[ConfigError]:
    at = (_HERE, number)
    if to_e164(number, site.country) != number:
        what = f"{shown(number)} is not a number that exists"
        yield _error(tree, at, what, "check the country code and count the digits")
    elif own.country is not None and is_country(own.country):
        code = phonenumbers.country_code_for_region(own.country)
        if phonenumbers.parse(number).country_code != code:
            what = f"{number} is no number of '{own.country}', whose begin with +{code}"
            yield _error(tree, (*at, "country"), what, "leave 'country' out: it follows from the number")


def _of_queues(site: Site, tree: Node) -> Iterator[ConfigError]:
    owner: dict[str, str] = {}
    for name, queue in site.queues.items():
        at = ("queues", name, _HERE)
        seen: set[str] = set()
        for number in queue.sms_numbers:
            place = tree.item(at, number)
            own = site.sms_numbers.get(number)
            if own is None:
                remedy = f"{nearest(number, site.sms_numbers)} Else add it to 'sms_numbers'"
                yield ConfigError(*place, f"queue '{name}' names the unknown number {shown(number)}", remedy)
                continue
            if number in seen:
                yield ConfigError(*place, f"queue '{name}' names {number} twice", "keep one of the two")
            seen.add(number)
            if own.direction == "inbound" and owner.setdefault(number, name) != name:
                what = f"the inbound number {number} belongs to queue '{owner[number]}' already"
                remedy = f"take it out of '{name}', or write 'direction: outbound' at the number"
                yield ConfigError(*place, what, remedy)


def _for_all(site: Site, tree: Node) -> Iterator[ConfigError]:
    """The number of all queues has to be able to send for them."""
    number = site.sms.sender
    own = site.sms_numbers.get(number)
    if own is None:
        return
    at = ("sms", "sender")
    if own.direction == "inbound" and not own.sends:
        what = f"'sms.sender' is {number}, which is inbound and does not send ('sends: no')"
        yield _error(tree, at, what, "name a number that sends, or leave 'sends' out")
    if own.use == "sms_channel":
        what = f"'sms.sender' is {number}, which is for the SMS channel: calls cannot use it"
        yield _error(tree, at, what, "name a number with 'use: in_call'")


def doubtful(site: Site, tree: Node) -> Iterator[ConfigError]:
    """What is probably not meant: of a site without errors."""
    named = {number for queue in site.queues.values() for number in queue.sms_numbers}
    for number, own in site.sms_numbers.items():
        if number not in named and number != site.sms.sender and "verify" not in own.capabilities:
            what = f"no queue uses the number {number}"
            yield _error(tree, (_HERE, number), what, "name it below 'sms_numbers' of a queue")
    own = site.sms_numbers.get(site.sms.sender)
    if own is not None and own.direction == "inbound":
        what = f"'sms.sender' is {site.sms.sender}, an inbound number: all queues without one write from it"
        yield _error(tree, ("sms", "sender"), what, "write 'direction: outbound' at it if that is meant")
    for name in site.queues:
        yield from _answers(site, tree, name)


def _answers(site: Site, tree: Node, name: str) -> Iterator[ConfigError]:
    """Callers are asked to answer the SMS: they cannot answer a name."""
    queue = site.queues[name]
    own = senders(site.sms_numbers, queue.sms_numbers)
    offered = site.rules_for(name).enabled
    if own and offered and all(kind_of(sender.number) is Kind.ALPHANUMERIC for sender in own):
        what = f"queue '{name}' writes from names alone: callers cannot answer its wait-time SMS"
        yield _error(tree, ("queues", name, _HERE), what, "add a number, first in the list")
    pictures = any("media" in site.sms_numbers[sender.number].capabilities for sender in own)
    if own and site.in_call_sms.media and queue.in_call_sms and not pictures:
        what = f"agents may send pictures, but no number of queue '{name}' carries any"
        yield _error(
            tree, ("queues", name, _HERE), what, "add 'media' to the 'capabilities' of one that does"
        )


def _error(tree: Node, path: Path, what: str, remedy: str) -> ConfigError:
    file, line = tree.at(path)
    return ConfigError(file, line, what, remedy)
