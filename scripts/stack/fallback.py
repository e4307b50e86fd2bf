"""The sentences of the fallback, spoken by espeak-ng into local files, once."""

from __future__ import annotations

import configparser
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dialplan.configure import TEMPLATES
from scripts.stack.errors import StackError
from scripts.stack.system import GENERATED, which

PAUSE_S = "0.6"
VOICES = {"en": "en-gb", "de": "de"}
TEXTS = TEMPLATES / "fallback.ini"


def fallback_sounds(source: Path = TEXTS) -> Path:
    """A folder with ``wait.alaw`` and ``goodbye.alaw``, made anew when what ``source`` says changed."""
    folder = GENERATED / "fallback" / hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    if folder.exists():
        return folder
    for program in ("espeak-ng", "sox"):
        if which(program) is None:
            raise StackError(f"{program} is missing; `apt-get install espeak-ng sox` brings it.")
    texts = configparser.ConfigParser(interpolation=None)
    texts.read(source, encoding="utf-8")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        done = Path(scratch) / "done"
        done.mkdir()
        for name in texts.sections():
            _speak(dict(texts[name]), Path(scratch), done / f"{name}.alaw")
        done.chmod(0o755)
        try:
            done.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster, with the same content
                raise
    return folder


def _speak(texts: dict[str, str], scratch: Path, to: Path) -> None:
    parts: list[str] = []
    for language, text in texts.items():
        part = scratch / f"{to.stem}-{language}.wav"
        subprocess.run(["espeak-ng", "-v", VOICES[language], "-s", "150", "-w", part, text], check=True)
        parts.append(str(part))
    # The telephone's own coding, so that nothing is converted in a call; levelled below full scale.
    coding = ["-t", "al", "-r", "8000", "-c", "1"]
    shape = ["gain", "-n", "-3", "pad", "0", PAUSE_S]
    subprocess.run(["sox", *parts, *coding, str(to), *shape], check=True)


if __name__ == "__main__":
    # For the image, which has them inside.
    shutil.copytree(fallback_sounds(), sys.argv[1])
