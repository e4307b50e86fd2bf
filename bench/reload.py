"""How long a changed configuration takes to come into force, and what the event loop feels of it.

    python -m bench.reload

A site of 50 queues and 500 prompts in 5 languages is rendered once (with a voice that costs nothing);
measured is the loading after a change that needs no new prompt.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
import wave
from pathlib import Path

import uvloop

from ivr_engine.bootstrap import SWITCH_INTERVAL_S
from ivr_engine.site.reload import Folders, Made, make

ROOT = Path(__file__).parents[1]
QUEUES, PROMPTS, LANGUAGES = 50, 500, ("de", "en", "es", "fr", "it")
RUNS = 5
LOOK_S = 0.005


class Voice:
    """Three seconds of noise, whatever the text."""

    fingerprint = "bench"

    def speak(self, text: str, language: str, to: Path) -> None:
        with wave.open(str(to), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(b"\x00\x20\x00\xe0" * 12_000)


def generate(folder: Path) -> Folders:
    """The example with many more queues and prompts."""
    shutil.copytree(ROOT / "config", folder / "config")
    queues = {f"queue-{n}": {"label": f"Queue {n}"} for n in range(QUEUES)}
    file = folder / "config" / "queues.yaml"
    more = "".join(f"  {name}: {json.dumps(queue)}\n" for name, queue in queues.items())
    file.write_text(file.read_text().rstrip() + "\n" + more)
    for language in LANGUAGES:
        shutil.copytree(ROOT / "prompts" / language, folder / "prompts" / language)
        with (folder / "prompts" / language / "texts.yaml").open("a") as texts:
            texts.writelines(f"more-{n}: Text number {n} in {language}.\n" for n in range(PROMPTS))
    return Folders(folder / "config", folder / "prompts", folder / "sounds", folder / "history")


async def measure(folders: Folders) -> tuple[float, float, int]:
    """Seconds of the loading, the latest that the loop woke us meanwhile, and the number of prompts."""
    latest, over = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal latest
        while not over.is_set():
            began = time.perf_counter()
            await asyncio.sleep(LOOK_S)
            latest = max(latest, time.perf_counter() - began - LOOK_S)

    voice = Voice()
    watching = asyncio.create_task(watch())
    began = time.perf_counter()
    made: Made = await asyncio.to_thread(make, folders, lambda _site: voice)
    seconds = time.perf_counter() - began
    over.set()
    await watching
    return seconds, latest, len(made.prompts)


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ivr-bench-") as folder:
        folders = generate(Path(folder))
        first, _, count = await measure(folders)
        print(f"{count} prompts rendered for the first time in {first:.1f} s")
        for _ in range(RUNS):
            seconds, latest, _ = await measure(folders)
            print(f"loaded in {seconds:.2f} s; the loop woke at most {latest * 1000:.1f} ms late")


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    uvloop.run(main())
