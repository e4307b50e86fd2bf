"""What must agree between settings: names that are used exist, every language has its texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ivr_engine.domain.numbers import is_country, to_e164
from ivr_engine.errors import ConfigError
from ivr_engine.site import (
    capacity_references,
    crm_references,
    flow_text_references,
    in_call_references,
    opt_out_references,
    sending,
    sms_number_references,
)
from ivr_engine.site.explain import enough, nearest
from ivr_engine.site.flow_references import flows, numbers, schedules, ways_in
from ivr_engine.site.line_references import lines, staff
from ivr_engine.site.models import Site
from ivr_engine.site.prompt_book import CALLBACK, RECORDING, REQUIRED, WAITS
from ivr_engine.site.tree import Node, shown
from ivr_engine.site.values import unknown_placeholders

SMS_PLACEHOLDERS: Final = frozenset({"brand"})


def errors(site: Site, tree: Node) -> list[ConfigError]:
    """Everything that does not fit together, in the order of the files."""
    kinds = (
        numbers(site, tree),
        staff(site, tree),
        lines(site, tree),
        flows(site, tree),
        flow_text_references.errors(site, tree),
        schedules(site, tree),
        _prompts(site, tree),
        _windows(site, tree),
        capacity_references.errors(site, tree),
        _languages(site, tree),
        _voices(site, tree),
        crm_references.errors(site, tree),
        _countries(site, tree),
        _sender(site, tree),
        _sms_texts(site, tree),
        _sending(site, tree),
        in_call_references.errors(site, tree),
        opt_out_references.errors(site, tree),
        sms_number_references.errors(site, tree),
    )
    found = [error for kind in kinds for error in enough(kind)]
    found += [] if found else capacity_references.circles(site, tree)
    return sorted(found, key=lambda error: (error.file, error.line or 0))


def _voices(site: Site, tree: Node) -> Iterator[ConfigError]:
    """piper speaks only with voices it is given; ``de`` also speaks ``de-AT``."""
    if site.speech.engine == "piper":
        for language in site.languages:
            if not {language, language.partition("-")[0]} & site.speech.voices.keys():
                file, line = tree.at(("speech",))
                what = f"piper has no voice for '{language}'"
                yield ConfigError(file, line, what, f"add '{language}: /path/to/voice.onnx' below 'voices'")


def _sending(site: Site, tree: Node) -> Iterator[ConfigError]:
    for path, what, remedy in sending.mistakes(site.sending, site.sms.provider):
        file, line = tree.at(("sending", *path))
        yield ConfigError(file, line, what, remedy)


def _prompts(site: Site, tree: Node) -> Iterator[ConfigError]:
    for name, queue in site.queues.items():
        for prompt in sorted(queue.prompts.keys() - {*REQUIRED, *RECORDING, *CALLBACK, *WAITS}):
            file, line = tree.at(("queues", name, "prompts", prompt))
            what = f"queue '{name}' replaces the unknown prompt '{prompt}'"
            yield ConfigError(file, line, what, nearest(prompt, REQUIRED))


def _windows(site: Site, tree: Node) -> Iterator[ConfigError]:
    """The wait-time SMS is offered from a minimum to a maximum of the wait."""
    found: dict[tuple[str, ...], str] = {}
    for name, queue in site.queues.items():
        rules, own = site.rules_for(name), queue.wait_time_sms
        least, most = rules.minimum_wait_s, rules.maximum_wait_s
        if least and most is not None and least >= most:
            its_own = own.wait_minimum is not None or own.wait_maximum is not None
            found.setdefault(("queues", name, "wait_time_sms") if its_own else ("wait_time_sms",), name)
    for path, name in found.items():
        file, line = tree.at(path)
        what = f"callers in '{name}' get no SMS: 'wait_minimum' is not below 'wait_maximum'"
        yield ConfigError(file, line, what, "make the minimum smaller, or leave one of them out")


def _languages(site: Site, tree: Node) -> Iterator[ConfigError]:
    uses: list[tuple[tuple[str, ...], str]] = [(("default_language",), site.default_language)]
    uses += [((*path, "language"), number.language) for path, number in ways_in(site) if number.language]
    uses += [(("wait_time_sms", "text", language), language) for language in site.wait_time_sms.text]
    for name, queue in site.queues.items():
        path = ("queues", name, "wait_time_sms", "text")
        uses += [((*path, language), language) for language in queue.wait_time_sms.text]
    for path, language in uses:
        if language not in site.languages:
            file, line = tree.at(path)
            what = f"'{'.'.join(path)}': language '{language}' is not one of the site's"
            yield ConfigError(
                file, line, what, f"{nearest(language, site.languages)} Else add it to 'languages'"
            )


def _countries(site: Site, tree: Node) -> Iterator[ConfigError]:
    places = [(tree.at(("country",)), site.country)]
    of_queues = {("queues", name, "wait_time_sms"): q.wait_time_sms for name, q in site.queues.items()}
    for path, sms in {("wait_time_sms",): site.wait_time_sms, **of_queues}.items():
        places += [(tree.item((*path, "countries"), code), code) for code in sorted(sms.countries or ())]
    for (file, line), code in places:
        if not is_country(code):
            remedy = "write its two letters as in ISO 3166: DE, AT, US, GB"
            yield ConfigError(file, line, f"there is no country '{code}'", remedy)


def _sender(site: Site, tree: Node) -> Iterator[ConfigError]:
    if to_e164(site.sms.sender, site.country) != site.sms.sender:
        file, line = tree.at(("sms", "sender"))
        what = f"'sms.sender': {shown(site.sms.sender)} is not a number that exists"
        yield ConfigError(file, line, what, "check the country code and count the digits")


def _sms_texts(site: Site, tree: Node) -> Iterator[ConfigError]:
    for language in site.languages:
        if site.wait_time_sms.enabled and language not in site.wait_time_sms.text:
            file, line = tree.at(("wait_time_sms", "text"))
            what = f"the wait-time SMS has no text in language '{language}'"
            yield ConfigError(file, line, what, f"add '{language}: …' below 'wait_time_sms.text'")
    for path, text in sms_texts(site):
        for name in unknown_placeholders(text, SMS_PLACEHOLDERS):
            file, line = tree.at(path)
            what = f"'{'.'.join(path)}': unknown placeholder {shown('{' + name + '}')}"
            yield ConfigError(file, line, what, "only {brand} is filled in")


def sms_texts(site: Site) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every SMS text as written, with its path."""
    for language, text in site.wait_time_sms.text.items():
        yield ("wait_time_sms", "text", language), text
    for name, queue in site.queues.items():
        for language, text in queue.wait_time_sms.text.items():
            yield ("queues", name, "wait_time_sms", "text", language), text
        for path, option in queue.over_capacity.options.items() if queue.over_capacity else ():
            for language, text in option.sms.text.items() if option.sms else ():
                yield ("queues", name, "over_capacity", *path, "sms", "text", language), text
    yield from flow_text_references.texts(site)
