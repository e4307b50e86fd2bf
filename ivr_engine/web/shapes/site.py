"""The configuration in force."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ProblemItem(BaseModel):
    """A mistake in a file. ``file`` and ``line`` may be missing where something else failed."""

    file: str | None = None
    line: int | None = None
    what: str
    remedy: str | None = None


class SiteItem(BaseModel):
    """Whether the files as they are now are in force."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"ok": True, "loading": False, "version": 12, "problems": []}]}
    )
    ok: bool = Field(description="The files as they are now are in force")
    loading: bool = Field(description="They are being read at this moment: ask again")
    version: int | None = Field(description="Of the configuration in force; null where none could be kept")
    problems: list[ProblemItem] = Field(description="Why the one before is in force still")
