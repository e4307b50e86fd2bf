"""Files in the media folder."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path


async def keep(folder: Path, name: str, content: bytes) -> None:
    """``write_whole`` beside the event loop."""
    await asyncio.to_thread(write_whole, folder, name, content)


def write_whole(folder: Path, name: str, content: bytes) -> None:
    """Whole and durable, or not there under its name. Blocking; ``OSError``."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}.part"
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / name)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


async def delete(folder: Path, name: str) -> None:
    """Take a file away, beside the event loop; fine when it is gone. ``OSError``."""
    await asyncio.to_thread((folder / name).unlink, missing_ok=True)
