"""What is probably not meant in the wait-time SMS: countries that are missing, and spoken messages that leave
out what callers have to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ivr_engine.errors import ConfigError
from ivr_engine.site.models import Site
from ivr_engine.site.texts import Line, consent_prompts
from ivr_engine.site.tree import Node

Words = Mapping[str, tuple[str, ...]]
"""By language, of which a text must have one."""

_WITHDRAWAL: Final[Words] = {
    "en": ("stop", "withdraw", "opt out", "revoke"),
    "de": ("stopp", "stop", "widerruf", "abmeld"),
    "it": ("stop", "revoca", "annulla"),
    "es": ("stop", "revoca", "baja"),
    "fr": ("stop", "retirer", "rétract", "désabonn"),
}
_NUMBER: Final[Words] = {
    "en": ("number", "phone"),
    "de": ("nummer", "telefon", "handy"),
    "it": ("numero", "telefono", "cellulare"),
    "es": ("número", "numero", "teléfono", "móvil"),
    "fr": ("numéro", "téléphone", "portable"),
}
_LOOK: Final[Words] = {
    "en": ("look", "read", "check", "open"),
    "de": ("sehen", "seh", "schau", "lies", "lesen", "öffne"),
    "it": ("legga", "legg", "guard", "controll", "apra"),
    "es": ("lea", "léa", "mire", "mír", "revise", "abra"),
    "fr": ("lisez", "lire", "regard", "consult", "ouvr"),
}


def doubtful(site: Site, tree: Node, lines: list[Line]) -> Iterator[ConfigError]:
    """Warnings, of a site that has no errors."""
    yield from _countries(site, tree)
    sent = {site.prompt_name(queue, "sms_sent") for queue in site.queues}
    for line in lines:
        if line.name in consent_prompts(site) and _lacks(line, _WITHDRAWAL):
            yield _missing(line, "how to withdraw later", _WITHDRAWAL)
        if line.name in sent and _lacks(line, _NUMBER):
            yield _missing(line, "that the SMS goes to the number called from", _NUMBER)
        if line.name in sent and _lacks(line, _LOOK):
            yield _missing(line, "to look at the SMS", _LOOK)


def _countries(site: Site, tree: Node) -> Iterator[ConfigError]:
    own = {name: queue.wait_time_sms for name, queue in site.queues.items()}
    paths = [("queues", name, "wait_time_sms") for name, sms in own.items() if sms.non_domestic]
    if site.wait_time_sms.non_domestic and not site.wait_time_sms.countries:
        paths = [("wait_time_sms",)]
    else:
        paths = [path for path in paths if not site.rules_for(path[1]).countries]
    for path in paths:
        file, line = tree.at((*path, "non_domestic"))
        what = "numbers of other countries may be sent to, but no country is listed"
        yield ConfigError(file, line, what, "list them: 'countries: [AT, CH]'")


def _lacks(line: Line, words: Words) -> bool:
    """Of a text in a language whose words are known. A recording without a text is not judged."""
    wanted = words.get(line.language[:2], ())
    return bool(line.text and wanted) and not any(word in line.text.lower() for word in wanted)


def _missing(line: Line, what: str, words: Words) -> ConfigError:
    remedy = f"add a sentence with '{words[line.language[:2]][0]}'"
    return ConfigError(line.file, line.line, f"'{line.name}' does not say {what}", remedy)
