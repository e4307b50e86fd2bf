"""The settings as a JSON Schema for editors, and as a page for readers: both made from the models.

In YAML everything is text until a model says otherwise, and all files of the folder are one. So a number may
stand wherever a text may (an editor reads ``700`` as a number), switches are also ``yes`` and ``no``, and no
single file has to hold everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from pydantic import BaseModel

from ivr_engine.site.models import Site
from ivr_engine.site.prompt_book import REQUIRED
from ivr_engine.site.values import PROMPT_PATTERN

Schema = dict[str, Any]

SITE_FILE: Final = "site.schema.json"
TEXTS_FILE: Final = "texts.schema.json"

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_SWITCH: Final = ["yes", "no", "on", "off", "true", "false"]


def site_schema() -> Schema:
    """Of every ``.yaml`` file in the folder of settings."""
    schema = for_editors(Site, title="Settings of a site")
    del schema["required"]  # which file a setting stands in is the admin's choice
    return schema


def for_editors(model: type[BaseModel], *, title: str) -> Schema:
    """Of a file that holds a ``model``."""
    schema = cast(Schema, _for_yaml(model.model_json_schema(ref_template="#/definitions/{model}")))
    schema["definitions"] = schema.pop("$defs")
    return {"$schema": _DRAFT, **schema, "title": title}


def texts_schema() -> Schema:
    """Of ``prompts/<language>/texts.yaml``."""
    names = sorted(name for name in REQUIRED if not name.startswith("position."))
    text: Schema = {"type": ["string", "number", "null"]}
    places: Schema = {
        "type": "object",
        "description": "The place in line: sentences of certain numbers, of the other ones, of those behind",
        "additionalProperties": False,
        "patternProperties": {"^([1-9][0-9]?|other|more)$": text},
    }
    waits: Schema = {
        "type": "object",
        "description": "How long it will take: sentences for ranges of minutes",
        "additionalProperties": False,
        "patternProperties": {"^(under|between)(_[1-9][0-9]?)?$|^more$": text},
    }
    words: Schema = {
        "type": "object",
        "description": "Words and how they are said",
        "additionalProperties": {"type": "string"},
    }
    return {
        "$schema": _DRAFT,
        "title": "What is said in one language",
        "type": "object",
        "properties": {"position": places, "wait": waits, "pronounce": words}
        | {name: text for name in names},
        "patternProperties": {PROMPT_PATTERN.replace("^", "^(?!(position|wait|pronounce)$)", 1): text},
        "additionalProperties": False,
    }


def files() -> dict[str, str]:
    """Both, as they are written, by file name."""
    made = {SITE_FILE: site_schema(), TEXTS_FILE: texts_schema()}
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in made.items()}


def _for_yaml(part: object) -> object:
    if isinstance(part, list):
        return [_for_yaml(each) for each in cast(list[object], part)]
    if not isinstance(part, dict):
        return part
    made = {key: _for_yaml(value) for key, value in cast(Mapping[str, object], part).items()}
    kind = made.get("type")
    if kind == "boolean":
        del made["type"]
        made["enum"] = [True, False, *_SWITCH]
    elif kind == "string" and "enum" not in made:
        made["type"] = ["string", "number", "boolean"]
    if isinstance(made.get("title"), str):
        del made["title"]
    return made


# ── the page ─────────────────────────────────────────────────────────────────────────────────────

_HEAD: Final = """\
# Settings in YAML

Made by `ivr-engine schema --page`: change the models, not this page. How files are read, and what
is said in each language, is in [4. The site](0004-site-and-prompts.md); flows are explained in
[7. Flows](0007-flows.md).

All `.yaml` files of the folder are one: which file a setting stands in is up to you. Times are seconds,
switches are `yes` or `no`. **Bold** settings must be given. Editors that know yaml-language-server complete
and check them by the first line of each file; `ivr-engine schema --out FOLDER` writes the schema.
"""


def page() -> str:
    """Every setting, in Markdown."""
    schema = Site.model_json_schema(ref_template="{model}")
    definitions: dict[str, Schema] = schema.pop("$defs")
    parts = [_HEAD, "## At the top\n", *_table(schema)]
    for name, definition in definitions.items():
        parts += [f"\n## {name}\n", *_lead(definition), *_table(definition)]
    return "\n".join(parts) + "\n"


def _lead(definition: Schema) -> Iterator[str]:
    if text := definition.get("description"):
        yield _one_line(text) + "\n"


def _table(definition: Schema) -> Iterator[str]:
    yield "| setting | value | when not given | meaning |"
    yield "|---|---|---|---|"
    required = set(definition.get("required", ()))
    for name, setting in definition.get("properties", {}).items():
        shown = f"**{name}**" if name in required else name
        default = "" if name in required else _default(setting)
        meaning = _one_line(setting.get("description", ""))
        yield f"| {shown} | {_kind(setting)} | {default} | {meaning} |"


def _default(setting: Schema) -> str:
    value = setting.get("default")
    if value is None or value in ({}, []):
        return ""
    if isinstance(value, dict):
        return "as below"
    if isinstance(value, bool):
        return "`yes`" if value else "`no`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _kind(setting: Schema) -> str:
    if "$ref" in setting:
        return f"[{setting['$ref']}](#{setting['$ref'].lower()})"
    if "anyOf" in setting:
        return " or ".join(_kind(each) for each in setting["anyOf"] if each.get("type") != "null")
    if "enum" in setting:
        return " or ".join(f"`{value}`" for value in setting["enum"])
    if "const" in setting:
        return f"`{setting['const']}`"
    if setting.get("type") == "array":
        return f"list of {_kind(setting.get('items', {}))}"
    if setting.get("type") == "object":
        values = [*setting.get("patternProperties", {}).values(), setting.get("additionalProperties")]
        return f"name → {_kind(values[0] or {})}"
    return _plain(setting)


def _plain(setting: Schema) -> str:
    names = {"string": "text", "boolean": "switch", "integer": "whole number"}
    name = names.get(setting.get("type", ""), "number")
    limits = [
        f"{word} {setting[key]:g}"
        for key, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("minLength", "from"),
            ("maxLength", "to"),
        )
        if key in setting
    ]
    unit = " characters" if limits and name == "text" else ""
    return f"{name}, {' '.join(limits)}{unit}" if limits else name


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())
