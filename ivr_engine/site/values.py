"""The kinds of value that settings are made of, and the base of all settings."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.domain.routing import MOST_LEVEL

LANGUAGE_PATTERN: Final = r"^[a-z]{2}(-[A-Z]{2})?$"
NAME_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,39}$"
PROMPT_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,39}(\.[a-z0-9]{1,10})?$"
E164_PATTERN: Final = r"^\+[1-9][0-9]{6,14}$"
COUNTRY_PATTERN: Final = r"^[A-Z]{2}$"
DIALLED_PATTERN: Final = r"^\+?[0-9*#]{1,20}$"
OUTSIDE_PATTERN: Final = r"^(\+[1-9][0-9]{6,14}|\{[a-z][a-z0-9_-]{0,39}\})$"
PREFIX_PATTERN: Final = r"^\+[1-9][0-9]{0,14}$"
TRUNK_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,78}$"
URL_PATTERN: Final = r"^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,500})?$"
LINK_PATTERN: Final = (
    r"^https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/?#{}-]{0,300})?$"
)
PATH_PATTERN: Final = r"^[^.\s]{1,60}(\.[^.\s]{1,60}){0,9}$"
VARIABLE_PATTERN: Final = r"^IVR_[A-Z0-9_]{1,60}$"
KEY_PATTERN: Final = r"^[0-9*#]$"
SIP_HEADER_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9-]{0,60}$"
HEADER_PATTERN: Final = r"^X-[A-Za-z0-9-]{1,60}$"

Seconds = Annotated[float, Field(ge=0, le=86_400)]
PositiveSeconds = Annotated[float, Field(gt=0, le=86_400)]
Language = Annotated[str, Field(pattern=LANGUAGE_PATTERN)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
PromptName = Annotated[str, Field(pattern=PROMPT_PATTERN)]
E164 = Annotated[str, Field(pattern=E164_PATTERN)]
Country = Annotated[str, Field(pattern=COUNTRY_PATTERN)]
Dialled = Annotated[str, Field(pattern=DIALLED_PATTERN)]
Outside = Annotated[str, Field(pattern=OUTSIDE_PATTERN)]
Prefix = Annotated[str, Field(pattern=PREFIX_PATTERN)]
Trunk = Annotated[str, Field(pattern=TRUNK_PATTERN)]
Url = Annotated[str, Field(pattern=URL_PATTERN)]
Link = Annotated[str, Field(pattern=LINK_PATTERN)]
JsonPath = Annotated[str, Field(pattern=PATH_PATTERN)]
TokenVariable = Annotated[str, Field(pattern=VARIABLE_PATTERN)]
Key = Annotated[str, Field(pattern=KEY_PATTERN)]
HeaderName = Annotated[str, Field(pattern=HEADER_PATTERN)]
SipHeader = Annotated[str, Field(pattern=SIP_HEADER_PATTERN)]
Level = Annotated[int, Field(ge=1, le=MOST_LEVEL)]
Label = Annotated[str, Field(min_length=1, max_length=100)]
MOST_PRIORITY: Final = 1000
Priority = Annotated[int, Field(ge=-MOST_PRIORITY, le=MOST_PRIORITY)]
SmsText = Annotated[str, Field(min_length=1, max_length=918)]
"""918 characters are six parts of 153."""


class Settings(BaseModel):
    """Base: unknown keys are mistakes, values never change after loading."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        str_strip_whitespace=True,
        use_attribute_docstrings=True,
    )


_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


def unknown_placeholders(text: str, known: Collection[str]) -> list[str]:
    """What stands in braces in ``text`` and will never be filled in."""
    return [name for name in _PLACEHOLDER.findall(text) if name not in known]
