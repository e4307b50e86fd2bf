"""Loudness is what the standard's own test signals say it is (EBU Tech 3341, here in one channel)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from ivr_engine.site.loudness import loudness

ONE_CHANNEL_DB = 10 * math.log10(2)
"""The signals are for two channels with the same in both: that much louder than one."""


def tones(rate: int, *parts: tuple[float, float]) -> NDArray[np.float32]:
    """1 kHz, after each other: dBFS and seconds."""
    pieces = [
        10 ** ((db + ONE_CHANNEL_DB) / 20) * np.sin(2 * np.pi * 1000 * np.arange(int(s * rate)) / rate)
        for db, s in parts
    ]
    return np.concatenate(pieces).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
@pytest.mark.parametrize(
    ("parts", "lufs"),
    [
        (((-23, 20),), -23),
        (((-33, 20),), -33),
        (((-36, 10), (-23, 60), (-36, 10)), -23),
        (((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), -23),
        (((-26, 20), (-20, 20.1), (-26, 20)), -23),
    ],
)
def test_the_minimum_requirements_signals(
    rate: int, parts: tuple[tuple[float, float], ...], lufs: float
) -> None:
    assert loudness(tones(rate, *parts), rate) == pytest.approx(lufs, abs=0.1)


def test_what_ears_hardly_hear_counts_little() -> None:
    at = np.arange(16_000 * 5) / 16_000
    hum, whistle = (np.sin(2 * np.pi * hertz * at).astype(np.float32) for hertz in (20, 3000))
    assert loudness(hum, 16_000) < loudness(whistle, 16_000) - 15


def test_the_shortest_sounds_and_none() -> None:
    assert loudness(tones(8000, (-23, 0.2)), 8000) == pytest.approx(-23, abs=0.5)
    assert loudness(np.zeros(8000, dtype=np.float32), 8000) == -math.inf
    assert loudness(np.zeros(100, dtype=np.float32), 8000) == -math.inf
