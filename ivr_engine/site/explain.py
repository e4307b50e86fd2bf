"""pydantic's findings as sentences an admin can act on, with file and line."""

from __future__ import annotations

import itertools
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final

from pydantic import BaseModel, ValidationError

from ivr_engine.errors import ConfigError
from ivr_engine.site import models, schedules, sms_numbers, values
from ivr_engine.site.tree import Node, shown

_PATTERNS: Final[Mapping[str, tuple[str, str]]] = {
    values.LANGUAGE_PATTERN: ("is not a language", "write it like en, de or en-GB"),
    values.NAME_PATTERN: (
        "is not a usable name",
        "use small letters, digits, - and _, a letter first, at most 40",
    ),
    values.PROMPT_PATTERN: ("is not a prompt's name", "use small letters, digits, - and _, a letter first"),
    values.E164_PATTERN: (
        "is not an international phone number",
        "write it with + and country code, without blanks: +4915112345678",
    ),
    values.COUNTRY_PATTERN: ("is not a country code", "write two capital letters: DE, AT, US"),
    schedules.SPAN_PATTERN: ("is not a span of time", 'write it like "08:00-18:00"'),
    schedules.DAYS_PATTERN: ("is not a day of the week", "write it like mon, or mon-fri"),
    schedules.DATE_PATTERN: ("is not a date", "write it like 12-24 (every year), or 2026-12-24"),
    schedules.ZONE_PATTERN: ("is not a time zone", "write it like Europe/Berlin"),
    values.OUTSIDE_PATTERN: (
        "is neither an international phone number nor a {variable}",
        "write it with + and country code, without blanks: +4915112345678",
    ),
    values.PREFIX_PATTERN: ("is not the beginning of an international number", "write it like +49"),
    values.HEADER_PATTERN: ("is not the name of a header of ours", "write it like X-IVR-Access"),
    values.SIP_HEADER_PATTERN: ("is not the name of a header", "write it like P-Attestation-Indicator"),
    values.TRUNK_PATTERN: ("is not the name of an endpoint", "name one of pjsip.conf"),
    sms_numbers.SENDER_PATTERN: (
        "is nothing that texts can be sent from",
        "write a number like +4915112345678, the digits of a short code, or a name of at most 11 letters",
    ),
    values.URL_PATTERN: (
        "is not an address that can be asked",
        "write it like https://crm.example.org/caller; what is asked goes into 'parameters'",
    ),
    values.LINK_PATTERN: (
        "is not a link that can be sent",
        "write it like https://app.example.com/start?call={call}",
    ),
    values.PATH_PATTERN: ("is not a path into JSON", "write names and numbers with dots: customer.phones.0"),
    values.VARIABLE_PATTERN: ("is not the name of a variable", "name one of the environment: IVR_CRM_TOKEN"),
    values.KEY_PATTERN: ("is not a key", "write one of 0 to 9, '*' or '#' (these two in quotes)"),
    values.DIALLED_PATTERN: ("cannot be dialled", "use digits, * and #, optionally + first, at most 20"),
}

_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "bool_parsing": ("is neither yes nor no", "write yes or no"),
    "bool_type": ("is neither yes nor no", "write yes or no"),
    "float_parsing": ("is not a number", "write a number, like 30 or 0.5"),
    "float_type": ("is not a number", "write a number, like 30 or 0.5"),
    "finite_number": ("is not a number", "write a number, like 30 or 0.5"),
    "int_parsing": ("is not a whole number", "write a whole number, like 3"),
    "int_type": ("is not a whole number", "write a whole number, like 3"),
    "int_from_float": ("is not a whole number", "write a whole number, like 3"),
    "int_parsing_size": ("is too large", "write a smaller number"),
    "string_type": ("must be a text", "write a text after the colon"),
    "dict_type": ("must hold settings of its own", "write them below it, indented by two blanks"),
    "model_type": ("must hold settings of its own", "write them below it, indented by two blanks"),
    "model_attributes_type": ("must hold settings of its own", "write them below it, indented by two blanks"),
    "tuple_type": ("must be a list", "write it like [en, de]"),
    "list_type": ("must be a list", "write it like [en, de]"),
    "set_type": ("must be a list", "write it like [support, sales]"),
    "frozen_set_type": ("must be a list", "write it like [support, sales]"),
}


MOST_COMPARED: Final = 300
"""Names; comparing takes its time, and a file may hold thousands."""

MOST_TOLD: Final = 100
"""Mistakes; nobody reads more of them at once."""


def enough(found: Iterable[ConfigError]) -> Iterable[ConfigError]:
    """One more than are told; the others are not even looked for."""
    return itertools.islice(found, MOST_TOLD + 1)


