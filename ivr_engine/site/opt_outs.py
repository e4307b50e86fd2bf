"""What people are answered who want no more texts, or some again, and how long things are kept."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from ivr_engine.site.values import Label, Language, Settings, SmsText

Days = Annotated[int, Field(ge=1, le=36_500)]


class Answer(StrEnum):
    """The settings that hold a text, by name."""

    CONFIRMATION = "confirmation"
    HELP = "help"
    START = "start"
    NO_CALLBACK = "no_callback"


SHIPPED: Final[Mapping[Answer, Mapping[str, str]]] = {
    Answer.CONFIRMATION: {
        "en": "{brand}: You are unsubscribed and get no more messages from us. "
        "Reply START to get them again.",
        "de": "{brand}: Sie sind abgemeldet und erhalten keine SMS mehr von uns. Mit START melden Sie sich "
        "wieder an.",
        "it": "{brand}: Iscrizione annullata: non le invieremo altri SMS. "
        "Risponda START per riceverli di nuovo.",
        "es": "{brand}: Le hemos dado de baja y no le enviaremos otros SMS. "
        "Responda START para recibirlos de nuevo.",
        "fr": "{brand}: C'est noté: vous ne recevrez plus de SMS de notre part. Pour en recevoir à nouveau, "
        "répondez START.",
    },
    Answer.HELP: {
        "en": "{brand}: Texts about your calls to us. Contact: {contact}. Message rates apply. "
        "Reply STOP to get no more.",
        "de": "{brand}: SMS zu Ihren Anrufen bei uns. Kontakt: {contact}. Es gelten Ihre Netzpreise. "
        "Abmelden: STOPP",
        "it": "{brand}: SMS sulle sue chiamate a noi. Contatto: {contact}. Valgono le tariffe di rete. "
        "Per annullare: STOP",
        "es": "{brand}: SMS sobre sus llamadas. Contacto: {contact}. Se aplican las tarifas de su operador. "
        "Para darse de baja: STOP",
        "fr": "{brand}: SMS au sujet de vos appels. Contact: {contact}. Tarif de votre opérateur. "
        "Pour ne plus en recevoir: STOP",
    },
    Answer.START: {
        "en": "{brand}: You get our messages again. Reply STOP to end them, HELP for help.",
        "de": "{brand}: Sie erhalten wieder SMS von uns. Abmelden: STOPP. Hilfe: HILFE",
        "it": "{brand}: Riceve di nuovo i nostri SMS. Per annullare: STOP. Aiuto: AIUTO",
        "es": "{brand}: Vuelve a recibir nuestros SMS. Para darse de baja: STOP. Ayuda: AYUDA",
        "fr": "{brand}: Vous recevez à nouveau nos SMS. Pour ne plus en recevoir: STOP. Aide: AIDE",
    },
    Answer.NO_CALLBACK: {
        "en": "{brand}: We will not call you back. If you need us, please call again.",
        "de": "{brand}: Wir rufen Sie nicht zurück. Wenn Sie uns brauchen, rufen Sie bitte wieder an.",
        "it": "{brand}: Non la richiameremo. Se ha bisogno di noi, chiami di nuovo.",
        "es": "{brand}: No le llamaremos. Si nos necesita, llame de nuevo.",
        "fr": "{brand}: Nous ne vous rappellerons pas. Si besoin, rappelez-nous.",
    },
}
_FALLBACK: Final = "en"


class OptOutSettings(Settings):
    """What is written to people who opt out, ask for help, opt in again, or call a callback off. Texts in
    English, German, Italian, Spanish and French are built in; what stands here takes their place."""

    contact: Label | None = None
    """How people reach somebody: a number, an address. Written {contact} in texts; not given: the number they
    wrote to."""
    confirmation: dict[Language, SmsText] = Field(default_factory=dict)
    """The one message that confirms an opt-out, per language."""
    help: dict[Language, SmsText] = Field(default_factory=dict)
    """What HELP is answered: who writes, how to reach somebody, how to stop."""
    start: dict[Language, SmsText] = Field(default_factory=dict)
    """What is answered to who wants texts again."""
    no_callback: dict[Language, SmsText] = Field(default_factory=dict)
    """What is answered to who does not want to be called back any more."""

    def written(self, answer: Answer) -> Mapping[str, str]:
        texts: Mapping[str, str] = getattr(self, answer.value)
        return texts

    def text(self, answer: Answer, language: str, default_language: str) -> str:
        """In that language, else in the default one, else in English; placeholders not filled in."""
        texts = {**SHIPPED[answer], **self.written(answer)}
        ways = (*_forms(language), *_forms(default_language), _FALLBACK)
        return next(texts[way] for way in ways if way in texts)

    def has(self, answer: Answer, language: str) -> bool:
        """Of that language, or of the one it is a variety of (``de`` for ``de-AT``)."""
        return any(way in self.written(answer) or way in SHIPPED[answer] for way in _forms(language))


def _forms(language: str) -> tuple[str, str]:
    return language, language.partition("-")[0]


class Retention(Settings):
    """How many days things are kept. They are deleted little by little, every hour; not given: never. What is
    known of one number is deleted with `ivr-engine erasures ask`."""

    messages: Days | None = 365
    """Texts in and out, also where tickets have them."""
    media: Days | None = 365
    """Pictures, videos and voicemails: not longer than messages and calls. Recordings of talks have limits of
    their own (`recordings`)."""
    calls: Days | None = 365
    """Calls with what happened in them, and tickets."""
    consents: Days | None = 1825
    """Proofs of consent, counted from the day they were given. Opt-outs are kept for ever."""
