"""A recording or spoken text, made ready for Asterisk: trimmed, levelled, in the formats it plays as is.

Raw A-law and µ-law at 8 kHz for telephone calls, raw 16-bit at 16 kHz for wideband ones; a caller's
codec is one of them or one resampling step away.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from ivr_engine.site.loudness import loudness

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

SUFFIXES: Final = (".sln16", ".ulaw", ".alaw")
VERSION: Final = 2
"""Raise it whenever the same input would give different files: all prompts are rendered anew."""

LEVEL_LUFS: Final = -20.0
"""Integrated loudness (EBU R128). Broadcasting's -23 would be quiet beside Asterisk's own prompts and the
agents; louder would bend more peaks."""
PEAK_DB: Final = -1.0
"""True peaks stay below, in dBTP."""

WIDE_HZ: Final = 16_000
NARROW_HZ: Final = 8_000
MAX_SECONDS: Final = 600
MAX_BYTES: Final = 60_000_000
_FRAME: Final = WIDE_HZ // 100
_AUDIBLE: Final = 1e-4
"""Power against that of the loudest 10 ms: 40 dB below it begins what counts as silence."""
_LEAD_IN_S: Final = 0.12
_LEAD_OUT_S: Final = 0.2
_ABSURD: Final = 100.0
"""Against full scale. Also false for what is not a number."""
_CEILING: Final = 0.79
"""Coding takes a peak a little higher still."""
_FINER: Final = 2
_AROUND_S: Final = 0.005
"""A loud sound is made quieter from so long before it until so long after."""
_NEAR_LU: Final = 0.1
_TRIES: Final = 8
"""Quieter peaks take loudness away, which is given again."""


class UnusableAudio(Exception):
    """The recording cannot be used; the text says why."""


def prepare(source: Path, folder: Path, stem: str) -> None:
    """Write ``source`` as ``folder/stem`` in every format. Raises ``UnusableAudio``, ``OSError``."""
    import soxr  # pyright: ignore[reportMissingTypeStubs]

    sound = _trimmed(_read(source))
    sound = sound[: len(sound) // 2 * 2]
    wide = _levelled(sound, WIDE_HZ)
    # Of its own: what a telephone does not carry makes nothing loud on it.
    narrow = cast("Samples", soxr.resample(sound, WIDE_HZ, NARROW_HZ))  # pyright: ignore[reportUnknownMemberType]
    narrow = _levelled(narrow[: len(wide) // 2], NARROW_HZ)
    _write(folder / f"{stem}.sln16", wide, "PCM_16")
    _write(folder / f"{stem}.ulaw", narrow, "ULAW")
    _write(folder / f"{stem}.alaw", narrow, "ALAW")


def as_wav(source: Path, to: Path) -> None:
    """Write ``source`` as a WAV file that sounds as callers hear it. Raises as ``prepare``."""
    to.write_bytes(_coded(_levelled(_trimmed(_read(source)), WIDE_HZ), WIDE_HZ, "WAV", "PCM_16"))


def examine(source: Path) -> None:
    """Raise ``UnusableAudio`` unless ``prepare`` would succeed."""
    _levelled(_trimmed(_read(source)), WIDE_HZ)


def digest(source: Path) -> str:
    """A hash of a recording's content; ``UnusableAudio`` when it cannot be read or is too large."""
    _check_size(source)
    try:
        with source.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UnusableAudio(f"cannot be read ({error.strerror})") from None


def _check_size(source: Path) -> None:
    if source.stat().st_size > MAX_BYTES:
        raise UnusableAudio(f"is larger than {MAX_BYTES // 1_000_000} MB")


def length(folder: Path, stem: str) -> float | None:
    """Seconds, or ``None`` when a format is missing or was not written to its end."""
    try:
        wide, ulaw, alaw = (os.stat(folder / f"{stem}{suffix}").st_size for suffix in SUFFIXES)
    except FileNotFoundError:
        return None
    return alaw / NARROW_HZ if alaw and alaw == ulaw and wide == alaw * 4 else None