def some(found: Iterable[ConfigError], place: Path) -> tuple[ConfigError, ...]:
    """The first of them, and that there are more."""
    told = tuple(enough(found))
    if len(told) <= MOST_TOLD:
        return told
    more = ConfigError(place, None, f"holds more than {MOST_TOLD} mistakes", "mend those named first")
    return (*told[:MOST_TOLD], more)


def errors(
    invalid: ValidationError, tree: Node, root: type[BaseModel] = models.Site
) -> Iterator[ConfigError]:
    """One ``ConfigError`` a finding, in the order of the files. ``root``: what the files are to be."""
    first = invalid.errors(include_url=False)[: MOST_TOLD + 1]
    found = [_error(dict(finding), tree, root) for finding in first]
    yield from sorted(found, key=lambda error: (error.file, error.line or 0))


def nearest(wrong: str, known: Iterable[str]) -> str:
    """A remedy: the known name that looks most like ``wrong``, else all of them."""
    known = sorted(known)
    if len(known) > MOST_COMPARED:
        known = [name for name in known if name[:2] == wrong[:2]][:MOST_COMPARED]
    if close := get_close_matches(wrong, known, n=1, cutoff=0.6):
        return f"did you mean '{close[0]}'?"
    return f"known are: {', '.join(known[:30])}" if known else "there is none yet"


def _error(finding: Mapping[str, Any], tree: Node, root: type[BaseModel]) -> ConfigError:
    steps: list[int | str] = [step for step in finding["loc"] if step != "[key]"]
    file, line = tree.at(steps)
    what, remedy = _sentence(finding, steps, root)
    return ConfigError(file, line or None, what, remedy)


def _sentence(
    finding: Mapping[str, Any], steps: Sequence[int | str], root: type[BaseModel]
) -> tuple[str, str]:
    kind: str = finding["type"]
    context: Mapping[str, Any] = finding.get("ctx", {})
    path = ".".join(str(step) for step in steps)
    if kind == "missing":
        return _missing(steps)
    if kind == "extra_forbidden":
        inside = f" in '{'.'.join(map(str, steps[:-1]))}'" if len(steps) > 1 else ""
        what = f"unknown setting {shown(str(steps[-1]))}{inside}"
        return what, nearest(str(steps[-1]), _known(root, steps[:-1]))
    if kind == "literal_error":
        says, remedy = (
            "is not known",
            nearest(str(finding["input"]), re.findall(r"'(.+?)'", context["expected"])),
        )
    elif kind == "string_pattern_mismatch":
        says, remedy = _PATTERNS.get(context["pattern"], ("is not understood", "see the example in config/"))
    elif kind in _KINDS:
        says, remedy = _KINDS[kind]
    else:
        says, remedy = _limit(kind, context) or ("is not right", str(finding["msg"]))
    given = finding.get("input")
    value = (
        f" {shown(given)}"
        if isinstance(given, str) and given
        else " has no value and"
        if given is None
        else ""
    )
    return f"'{path}':{value} {says}" if value.startswith(" '") else f"'{path}'{value} {says}", remedy


def _missing(steps: Sequence[int | str]) -> tuple[str, str]:
    *outer, key = (str(step) for step in steps)
    where = f"below '{'.'.join(outer)}'" if outer else "to one of the files"
    return f"'{key}' is missing", f"add '{key}:' {where}"


def _limit(kind: str, context: Mapping[str, Any]) -> tuple[str, str] | None:
    match kind:
        case "greater_than_equal":
            return "is too small", f"write {context['ge']:g} or more"
        case "greater_than":
            return "is too small", f"write more than {context['gt']:g}"
        case "less_than_equal":
            return "is too large", f"write {context['le']:g} or less"
        case "string_too_short":
            return "is empty", "write a text"
        case "string_too_long":
            return "is too long", f"use at most {context['max_length']} characters"
        case "too_short":
            return "is empty", f"name at least {context['min_length']}"
        case _:
            return None


def _known(root: type[BaseModel], steps: Sequence[int | str]) -> Iterable[str]:
    """The settings there are at ``steps``."""
    at: Any = root
    for step in steps:
        model = _model_in(at)
        if model is not None:
            at = model.model_fields[str(step)].annotation if str(step) in model.model_fields else None
        else:
            inside = typing.get_args(at)
            at = {dict: inside[-1:], tuple: inside[:1]}.get(typing.get_origin(at), (None,))[0]
    model = _model_in(at)
    return model.model_fields if model else ()


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) is Annotated:
        return _model_in(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, UnionType):
        return next((m for a in typing.get_args(annotation) if (m := _model_in(a))), None)
    return None
