"""How long a changed configuration takes to come into force, and what callers feel of it.

    python -m bench.reload          # on a machine with nothing else to do; needs root, as the bench does

A site of 50 queues and 500 prompts in 5 languages, of which nothing is new, is loaded again and again while
callers press keys on a real Asterisk: measured are the loading, and how long a key takes to stop the prompt,
while a site is loaded and while none is.
"""

from __future__ import annotations

import functools
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import load
from bench.calls import machine
from bench.report import write_reload
from bench.wire import Reaction, Wire
from scripts.stack import Asterisk, Ports
from tests.integration.engine import House, Site, example_site

QUEUES: Final = 50
PROMPTS: Final = 500
NUMBER: Final = "710"
"""Queue ``express``: the consent message at once."""
WARM_UP: Final = 20
CALLS: Final = 400
RATE: Final = 10
BETWEEN_S: Final = 1.0
"""From the end of one loading to the beginning of the next: both have their share of the keys."""


@dataclass
class Loadings:
    """``times``: begin and end of each, seconds since 1970."""

    house: House
    times: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    _over: threading.Event = field(default_factory=threading.Event)

    def repeat(self) -> None:
        while not self._over.wait(BETWEEN_S):
            began = time.time()
            self._load()
            self.times.append((began, time.time()))

    def stop(self) -> None:
        self._over.set()

    def during(self, one: Reaction) -> bool:
        """Whether a site was being loaded between the key and the end of the prompt."""
        return any(began <= (one.stopped or 0) and one.ended <= ended for began, ended in self.times)

    def _load(self) -> None:
        headers = {"Authorization": f"Bearer {self.house.token}"}
        url = f"{self.house.url}/api/v1/site/reload"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST", headers=headers)) as answer:
            said = json.load(answer)
        if not said["ok"]:
            raise SystemExit(f"it was not loaded: {said}")


def main() -> int:
    here = machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, ports, callers = Path(name), Ports.free(), load.Ports.free(CALLS)
        wire = Wire(ports.http, {load.caller(call): callers.of_call(call) for call in range(1, CALLS + 1)})
        wire.start()
        site, prompts = _site(), _prompts(folder / "prompts", _site()["languages"])
        with (
            Asterisk.start(folder=folder / "asterisk", ports=ports) as asterisk,
            House(asterisk, folder / "house", site, prompts=prompts) as house,
        ):
            dial = functools.partial(load.run, folder, callers, sip_port=ports.sip, number=NUMBER, rate=RATE)
            dial(calls=WARM_UP)
            wire.forget()
            loadings = Loadings(house)
            repeating = threading.Thread(target=loadings.repeat)
            repeating.start()
            outcome = dial(calls=CALLS)
            loadings.stop()
            repeating.join()
        wire.stop()
    rows = _rows(loadings, wire.reactions, outcome)
    for row in rows:
        print(*row, sep=": ")
    languages = len(site["languages"])
    write_reload(rows, machine=here, queues=QUEUES, prompts=PROMPTS, languages=languages, rate=RATE)
    return 1 if outcome.failed else 0


def _site() -> Site:
    site = example_site()
    for number in range(QUEUES):
        site["queues"][f"queue-{number}"] = {"label": f"Queue {number}"}
    return site


def _prompts(folder: Path, languages: Sequence[str]) -> Path:
    """The example's, and for each language many recordings of three seconds of the same noise."""
    shutil.copytree(Path(__file__).parents[1] / "prompts", folder)
    recording = folder / "recording.wav"
    with wave.open(str(recording), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\x00\x20\x00\xe0" * 12_000)
    for language in languages:
        names = [f"more-{number}" for number in range(PROMPTS)]
        with (folder / language / "texts.yaml").open("a") as texts:
            texts.writelines(f"{name}: Text number {name} in {language}.\n" for name in names)
        for name in names:
            shutil.copy(recording, folder / language / f"{name}.wav")
    recording.unlink()
    return folder


def _rows(loadings: Loadings, reactions: Sequence[Reaction], outcome: load.Outcome) -> list[tuple[str, str]]:
    took = [ended - began for began, ended in loadings.times]
    seen = [one for one in reactions if one.stopped is not None]
    key = "key's end packet → PlaybackFinished"
    return [
        ("calls failed", f"{outcome.failed} of {CALLS}"),
        (f"loaded {len(took)} times, p50 / longest", f"{statistics.median(took):.2f} / {max(took):.2f} s"),
        (
            f"{key} while a site was loaded, p50 / p99 / longest",
            _spread([one for one in seen if loadings.during(one)]),
        ),
        (
            f"{key} while none was, p50 / p99 / longest",
            _spread([one for one in seen if not loadings.during(one)]),
        ),
    ]


def _spread(reactions: Sequence[Reaction]) -> str:
    values = [((one.stopped or 0) - one.ended) * 1000 for one in reactions]
    cuts = statistics.quantiles(values, n=100)
    return f"{cuts[49]:.1f} / {cuts[98]:.1f} / {max(values):.1f} ms ({len(values)} keys)"


if __name__ == "__main__":
    sys.exit(main())
