"""What a text message says about messages: the families, plain words, and neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.opt_out import Command, command_of, wants_no_call
from tests.figures import Figure

WORDINGS: Final[dict[str, dict[str, list[str]]]] = yaml.safe_load(
    (Path(__file__).parent / "wordings/opt_out.yaml").read_text(encoding="utf-8")
)
HONOURED: Final = [text for language in WORDINGS.values() for text in language["honoured"]]
NEAR_MISSES: Final = [text for language in WORDINGS.values() for text in language["near_misses"]]
STOPS: Final = [
    "stop",
    "stopall",
    "stop all",
    "unsubscribe",
    "cancel",
    "end",
    "quit",
    "revoke",
    "optout",
    "opt out",
    "remove",
    "arret",
    "arrêt",
    "stopp",
    "abmelden",
    "annulla",
    "basta",
    "alto",
    "baja",
    "parar",
    "cancelar",
]
HELPS: Final = ["help", "info", "aide", "hilfe", "aiuto", "ayuda"]
STARTS: Final = ["start", "unstop"]

_padding = st.text(st.sampled_from(" .,!?\n\t…*_-'\"🛑🙏🏽👍\u200b\ufe0f"), max_size=8)
_accents = st.sampled_from(["", "\u0301", "\u0302", "\u0308"])


def test_wordings_that_opt_out_and_near_misses(figure: Figure) -> None:
    missed = [text for text in HONOURED if command_of(text) is not Command.STOP]
    wrong = [text for text in NEAR_MISSES if command_of(text) is Command.STOP]
    assert (missed, wrong) == ([], [])
    assert min(len(set(HONOURED)), len(set(NEAR_MISSES))) >= 300
    assert not set(HONOURED) & set(NEAR_MISSES)
    for language in WORDINGS.values():
        assert min(map(len, language.values())) >= 60
    figure(
        25,
        "opt-out wordings in five languages",
        honoured=f"{len(HONOURED)} of {len(HONOURED)}",
        near_misses_mistaken=f"{len(wrong)} of {len(NEAR_MISSES)}",
    )


@given(
    st.sampled_from(
        [
            *((w, Command.STOP) for w in STOPS),
            *((w, Command.HELP) for w in HELPS),
            *((w, Command.START) for w in STARTS),
        ]
    ),
    st.data(),
)
def test_the_families_however_they_are_written(told: tuple[str, Command], data: st.DataObject) -> None:
    word, command = told
    written = "".join(
        (letter.upper() if data.draw(st.booleans()) else letter)
        + (data.draw(_accents) if letter in "aeiou" else "")
        for letter in word
    )
    text = data.draw(_padding) + written + data.draw(_padding)
    for opted_out in (True, False):
        assert command_of(text, opted_out=opted_out) is command


@given(st.sampled_from(HONOURED), st.booleans())
def test_case_does_not_matter(text: str, up: bool) -> None:
    assert command_of(text.upper() if up else text.lower()) is Command.STOP


@given(st.sampled_from(HONOURED), _padding)
def test_what_stands_around_it_does_not_matter(text: str, padding: str) -> None:
    padding = padding.replace("?", "")  # a question may be something else
    assert command_of(f"{padding}{text}{padding}") is Command.STOP


@given(st.sampled_from(NEAR_MISSES), st.sampled_from([str.upper, str.lower, str.strip]))
def test_near_misses_stay_near_misses(text: str, change: Any) -> None:
    assert command_of(change(text)) is not Command.STOP


@given(st.text(max_size=3000))
def test_any_text_is_understood_or_not(text: str) -> None:
    assert command_of(text) in (*Command, None)
    assert wants_no_call(text) in (True, False)


@given(st.sampled_from(STOPS), st.sampled_from(["street", "Bestellung", "via Roma", "pedido", "commande"]))
def test_a_word_of_the_family_beside_another_word_is_not_the_command(word: str, other: str) -> None:
    assert command_of(f"{other} {word}") is None


@pytest.mark.parametrize("text", ["yes", "YES", "Yes!", "yes please", "Yes, thank you", " yes 👍"])
def test_yes_resumes_only_who_is_opted_out(text: str) -> None:
    assert command_of(text) is None
    assert command_of(text, opted_out=True) is Command.START


@pytest.mark.parametrize(
    "text", ["yes stop", "no", "yes but please no more texts", "yesterday", "I said yes to him"]
)
def test_not_every_yes_resumes(text: str) -> None:
    assert command_of(text, opted_out=True) is not Command.START


@pytest.mark.parametrize(
    "text",
    [
        "help me with the machine",
        "the info desk",
        "I need help",
        "Start the machine",
        "it does not start",
        "Ich brauche Hilfe",
        "mehr Infos bitte",
        "aide-soignante",
        "restart",
    ],
)
def test_help_and_start_are_whole_messages(text: str) -> None:
    assert command_of(text, opted_out=True) is None


@pytest.mark.parametrize(
    "text",
    [
        "NO CALL",
        "no call please",
        "No callback",
        "Please don't call me back",
        "don't call me",
        "Cancel my callback",
        "I no longer need a call",
        "no need to call back",
        "KEIN RÜCKRUF",
        "Kein Rückruf bitte",
        "bitte nicht zurückrufen",
        "Rufen Sie mich bitte nicht zurück",
        "Ich brauche keinen Rückruf mehr",
        "Rückruf bitte absagen",
        "NESSUNA CHIAMATA",
        "Non richiamatemi",
        "non mi chiamate più",
        "Annullate la chiamata",
        "SIN LLAMADA",
        "No me llamen",
        "Ya no necesito la llamada",
        "Cancelen la llamada",
        "PAS D'APPEL",
        "Pas de rappel svp",
        "Ne me rappelez pas",
        "Annulez le rappel",
    ],
)
def test_words_that_call_a_callback_off(text: str) -> None:
    assert wants_no_call(text)
    assert command_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "CANCEL",
        "call me back",
        "please call",
        "I missed your call",
        "Rufen Sie mich zurück",
        "Wann kommt der Rückruf?",
        "Richiamatemi",
        "¿Cuándo me llaman?",
        "Rappelez-moi",
        "Did you call?",
        "Why did nobody call me back",
        "Ich habe keinen Anruf bekommen",
        "stop texting me",
    ],
)
def test_what_does_not_call_it_off(text: str) -> None:
    assert not wants_no_call(text)