def _read(source: Path) -> Samples:
    """Mono at 16 kHz."""
    import numpy as np
    import soundfile  # pyright: ignore[reportMissingTypeStubs]
    import soxr  # pyright: ignore[reportMissingTypeStubs]

    _check_size(source)
    try:
        with soundfile.SoundFile(source) as opened:
            rate = opened.samplerate
            if rate < NARROW_HZ:
                raise UnusableAudio(f"has {rate} samples a second: at least {NARROW_HZ} are needed")
            both = opened.read(MAX_SECONDS * rate + 1, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UnusableAudio(f"cannot be read as sound ({error.error_string.rstrip('.')})") from None
    if len(both) > MAX_SECONDS * rate:
        raise UnusableAudio(f"is longer than {MAX_SECONDS // 60} minutes")
    with np.errstate(invalid="ignore"):
        if not (np.abs(both) < _ABSURD).all():
            raise UnusableAudio("is damaged: it holds values that are no sound")
    mono = both.mean(axis=1, dtype=np.float32)
    return cast("Samples", soxr.resample(mono, rate, WIDE_HZ))


def _trimmed(sound: Samples) -> Samples:
    """Without silence at either end, but for a short lead-in."""
    import numpy as np

    power = _frames(sound)
    if not len(power) or power.max() < 1e-7:
        raise UnusableAudio("holds only silence")
    audible = np.flatnonzero(power > power.max() * _AUDIBLE)
    sound = sound[audible[0] * _FRAME : (audible[-1] + 1) * _FRAME]
    return np.pad(sound, (int(_LEAD_IN_S * WIDE_HZ), int(_LEAD_OUT_S * WIDE_HZ)))


def _levelled(sound: Samples, rate: int) -> Samples:
    """Speech at ``LEVEL_LUFS``, whatever peaks there are: those are made quieter, not cut."""
    import numpy as np

    sound = sound * np.float32(_CEILING / np.abs(sound).max())
    gain_db, levelled = 0.0, sound
    for _ in range(_TRIES):
        missing = LEVEL_LUFS - loudness(levelled, rate)
        if missing == math.inf:
            raise UnusableAudio("holds nothing that can be heard")
        if abs(missing) < _NEAR_LU:
            break
        gain_db += missing
        levelled = _limited(sound * np.float32(10 ** (gain_db / 20)), rate)
    return levelled


def _limited(sound: Samples, rate: int) -> Samples:
    import numpy as np
    import soxr  # pyright: ignore[reportMissingTypeStubs]

    finer = cast("Samples", soxr.resample(sound, rate, rate * _FINER))  # pyright: ignore[reportUnknownMemberType]
    finer = np.pad(finer, (0, max(0, len(sound) * _FINER - len(finer))))[: len(sound) * _FINER]
    peaks = np.maximum(np.abs(sound), np.abs(finer).reshape(-1, _FINER).max(axis=1))
    gain = _CEILING / np.maximum(peaks, _CEILING)
    around = int(_AROUND_S * rate)
    gain = np.pad(gain, 2 * around, mode="edge")
    window = 2 * around + 1
    least = _least(gain, window)
    smooth = np.convolve(least, np.full(window, 1 / window), "valid")
    return (sound * smooth).astype(np.float32)


def _least(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The least of each ``window`` neighbours, from spans that double: a pass for each doubling."""
    import numpy as np

    span = 1
    while span * 2 <= window:
        values = np.minimum(values[:-span], values[span:])
        span *= 2
    rest = window - span
    return np.minimum(values[:-rest], values[rest:]) if rest else values


def _frames(sound: Samples) -> NDArray[np.float32]:
    """The power of each 10 ms."""
    whole = sound[: len(sound) // _FRAME * _FRAME].reshape(-1, _FRAME)
    return (whole**2).mean(axis=1)


def _coded(sound: Samples, rate: int, kind: str, coding: str) -> bytes:
    """In memory: what a full disk does to libsndfile is no ``OSError``."""
    import soundfile  # pyright: ignore[reportMissingTypeStubs]

    made = io.BytesIO()
    endian = "LITTLE" if coding == "PCM_16" else "FILE"
    soundfile.write(made, sound, rate, subtype=coding, format=kind, endian=endian)
    return made.getvalue()


def _write(file: Path, sound: Samples, coding: str) -> None:
    """Atomically, readable by everybody: Asterisk runs as a user of its own."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(_coded(sound, WIDE_HZ if coding == "PCM_16" else NARROW_HZ, "RAW", coding))
        temporary.chmod(0o644)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
