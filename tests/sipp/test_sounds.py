from __future__ import annotations

import random

from ivr_engine.sipp.sounds import PACKET, Clip, Kind, Library, Listener, level, to_alaw

SILENT = b"\xd5" * PACKET


def noise(seed: int, seconds: float) -> bytes:
    """A stand-in for speech: loud and never the same."""
    return random.Random(seed).randbytes(int(seconds * 8000))


def packets(data: bytes, start: int = 0) -> list[bytes]:
    return [data[at : at + PACKET] for at in range(start, len(data), PACKET)]


def listen(library: Library, stream: list[bytes]) -> Listener:
    listener = Listener(library)
    for number, payload in enumerate(stream):
        listener.feed(payload, number * 0.02)
    return listener


HELLO, CONSENT, MUSIC = noise(1, 2.003), noise(2, 3.0), noise(3, 5.0)


def test_prompts_music_and_silence_are_told_apart() -> None:
    library = Library({"hello": HELLO, "consent": CONSENT})
    stream = packets(HELLO) + packets(CONSENT)[:50] + [SILENT] * 20 + packets(MUSIC)
    heard = listen(library, stream).segments
    assert [s.label for s in heard] == ["hello", "consent", "silence", "music"]
    assert [s.whole for s in heard] == [True, False, False, False]


def test_packets_cut_at_any_offset_are_recognised() -> None:
    library = Library({"consent": CONSENT})
    for offset in (1, 7, 80, 159, 4321):
        segments = listen(library, packets(CONSENT, offset)).segments
        assert [s.label for s in segments] == ["consent"]
        assert segments[0].first == offset


def test_a_pause_within_a_prompt_belongs_to_it() -> None:
    prompt = noise(4, 1) + SILENT * 40 + noise(5, 1) + SILENT * 5
    segments = listen(Library({"prompt": prompt}), packets(prompt) + packets(MUSIC)).segments
    assert [s.label for s in segments] == ["prompt", "music"]
    assert segments[0].whole


def test_a_prompt_that_starts_silent_is_whole_from_its_first_sound() -> None:
    prompt = SILENT * 3 + noise(6, 1)
    segments = listen(Library({"prompt": prompt}), packets(prompt)).segments
    assert [s.label for s in segments] == ["silence", "prompt"]
    assert segments[1].whole


def test_the_same_prompt_again_is_a_segment_of_its_own() -> None:
    segments = listen(Library({"consent": CONSENT}), packets(CONSENT)[:60] + packets(CONSENT)).segments
    assert [(s.label, s.whole) for s in segments] == [("consent", False), ("consent", True)]


def test_a_lost_packet_does_not_cut_a_prompt() -> None:
    stream = packets(CONSENT)
    del stream[20]
    segments = listen(Library({"consent": CONSENT}), stream).segments
    assert [(s.label, s.whole) for s in segments] == [("consent", True)]


def test_prompts_that_begin_alike_are_named_once_they_differ() -> None:
    library = Library({"a": HELLO + noise(7, 1), "b": HELLO + noise(8, 1)})
    listener = listen(library, packets(HELLO)[:50])
    assert listener.segments[0].names == {"a", "b"}
    assert not library.is_only(listener.segments[0].names, "a")
    segments = listen(library, packets(library.clips["b"].data)).segments
    assert [s.label for s in segments] == ["b"]
    assert library.is_only(segments[0].names, "b")


def test_two_names_of_one_sound_are_both_right() -> None:
    library = Library({"en": HELLO, "de": HELLO})
    names = listen(library, packets(HELLO)).segments[0].names
    assert library.is_only(names, "en")
    assert library.is_only(names, "de")


def test_a_voice_that_loops_is_one_segment() -> None:
    library = Library()
    voice = Clip("voice", noise(9, 0.1), loop=True)
    library.add(voice)
    stream = [voice.part(33 + number * PACKET, PACKET) for number in range(50)]
    assert [s.label for s in listen(library, stream).segments] == ["voice"]


def test_no_packets_is_nothing() -> None:
    listener = Listener(Library())
    listener.feed(MUSIC[:PACKET], 0.0)
    listener.idle(0.1)
    listener.idle(0.4)
    listener.idle(1.0)
    listener.feed(MUSIC[:PACKET], 1.1)
    assert [(s.kind, s.start, s.end) for s in listener.segments] == [
        (Kind.MUSIC, 0.0, 0.0),
        (Kind.NOTHING, 0.0, 1.1),
        (Kind.MUSIC, 1.1, 1.1),
    ]


def torn(library: Library, *parts: list[bytes]) -> Listener:
    """Half a second without a packet between each two parts."""
    listener, at = Listener(library), 0.0
    for part in parts:
        for payload in part:
            listener.feed(payload, at)
            at += 0.02
        at += 0.5
        listener.idle(at - 0.1)
    return listener


def test_a_prompt_that_was_torn_is_whole_and_played_once() -> None:
    prompt = noise(4, 1) + SILENT * 40 + noise(5, 1)
    said = packets(prompt)
    heard = torn(Library({"prompt": prompt}), said[:20], said[20:60], said[60:], said).segments
    named = [(s.label, s.torn, s.whole) for s in heard if s.kind is Kind.CLIP]
    assert named == [
        ("prompt", False, False),
        ("prompt", True, False),
        ("prompt", True, True),
        ("prompt", False, True),
    ]
    assert [s.torn for s in heard if s.kind is Kind.NOTHING] == [True, True, False, False]


def test_a_prompt_that_stopped_or_lost_its_middle_is_not_torn() -> None:
    library = Library({"consent": CONSENT})
    for rest in (packets(CONSENT)[60:], packets(CONSENT)):
        heard = torn(library, packets(CONSENT)[:50], rest).segments
        assert not [s for s in heard if s.torn]


def test_a_prompt_torn_before_it_is_known_is_known_by_its_rest() -> None:
    library = Library({"a": HELLO + noise(7, 1), "b": HELLO + noise(8, 1)})
    said = packets(library.clips["b"].data)
    at = len(packets(HELLO))
    heard = [s for s in torn(library, said[: at - 1], said[at - 1 :]).segments if s.kind is Kind.CLIP]
    assert [(s.label, s.torn, s.whole) for s in heard] == [("a/b", False, False), ("b", False, True)]


def test_a_prompt_whose_end_was_torn_is_whole_once() -> None:
    prompt = noise(4, 1) + SILENT * 10
    heard = torn(Library({"prompt": prompt}), packets(prompt)[:52], packets(prompt)[52:]).segments
    assert [s.whole for s in heard if s.kind is Kind.CLIP] == [True, False]


def test_a_voice_that_speaks_again_is_heard_again() -> None:
    library = Library()
    voice = Clip("voice", noise(9, 0.1), loop=True)
    library.add(voice)
    said = [voice.part(number * PACKET, PACKET) for number in range(50)]
    assert [s.torn for s in torn(library, said[:25], said[25:]).segments] == [False] * 4


def test_levels() -> None:
    assert level(SILENT) < 60
    assert level(bytes(to_alaw(sample) for sample in (8000, -8000))) > 7000
