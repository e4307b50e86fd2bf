"""Whether a file is what we keep, and what of it we keep. Blocking and CPU-bound: run it in a thread.

The type is decided by the content, never by what the sender claims. Pictures are decoded and written anew,
so that nothing hides in them (place and time of the photo, a second file, a script). Of an animated GIF
the first picture is kept: each further one costs as much to decode as a whole photo. Videos cannot be
written anew here; they are kept as they are and must be served as attachments.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageOps

MAX_PIXELS: Final = 25_000_000
"""Decoded, a picture of that size needs about 75 MB."""
MAX_SIDE: Final = 4096
"""Larger pictures are scaled down to this; pixels."""
JPEG_QUALITY: Final = 88

_FTYP_BRANDS: Final = {
    b"3gp": ("video/3gpp", "3gp"),
    b"3gg": ("video/3gpp", "3gp"),
    b"3ge": ("video/3gpp", "3gp"),
    b"iso": ("video/mp4", "mp4"),
    b"mp4": ("video/mp4", "mp4"),
    b"avc": ("video/mp4", "mp4"),
    b"M4V": ("video/mp4", "mp4"),
    b"MSN": ("video/mp4", "mp4"),
    b"dash"[:3]: ("video/mp4", "mp4"),
}
_PICTURES: Final = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "GIF": ("image/gif", "gif"),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored: ``extension`` without the dot."""

    content_type: str
    extension: str
    content: bytes


@dataclass(frozen=True, slots=True)
class NotKept:
    """``reason`` is for people."""

    reason: str


def kept(content: bytes) -> Kept | NotKept:
    """The file as it may be stored, or why it may not."""
    kind = _picture_kind(content)
    if kind is not None:
        return _picture(content, kind)
    if content[4:8] == b"ftyp":
        found = _FTYP_BRANDS.get(content[8:11])
        if found is not None:
            return Kept(*found, content)
    return NotKept("not a jpg, png, gif, mp4 or 3gp file")


def _picture_kind(content: bytes) -> str | None:
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    return None


def _picture(content: bytes, kind: str) -> Kept | NotKept:
    try:
        with Image.open(io.BytesIO(content), formats=[kind]) as picture:
            # A camera's JPEG is decoded at a fraction of its size straight away.
            picture.draft("RGB", (MAX_SIDE // 2, MAX_SIDE // 2))
            width, height = picture.size
            if width * height > MAX_PIXELS:
                return NotKept(f"the picture has {width} by {height} pixels, more than is decoded")
            return Kept(*_PICTURES[kind], _anew(picture, kind))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return NotKept("the picture has more pixels than is decoded")
    # Pillow's decoders fail on hostile files in ways of their own (struct.error, zlib.error, …), and each
    # means the same here: one that got through would bring down the fetching of all others, again and again.
    except Exception as error:
        return NotKept(f"a broken picture ({type(error).__name__})")


def _anew(picture: Image.Image, kind: str) -> bytes:
    upright = ImageOps.exif_transpose(picture)
    if kind == "JPEG":
        clean = upright.convert("RGB")
    elif upright.mode in ("1", "L", "LA", "RGB", "RGBA", "P"):
        clean = upright
    else:
        clean = upright.convert("RGBA")
    if kind == "GIF":
        clean = clean.convert("RGBA") if "transparency" in upright.info else clean.convert("RGB")
    elif clean.mode == "P":
        clean = clean.convert("RGBA")
    clean.thumbnail((MAX_SIDE, MAX_SIDE))
    # A new picture from the pixels alone: no text chunks, no colour profile, no thumbnails come along.
    bare = Image.new(clean.mode, clean.size)
    bare.paste(clean)
    out = io.BytesIO()
    if kind == "JPEG":
        bare.save(out, "JPEG", quality=JPEG_QUALITY)
    else:
        bare.save(out, kind, optimize=False)
    return out.getvalue()
