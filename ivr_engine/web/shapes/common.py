"""What every shape shares."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from pydantic import BaseModel

API: Final = "/api/v1"

T = TypeVar("T", bound=BaseModel)


class Items(BaseModel, Generic[T]):
    """A list, in an object, so that more can be said beside it later."""

    items: list[T]
