"""How loud a sound is to a person: ITU-R BS.1770-4, which EBU R128 levels by.

Sound is weighted as ears do, measured in blocks of 400 ms, and blocks in which nobody speaks do not count.
pyloudnorm, which measures the same, would bring scipy: 140 MB for two filters. libebur128's Python binding
has no builds for current Pythons.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

STEPS_A_SECOND: Final = 10
BLOCK_STEPS: Final = 4
"""Blocks of 400 ms begin every 100 ms."""
SILENCE_LUFS: Final = -70.0
GATE_LU: Final = 10.0
"""Blocks this much below the mean do not count."""

_OFFSET: Final = -0.691
_PIECE_S: Final = 20
_RINGS_S: Final = 0.25
"""Both filters have died away after that."""


def loudness(sound: Samples, rate: int) -> float:
    """Integrated loudness of one channel in LUFS; a shorter sound is one block. ``-inf`` for silence."""
    import numpy as np

    steps = _step_powers(sound, rate)
    if len(steps) < BLOCK_STEPS:
        blocks = np.square(_weighted(sound, rate), dtype=np.float64).mean(keepdims=True)
    else:
        blocks = np.convolve(steps, np.full(BLOCK_STEPS, 1 / BLOCK_STEPS), "valid")
    blocks = blocks[blocks > _power(SILENCE_LUFS)]
    if not len(blocks):
        return -math.inf
    blocks = blocks[blocks > blocks.mean() * 10 ** (-GATE_LU / 10)]
    return _OFFSET + 10 * math.log10(blocks.mean())


def _power(lufs: float) -> float:
    return 10 ** ((lufs - _OFFSET) / 10)


def _step_powers(sound: Samples, rate: int) -> NDArray[np.float64]:
    """The weighted power of each whole 100 ms, piece by piece: a long sound does not fill the memory."""
    import numpy as np

    step, piece, rings = rate // STEPS_A_SECOND, _PIECE_S * rate, int(_RINGS_S * rate)
    powers: list[NDArray[np.float64]] = []
    for begin in range(0, len(sound), piece):
        warm = min(begin, rings)
        weighted = _weighted(sound[begin - warm : begin + piece], rate)[warm:]
        whole = weighted[: len(weighted) // step * step].reshape(-1, step)
        powers.append(np.square(whole, dtype=np.float64).mean(axis=1))
    return np.concatenate(powers) if powers else np.zeros(0)


def _weighted(sound: Samples, rate: int) -> Samples:
    """K-weighted: by the filters' frequency response, on a sound that is followed by silence."""
    import numpy as np

    length = 2 ** (len(sound) + int(_RINGS_S * rate)).bit_length()
    spectrum = np.fft.rfft(sound, length) * _response(rate, length)
    return np.fft.irfft(spectrum, length)[: len(sound)].astype(np.float32)


@lru_cache(maxsize=16)
def _response(rate: int, length: int) -> NDArray[np.complex64]:
    import numpy as np

    z = np.exp(-2j * np.pi * np.fft.rfftfreq(length))
    response = np.ones(len(z), dtype=np.complex128)
    for above, below in (_shelf(rate), _high_pass(rate)):
        response *= np.polyval(above[::-1], z) / np.polyval(below[::-1], z)
    return response.astype(np.complex64)


Filter = tuple[list[float], list[float]]
"""Coefficients of a filter of second order, for the input and for the output, the latest sample first."""


def _shelf(rate: int) -> Filter:
    """The head: 4 dB more above 1.7 kHz. Frequency, gain and quality that give the standard's filter at
    48 kHz, for any rate."""
    k, q = math.tan(math.pi * 1681.974450955533 / rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    below = [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k]
    above = [high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k]
    return above, below


def _high_pass(rate: int) -> Filter:
    """The ear: little below 38 Hz."""
    k, q = math.tan(math.pi * 38.13547087602444 / rate), 0.5003270373238773
    below = [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k]
    return [below[0], -2 * below[0], below[0]], below
