"""What of a file from a stranger is kept."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from ivr_engine.messaging.pictures import MAX_SIDE, Kept, NotKept, kept


def encoded(picture: Image.Image, kind: str, **how: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def opened(file: Kept | NotKept) -> Image.Image:
    assert isinstance(file, Kept), file
    with Image.open(io.BytesIO(file.content)) as picture:
        picture.load()
        return picture.copy()


@pytest.mark.parametrize(
    ("kind", "mode", "content_type", "extension"),
    [
        ("JPEG", "RGB", "image/jpeg", "jpg"),
        ("JPEG", "L", "image/jpeg", "jpg"),
        ("JPEG", "CMYK", "image/jpeg", "jpg"),
        ("PNG", "RGB", "image/png", "png"),
        ("PNG", "RGBA", "image/png", "png"),
        ("PNG", "1", "image/png", "png"),
        ("PNG", "P", "image/png", "png"),
        ("PNG", "LA", "image/png", "png"),
        ("PNG", "I;16", "image/png", "png"),
        ("GIF", "P", "image/gif", "gif"),
        ("GIF", "L", "image/gif", "gif"),
    ],
)
def test_pictures_are_kept_as_what_they_are(kind: str, mode: str, content_type: str, extension: str) -> None:
    file = kept(encoded(Image.new(mode, (64, 48)), kind))
    assert isinstance(file, Kept)
    assert (file.content_type, file.extension) == (content_type, extension)
    assert opened(file).size == (64, 48)


def test_the_colours_survive() -> None:
    file = opened(kept(encoded(Image.new("RGB", (20, 20), (200, 30, 40)), "JPEG")))
    red, green, blue = (band.getextrema()[0] for band in file.split())
    assert (red, green, blue) == pytest.approx((200, 30, 40), abs=5)
    see_through = opened(kept(encoded(Image.new("RGBA", (20, 20), (1, 2, 3, 0)), "PNG")))
    assert see_through.getchannel("A").getextrema() == (0, 0)


def test_place_and_time_of_a_photo_are_not_kept_but_it_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "CameraMaker"
    exif.get_ifd(0x8825)[1] = "N"
    file = kept(encoded(Image.new("RGB", (60, 40), "blue"), "JPEG", exif=exif))
    assert isinstance(file, Kept)
    assert b"Exif" not in file.content
    assert b"CameraMaker" not in file.content
    assert opened(file).size == (40, 60)


def test_nothing_hides_in_text_chunks_comments_or_behind_the_end() -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "<script>alert(1)</script>")
    png = encoded(Image.new("RGB", (8, 8)), "PNG", pnginfo=notes)
    gif = encoded(Image.new("P", (8, 8)), "GIF", comment=b"<script>alert(1)</script>")
    jpg = encoded(Image.new("RGB", (8, 8)), "JPEG", comment=b"<script>alert(1)</script>")
    for content in (png, gif, jpg):
        file = kept(content + b"PK\x03\x04<script>alert(1)</script>")
        assert isinstance(file, Kept)
        assert b"script" not in file.content
        assert b"PK\x03\x04" not in file.content


def test_of_an_animation_the_first_picture() -> None:
    frames = [Image.new("P", (16, 16), n) for n in range(5)]
    file = opened(kept(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    assert getattr(file, "n_frames", 1) == 1


@pytest.mark.parametrize(
    ("brand", "content_type", "extension"),
    [
        (b"isom", "video/mp4", "mp4"),
        (b"mp42", "video/mp4", "mp4"),
        (b"3gp4", "video/3gpp", "3gp"),
        (b"3gp5", "video/3gpp", "3gp"),
    ],
)
def test_videos_are_kept_as_they_are(brand: bytes, content_type: str, extension: str) -> None:
    content = b"\x00\x00\x00\x18ftyp" + brand + b"\x00" * 100
    assert kept(content) == Kept(content_type, extension, content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"MZ\x90\x00",
        b"\x00\x00\x00\x18ftypheic" + b"\x00" * 100,
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"BM" + b"\x00" * 100,
        b"II*\x00" + b"\x00" * 100,
    ],
)
def test_everything_else_is_not_kept(content: bytes) -> None:
    assert kept(content) == NotKept("not a jpg, png, gif, mp4 or 3gp file")


def test_large_photos_are_scaled_down() -> None:
    file = opened(kept(encoded(Image.new("L", (6000, 1000)), "PNG")))
    assert file.size == (MAX_SIDE, 683)


def png_of(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_bombs_are_refused_before_they_are_unpacked() -> None:
    gif = bytearray(encoded(Image.new("P", (1, 1)), "GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"
    bombs = [
        png_of(50_000, 50_000, zlib.compress(b"\0" * 1_000_000)),
        png_of(9_000, 9_000, zlib.compress(b"\0" * 1_000_000)),
        png_of(2**31 - 1, 2**31 - 1, b""),
        bytes(gif),
    ]
    tracemalloc.start()
    try:
        for bomb in bombs:
            assert isinstance(kept(bomb), NotKept)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_broken_pictures_are_refused_never_raised(kind: str) -> None:
    chance = random.Random(7)
    whole = encoded(Image.effect_noise((64, 64), 50).convert("P" if kind == "GIF" else "RGB"), kind)
    for _ in range(300):
        broken = bytearray(whole[: chance.randrange(4, len(whole))])
        for _ in range(chance.randrange(8)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        assert isinstance(kept(bytes(broken)), Kept | NotKept)


def test_a_photo_that_gives_words_for_a_number_is_refused_never_raised() -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a sunset", 6
    photo = encoded(Image.new("RGB", (8, 8)), "JPEG", exif=exif)
    description, width = b"\x01\x0e\x00\x02", b"\x01\x00\x00\x02"
    assert isinstance(kept(photo), Kept)
    assert kept(photo.replace(description, width, 1)) == NotKept("a broken picture (error)")
