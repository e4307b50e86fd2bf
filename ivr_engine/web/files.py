"""Customers' pictures, videos and spoken messages, handed out so that no browser runs anything in them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from starlette.responses import FileResponse

from ivr_engine.errors import Refused

_ENDINGS: Final = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
    "video/3gpp": ".3gp",
    "audio/wav": ".wav",
}
"""The types that are named to the browser; anything else is just bytes."""


async def stored(folder: Path, file: str, content_type: str, name: str) -> FileResponse:
    """The stored ``file`` as a download called ``name``. ``Refused(missing)`` when it is not there."""
    path = await asyncio.to_thread(_inside, folder, file)
    if path is None:
        raise Refused("the file is no longer in the media folder", missing=True)
    ending = _ENDINGS.get(content_type)
    return FileResponse(
        path,
        media_type=content_type if ending else "application/octet-stream",
        filename=name + (ending or ".bin"),
        content_disposition_type="attachment",
        headers={"Content-Security-Policy": "default-src 'none'; sandbox"},
    )


ANSWER: Final[dict[int | str, dict[str, object]]] = {
    200: {
        "description": "The file, as an attachment",
        "content": {kind: {} for kind in (*_ENDINGS, "application/octet-stream")},
    }
}


def _inside(folder: Path, file: str) -> Path | None:
    root = folder.resolve()
    path = (root / file).resolve()
    return path if path.is_relative_to(root) and path.is_file() else None
