"""Texts in a call: what an agent can send, and what a text costs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ivr_engine.callflow.in_call_sms import Choice, OfferedPreset
from ivr_engine.domain.in_call_sms import LONGEST
from ivr_engine.domain.sms_parts import Measure, measure


class CostlyCharacter(BaseModel):
    """A character that makes a text expensive."""

    character: str
    code: str = Field(description="In Unicode: U+2019")
    at: int = Field(description="Where it comes first; 0 is the beginning")
    effect: str = Field(
        description="ucs2: the whole text goes to 70 characters a part; double: it counts two"
    )


class MeasureItem(BaseModel):
    """What a text is, as it would be sent: without control characters, and without blanks at its ends."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "characters": 4,
                    "characters_left": 914,
                    "fits": True,
                    "units": 4,
                    "segments": 1,
                    "units_left": 66,
                    "encoding": "UCS-2",
                    "costly": [{"character": "\u2019", "code": "U+2019", "at": 2, "effect": "ucs2"}],
                }
            ]
        }
    )
    characters: int = Field(description="As people count them")
    characters_left: int = Field(description=f"Until {LONGEST}, the most an agent sends; negative above")
    fits: bool = Field(description="Whether it may be sent: not empty, not too long")
    units: int = Field(description="As billed: 7-bit characters, or UTF-16 units")
    segments: int = Field(description="Parts, each of which is sent and paid")
    units_left: int = Field(description="Until one more part is needed")
    encoding: str = Field(description="GSM-7, or UCS-2 when a character is not in GSM-7")
    costly: list[CostlyCharacter] = Field(description="Each once; those that force UCS-2, else those of two")

    @classmethod
    def of(cls, text: str) -> MeasureItem:
        found = measure(text)
        return cls(
            characters=found.characters,
            characters_left=LONGEST - found.characters,
            fits=0 < found.characters <= LONGEST,
            units=found.units,
            segments=found.segments,
            units_left=found.left,
            encoding=found.encoding,
            costly=_costly(text, found),
        )


def _costly(text: str, found: Measure) -> list[CostlyCharacter]:
    return [
        CostlyCharacter(character=c, code=f"U+{ord(c):04X}", at=text.index(c), effect=effect)
        for effect, characters in (("ucs2", found.forcing), ("double", found.double))
        for c in characters
    ]


class PresetItem(BaseModel):
    name: str
    label: str = Field(description="What agents choose it by")
    text: str = Field(description="As it would be sent")
    segments: int = Field(description="Parts, each of which is sent and paid")

    @classmethod
    def of(cls, preset: OfferedPreset) -> PresetItem:
        segments = measure(preset.text).segments
        return cls(name=preset.name, label=preset.label, text=preset.text, segments=segments)


class ChoiceItem(BaseModel):
    """What the agent of a call can send to the caller now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "possible": True,
                    "why_not": None,
                    "language": "en",
                    "presets": [
                        {
                            "name": "photo",
                            "label": "Ask for a photo",
                            "text": "Example Shop: Please answer this message with a photo.",
                            "segments": 1,
                        }
                    ],
                    "own_text": True,
                    "longest": LONGEST,
                    "media": False,
                }
            ]
        }
    )
    possible: bool
    why_not: str | None = Field(description="Why nothing can be sent, in a sentence")
    language: str = Field(description="Of the presets: the caller's, or the one asked for")
    presets: list[PresetItem]
    own_text: bool = Field(description="Whether words of the agent's own may be sent")
    longest: int = Field(description="Characters of such a text, at most")
    media: bool = Field(description="Whether pictures may be sent")

    @classmethod
    def of(cls, choice: Choice) -> ChoiceItem:
        return cls(
            possible=choice.why_not is None,
            why_not=choice.why_not,
            language=choice.language,
            presets=[PresetItem.of(preset) for preset in choice.presets],
            own_text=choice.own_text,
            longest=LONGEST,
            media=choice.media,
        )
