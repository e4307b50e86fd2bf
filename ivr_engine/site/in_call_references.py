"""What must agree in the settings of in-call SMS, and what a text costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ivr_engine.domain.numbers import is_country
from ivr_engine.domain.sms_parts import parts
from ivr_engine.errors import ConfigError
from ivr_engine.site.explain import nearest
from ivr_engine.site.models import Site
from ivr_engine.site.tree import Node, shown
from ivr_engine.site.values import unknown_placeholders

Path = tuple[str, ...]

_HERE = "in_call_sms"


def errors(site: Site, tree: Node) -> Iterator[ConfigError]:
    """Everything that keeps a text from being sent as it was meant."""
    for code in sorted(site.in_call_sms.countries):
        if not is_country(code):
            file, line = tree.item((_HERE, "countries"), code)
            remedy = "write its two letters as in ISO 3166: DE, AT, US, GB"
            yield ConfigError(file, line, f"there is no country '{code}'", remedy)
    for path, texts in _in_languages(site):
        if texts and site.default_language not in texts:
            file, line = tree.at(path)
            what = f"'{'.'.join(path)}' has no text in the default language '{site.default_language}'"
            yield ConfigError(file, line, what, f"add '{site.default_language}: …' below it")
        for language, text in texts.items():
            yield from _one(site, tree, (*path, language), language, text)


def _one(site: Site, tree: Node, path: Path, language: str, text: str) -> Iterator[ConfigError]:
    file, line = tree.at(path)
    where = ".".join(path)
    if language not in site.languages:
        remedy = f"{nearest(language, site.languages)} Else add it to 'languages'"
        yield ConfigError(file, line, f"'{where}': language '{language}' is not one of the site's", remedy)
    for name in unknown_placeholders(text, {"brand"}):
        what = f"'{where}': unknown placeholder {shown('{' + name + '}')}"
        yield ConfigError(file, line, what, "only {brand} is filled in")


def doubtful(site: Site, tree: Node) -> Iterator[ConfigError]:
    """What is probably not meant: of a site without errors."""
    settings = site.in_call_sms
    if settings.non_domestic and not settings.countries:
        file, line = tree.at((_HERE, "non_domestic"))
        what = "callers of other countries may be sent texts in a call, but no country is listed"
        yield ConfigError(file, line, what, "list them: 'countries: [AT, CH]'")
    if settings.enabled and settings.presets_only and not settings.presets:
        file, line = tree.at((_HERE, "presets_only"))
        yield ConfigError(file, line, "agents may send presets only, and there is none", "add 'presets'")
    for path, texts in _in_languages(site):
        missing = [language for language in site.languages if language not in texts]
        if texts and missing:
            file, line = tree.at(path)
            what = f"'{'.'.join(path)}' has no text in {', '.join(missing)}: those callers get the default"
            yield ConfigError(file, line, what, f"add '{missing[0]}: …' below it")
        for language, text in texts.items():
            if cost := costs(".".join((*path, language)), text.replace("{brand}", site.brand)):
                file, line = tree.at((*path, language))
                yield ConfigError(file, line, *cost)


def _in_languages(site: Site) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Every text of these settings, per language, with its path."""
    settings = site.in_call_sms
    for name, preset in settings.presets.items():
        yield (_HERE, "presets", name, "text"), preset.text
    yield (_HERE, "closing"), settings.closing
    yield (_HERE, "automatic_answer", "text"), settings.automatic_answer.text


def costs(where: str, text: str) -> tuple[str, str] | None:
    """Why more than one SMS is sent for ``text``, or fewer characters fit into one than usual, with a remedy;
    ``None`` when all is well."""
    counted = parts(text)
    sent = "1 message is sent" if counted.count == 1 else f"{counted.count} messages are sent"
    if counted.forcing is not None:
        what = f"'{where}': the character {shown(counted.forcing)} (U+{ord(counted.forcing):04X}) "
        what += f"leaves room for 70 characters a message instead of 160: {sent}"
        return what, "replace it with a plain character"
    if counted.count > 1:
        what = f"'{where}' has {counted.units} characters: {sent} and paid"
        return what, "shorten it to 160, or leave it so if you want that"
    return None
