"""The ears against a real Asterisk that plays known files from a plain dialplan: no engine is there."""

from __future__ import annotations

import random
from pathlib import Path

from ivr_engine.sipp import process as sipp
from ivr_engine.sipp.ears import MUSIC, NOTHING, SILENCE
from ivr_engine.sipp.sounds import Kind, Library
from scripts.stack import Asterisk
from tests.sipp.scenarios import file

NUMBER = "7900"


async def test_what_asterisk_plays_is_what_is_heard(asterisk: Asterisk, tmp_path: Path) -> None:
    clips = {name: random.Random(name).randbytes(size) for name, size in (("one", 12_345), ("two", 80_000))}
    for name, data in clips.items():
        (asterisk.sounds_dir / f"ears-{name}.alaw").write_bytes(data)
    _dialplan(
        asterisk,
        f"{NUMBER},1,Answer into ivr-in",
        f"{NUMBER},2,Playback,ivr/ears-one into ivr-in",
        f"{NUMBER},3,Goto,ears,s,1 into ivr-in",
        "s,1,Background,ivr/ears-two into ears",
        "s,2,WaitExten,10 into ears",
        "5,1,MusicOnHold,default,2 into ears",
        "5,2,Hangup into ears",
    )
    calling = sipp.calls(
        file("led"),
        sipp.Server(asterisk.sip_port),
        number=NUMBER,
        callers=["+4915112345678"],
        library=Library(clips),
        folder=tmp_path,
    )
    async with calling as process:
        (ear,) = process.ears
        one = await ear.hears("one", whole=True)
        two = await ear.hears("two")
        # One after the other; an Asterisk that is kept waiting begins late.
        assert 0 <= two.start - one.end < 2
        await ear.presses("5")
        await ear.hears(MUSIC)
        await process.logs("hung-up-on", within=10)
        await process.done()
    clips = [segment.label for segment in ear.segments if segment.kind is Kind.CLIP and not segment.torn]
    assert clips == ["one", "two"], ear.story()
    assert not two.whole, "the key stopped it"
    assert ear.longest(SILENCE, NOTHING) < 2.0, ear.story()


def _dialplan(asterisk: Asterisk, *lines: str) -> None:
    for line in lines:
        assert "added" in asterisk.cli(f"dialplan add extension {line}"), line
