"""What must agree about queues over capacity: limits there are, options that lead somewhere, no circles."""

from __future__ import annotations

from collections.abc import Iterator

from ivr_engine.errors import ConfigError
from ivr_engine.site.flow_references import queues_reached
from ivr_engine.site.models import Site
from ivr_engine.site.over_capacity import KINDS, Option, OverCapacity
from ivr_engine.site.texts import Line, names_key
from ivr_engine.site.tree import Node

Found = tuple[tuple[str, ...], str, str]
"""Path below the queue's ``over_capacity``, what is wrong, remedy."""


def errors(site: Site, tree: Node) -> Iterator[ConfigError]:
    """Everything that keeps ``over_capacity`` from working."""
    for name, queue in site.queues.items():
        settings = queue.over_capacity
        if settings is None:
            continue
        for path, what, remedy in [*_whole(settings), *_options(site, name, settings)]:
            file, line = tree.at(("queues", name, "over_capacity", *path))
            yield ConfigError(file, line, f"over capacity of queue '{name}': {what}", remedy)


def doubtful(site: Site, tree: Node, lines: list[Line]) -> Iterator[ConfigError]:
    """What is probably not meant: of a site without errors."""
    for name, queue in site.queues.items():
        if queue.over_capacity is not None:
            yield from _unspoken(queue.over_capacity, lines)
        rules = site.rules_for(name)
        if queue.over_capacity is None and rules.enabled and rules.requires_over_capacity:
            file, line = tree.at(("queues", name))
            what = f"callers in '{name}' are never offered the SMS: the queue is never over capacity"
            remedy = "add 'over_capacity' to it, or 'requires_over_capacity: no' below its 'wait_time_sms'"
            yield ConfigError(file, line, what, remedy)


def circles(site: Site, tree: Node) -> Iterator[ConfigError]:
    """Queues that, all over capacity, send callers round who can do nothing about it. Of a site without other
    errors."""
    leads = {
        name: _led_to(site, queue.over_capacity.forced)
        for name, queue in site.queues.items()
        if queue.over_capacity is not None and queue.over_capacity.forced is not None
    }
    for start in leads:
        reached, further = set[str](), leads[start]
        while further - reached:
            reached |= further
            further = {other for name in further for other in leads.get(name, ())}
        if start in reached:
            file, line = tree.at(("queues", start, "over_capacity", "forced"))
            what = f"callers of queue '{start}' can be sent round for ever, back to '{start}'"
            yield ConfigError(file, line, what, "let one of the queues on the way lead elsewhere, or ask")


def _whole(settings: OverCapacity) -> Iterator[Found]:
    rules = settings.rules
    limits = (rules.wait_s, rules.waiting, rules.longest_wait_s)
    if all(limit is None for limit in limits) and not rules.nobody_signed_in:
        limits = "'estimate', 'waiting', 'longest_wait' or 'nobody_signed_in'"
        yield (), "no limit makes it so", f"give one of {limits}"
    if not settings.keys and settings.forced is None:
        yield (), "nothing follows from it", "give 'keys' with options, or one option as 'forced'"
    if settings.keys and settings.forced is not None:
        yield ("forced",), "with 'forced' nobody is asked for 'keys'", "keep one of the two"
    if settings.forced is not None and settings.forced.wait and rules.again_s is not None:
        yield ("again",), "whoever is made to wait waits, however often it is looked", "leave 'again' out"


def _options(site: Site, queue: str, settings: OverCapacity) -> Iterator[Found]:
    for path, option in settings.options.items():
        if len(option.given) != 1:
            what = f"an option has {' and '.join(option.given) or 'nothing'}"
            yield path, what, f"give it exactly one of: {', '.join(KINDS)}"
        elif option.callback and site.transfers is None:
            what = "callers cannot be called back: the site has no trunk"
            remedy = "add 'transfers:' with 'trunk' and 'allow' to one of the files, or offer another option"
            yield (*path, "callback"), what, remedy
        elif option.sms and path == ("forced",):
            remedy = "offer it as one of 'keys': the key that is pressed is the consent"
            yield (*path, "sms"), "nobody is sent an SMS who was not asked", remedy
        elif option.sms and (missing := [each for each in site.languages if each not in option.sms.text]):
            what = f"the SMS has no text in language '{missing[0]}'"
            yield (*path, "sms", "text"), what, f"add '{missing[0]}: …' below 'text'"
        elif option.queue == queue:
            yield (*path, "queue"), "an option leads to the queue itself", "use 'wait: yes' to keep waiting"


def _led_to(site: Site, option: Option) -> set[str]:
    flow = site.flows.get(option.flow or "")
    return {option.queue} if option.queue else queues_reached(flow) if flow is not None else set()


def _unspoken(settings: OverCapacity, lines: list[Line]) -> Iterator[ConfigError]:
    for line in lines:
        if line.name == settings.prompt and line.text:
            for key in settings.keys:
                if not names_key(line.text, line.language, key):
                    what = f"'{line.name}' does not name the key {key}, which is an option"
                    remedy = f"say what {key} is for, or take the option away"
                    yield ConfigError(line.file, line.line, what, remedy)
