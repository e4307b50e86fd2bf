"""The files a site is made of: its settings, and what is said in each language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ivr_engine.site.texts import AUDIO_SUFFIXES

CONFIG = "config"
PROMPTS = "prompts"

Look = tuple[tuple[str, int, int, int], ...]
"""Every file's name, inode, size and time of change: another look at the same files is equal."""


def files_of(config: Path, prompts: Path) -> dict[str, Path]:
    """Every file by a name that does not depend on where the folders are: ``config/site.yaml``,
    ``prompts/en/texts.yaml``. Raises ``OSError`` for folders that cannot be listed."""
    found = {f"{CONFIG}/{file.name}": file for file in _files(config) if is_settings(file)}
    languages = sorted(each for each in prompts.iterdir() if each.is_dir()) if prompts.is_dir() else []
    for language in languages:
        found |= {f"{PROMPTS}/{language.name}/{file.name}": file for file in _files(language) if _said(file)}
    return found


def is_settings(file: Path) -> bool:
    """Whether the loader reads it."""
    return file.suffix in (".yaml", ".yml")


def look(config: Path, prompts: Path) -> Look:
    """How the files are now, by their places on the disk: cheap enough for every second."""
    return tuple(_seen(config, prompts))


def _seen(config: Path, prompts: Path) -> Iterator[tuple[str, int, int, int]]:
    try:
        files = files_of(config, prompts)
    except OSError:
        return
    for name, file in files.items():
        try:
            stat = file.stat()
        except OSError:
            yield name, 0, 0, 0
        else:
            yield name, stat.st_ino, stat.st_size, max(stat.st_mtime_ns, stat.st_ctime_ns)


def _files(folder: Path) -> list[Path]:
    return (
        sorted(file for file in folder.iterdir() if not file.name.startswith(".")) if folder.is_dir() else []
    )


def _said(file: Path) -> bool:
    return file.name == "texts.yaml" or file.suffix.lower() in AUDIO_SUFFIXES
