"""Hear a text as callers would, without calling."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ivr_engine.cli.processes import settings
from ivr_engine.errors import Refused

if TYPE_CHECKING:
    from ivr_engine.site.models import Site

PLAYERS = (("aplay", "-q"), ("play", "-q"))
"""Tried in this order; each is given a WAV file."""

prompts = typer.Typer(help="What callers hear.", no_args_is_help=True)

Out = Annotated[Path | None, typer.Option(help="Write a WAV file instead of playing it")]
InLanguage = Annotated[str, typer.Option("--language", "-l", help="Else the site's default")]


def add_to(app: typer.Typer) -> None:
    """The commands of this module."""
    app.command()(say)
    app.add_typer(prompts, name="prompts")


def say(text: str, language: InLanguage = "", out: Out = None) -> None:
    """Speak a text as callers hear it: the site's voice, trimmed and levelled."""
    from ivr_engine.site.loader import load
    from ivr_engine.site.sentences import aloud

    site = load(settings().config)
    with tempfile.TemporaryDirectory(prefix="ivr-say-") as scratch:
        spoken = Path(scratch) / "spoken.wav"
        _speak(site, aloud(text), language or site.default_language, spoken)
        _deliver(spoken, out, Path(scratch))


@prompts.command("say")
def say_prompt(name: str, language: InLanguage = "", out: Out = None) -> None:
    """Speak a prompt of the site by its name, or play the recording that stands for it."""
    from ivr_engine.site.explain import nearest
    from ivr_engine.site.loader import load
    from ivr_engine.site.texts import read_texts

    here = settings()
    site = load(here.config)
    language = language or site.default_language
    if language not in site.languages:
        raise Refused(f"the site does not speak '{language}'; {nearest(language, site.languages)}")
    lines, _ = read_texts(site, here.prompts)
    found = {line.name: line for line in lines if line.language == language}
    if name not in found:
        raise Refused(f"language '{language}' has no prompt '{name}'; {nearest(name, found)}")
    with tempfile.TemporaryDirectory(prefix="ivr-say-") as scratch:
        spoken = found[name].audio or Path(scratch) / "spoken.wav"
        if found[name].audio is None:
            _speak(site, found[name].spoken, language, spoken)
        _deliver(spoken, out, Path(scratch))


def _speak(site: Site, text: str, language: str, to: Path) -> None:
    from ivr_engine.bootstrap import speech_of

    speech_of(site).speak(text, language, to)


def _deliver(spoken: Path, out: Path | None, scratch: Path) -> None:
    from ivr_engine.site import audio

    sound = out or scratch / "levelled.wav"
    try:
        audio.as_wav(spoken, sound)
    except audio.UnusableAudio as unusable:
        raise Refused(f"what is spoken {unusable}") from None
    except OSError as error:
        raise Refused(f"{sound} cannot be written: {error.strerror}") from None
    if out is not None:
        return
    player = next((p for p in PLAYERS if shutil.which(p[0])), None)
    if player is None:
        raise Refused("there is no player; write a file with --out, or apt-get install alsa-utils")
    done = subprocess.run([*player, str(sound)], check=False)  # noqa: S603 - fixed arguments, no shell
    if done.returncode != 0:
        raise Refused(f"{player[0]} cannot play it here: write a file with --out")
