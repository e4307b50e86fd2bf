"""Where this engine lives: folders, addresses and credentials, from the environment.

What the site *says and does* is YAML in the config folder; this is only what differs from machine to
machine. Every variable has a default that fits a checkout on one machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from ivr_engine.errors import ConfigError

LogStyle = Literal["auto", "pretty", "json"]
Transport = Literal["websocket", "http"]

TWILIO_VARIABLES: Final[Mapping[str, str]] = {
    "TWILIO_ACCOUNT_SID": "account SID at Twilio (AC…), needed where the SMS provider is twilio",
    "TWILIO_AUTH_TOKEN": "auth token of that account, needed too: Twilio signs its webhooks with it",
    "TWILIO_API_KEY": "SID of an API key (SK…) to send with instead of the auth token (none)",
    "TWILIO_API_SECRET": "that API key's secret (none)",
    "IVR_TWILIO_URL": "Twilio's API, for another region (https://api.twilio.com)",
}
"""Twilio's own names for its credentials, which its tools use too; read by ``sms.twilio_account``."""

FASTAGI_VARIABLES: Final[Mapping[str, str]] = {
    "IVR_AGI_PORT": "port for AGI() in the dialplan of a PBX, by custom 4573 (none: closed)",
    "IVR_AGI_HOST": "address it listens on (127.0.0.1)",
    "IVR_AGI_ALLOW": "addresses and networks that are heard, separated by commas (127.0.0.0/8,::1)",
    "IVR_AGI_SECRET": "what they bring as key=..., needed beyond this machine (none)",
    "IVR_AGI_SOUNDS": "what that PBX calls the folder of prompts: under its sounds, or a whole path (ivr)",
    "IVR_AGI_AMI_PORT": "port on 127.0.0.1 of that PBX's manager interface (none)",
    "IVR_AGI_AMI_USER": "user in its manager.conf (ivr-engine)",
    "IVR_AGI_AMI_PASSWORD": "that user's secret (none)",
}
"""The lane for callers of another dialplan; read by ``asterisk.agi_settings``."""

VARIABLES: Final[Mapping[str, str]] = {
    "IVR_CONFIG": "folder of the site's YAML (config)",
    "IVR_PROMPTS": "folder of the texts and audio (prompts)",
    "IVR_STATE": "folder of the database, secrets and media (.ivr/state)",
    "IVR_SOUNDS": "folder of rendered prompts that Asterisk reads (<state>/sounds)",
    "IVR_ARI_URL": "Asterisk's REST interface (http://127.0.0.1:8088/ari)",
    "IVR_ARI_USER": "user in ari.conf (ivr)",
    "IVR_ARI_PASSWORD": "its password (<state>/secrets/ari_password)",
    "IVR_ARI_APP": "application name; each engine needs its own (ivr-1)",
    "IVR_ARI_TRANSPORT": "websocket, or http for an Asterisk without REST over its socket (websocket)",
    "IVR_SIP_HOST": "address on which agents' phones reach Asterisk (127.0.0.1)",
    "IVR_SIP_PORT": "its port (5060)",
    "IVR_EXTERNAL_ADDRESS": "what they are told instead, where Asterisk is behind NAT (none)",
    "IVR_TRUNKS": "endpoints of pjsip.conf to watch, separated by commas (none)",
    "IVR_AMI_PORT": "manager interface on 127.0.0.1 that tells their state (5038)",
    "IVR_AMI_USER": "user in manager.conf (ivr)",
    "IVR_AMI_PASSWORD": "its password (<state>/secrets/ami_password)",
    "IVR_HTTP_HOST": "address the API listens on (127.0.0.1)",
    "IVR_HTTP_PORT": "its port (8080)",
    "IVR_DATABASE_URL": (
        "postgresql://user:password@host/name?sslmode=verify-full (SQLite in the state folder)"
    ),
    "IVR_API_TOKEN": "the API's token (<state>/secrets/api_token)",
    "IVR_PRIVACY_KEY": (
        "makes pseudonyms of numbers that were erased, the same for all engines (<state>/secrets/privacy_key)"
    ),
    "IVR_SIMULATOR_URL": "the SMS simulator (http://127.0.0.1:8090)",
    "IVR_SIMULATOR_SECRET": "signs its webhooks (<state>/secrets/simulator_secret)",
    "IVR_PUBLIC_URL": "how the SMS provider reaches this engine (http://HOST:PORT)",
    "IVR_WATCHDOG_LIMIT": "seconds after which a silent engine is given up by the watchdog (30)",
    "IVR_DRAIN_LIMIT": "seconds that a draining engine waits for its last call (3600)",
    "IVR_LOG": "pretty or json (pretty on a terminal)",
    "IVR_LOG_LEVEL": "debug, info, warning or error (info)",
    **FASTAGI_VARIABLES,
    **TWILIO_VARIABLES,
}
"""Every variable the engine reads, with its meaning and default; ``ivr-engine run --help`` shows it."""

SECRETS: Final = (
    "IVR_ARI_PASSWORD",
    "IVR_AMI_PASSWORD",
    "IVR_DATABASE_URL",
    "IVR_API_TOKEN",
    "IVR_PRIVACY_KEY",
    "IVR_SIMULATOR_SECRET",
    "IVR_AGI_SECRET",
    "IVR_AGI_AMI_PASSWORD",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_API_SECRET",
)
"""Those that may lie in a file instead, named by the variable with ``_FILE`` behind its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One value for everything above. Secrets that are ``None`` are made in the state folder."""

    config: Path = Path("config")
    prompts: Path = Path("prompts")
    state: Path = Path(".ivr/state")
    sounds: Path
    ari_url: str = "http://127.0.0.1:8088/ari"
    ari_user: str = "ivr"
    ari_password: str | None = field(default=None, repr=False)
    ari_app: str = "ivr-1"
    ari_transport: Transport = "websocket"
    sip_host: str = "127.0.0.1"
    sip_port: int = 5060
    external_address: str | None = None
    trunks: tuple[str, ...] = ()
    ami_port: int = 5038
    ami_user: str = "ivr"
    ami_password: str | None = field(default=None, repr=False)
    http_host: str = "127.0.0.1"
    http_port: int = 8080
    database_url: str | None = field(default=None, repr=False)
    api_token: str | None = field(default=None, repr=False)
    privacy_key: str | None = field(default=None, repr=False)
    simulator_url: str = "http://127.0.0.1:8090"
    simulator_secret: str | None = field(default=None, repr=False)
    public_url: str
    twilio: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Those of ``TWILIO_VARIABLES`` that are set."""
    fastagi: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Those of ``FASTAGI_VARIABLES`` that are set."""
    watchdog_limit_s: float = 30.0
    drain_limit_s: float = 3600.0
    log: LogStyle = "auto"
    log_level: str = "info"

    @property
    def store_url(self) -> str:
        """The database: the one that is named, or SQLite in the state folder. May hold a password."""
        return self.database_url or f"sqlite:///{(self.state / 'ivr.db').resolve()}"

    @property
    def media(self) -> Path:
        """The folder of callers' pictures and videos."""
        return self.state / "media"

    @property
    def history(self) -> Path:
        """The folder of former configurations."""
        return self.state / "history"

    @property
    def sip_server(self) -> str:
        """``host:port`` for an agent's phone."""
        host = "127.0.0.1" if self.sip_host == "0.0.0.0" else self.sip_host  # noqa: S104
        return f"{self.external_address or host}:{self.sip_port}"

    @property
    def local_url(self) -> str:
        """Where a program on this machine reaches the API."""
        return _local_url(self.http_host, self.http_port)


def from_environ(environ: Mapping[str, str]) -> Settings:
    """Read the variables; an empty one counts as not set. Raises ``ConfigError`` naming the variable."""
    given = {name: value for name in VARIABLES if (value := environ.get(name, "").strip())}
    given |= _from_files(environ)
    state = Path(given.get("IVR_STATE", ".ivr/state"))
    host = given.get("IVR_HTTP_HOST", "127.0.0.1")
    port = _port(given, "IVR_HTTP_PORT", 8080)
    return Settings(
        config=Path(given.get("IVR_CONFIG", "config")),
        prompts=Path(given.get("IVR_PROMPTS", "prompts")),
        state=state,
        sounds=Path(given["IVR_SOUNDS"]) if "IVR_SOUNDS" in given else state / "sounds",
        ari_url=_url(given, "IVR_ARI_URL", "http://127.0.0.1:8088/ari"),
        ari_user=given.get("IVR_ARI_USER", "ivr"),
        ari_password=given.get("IVR_ARI_PASSWORD"),
        ari_app=given.get("IVR_ARI_APP", "ivr-1"),
        ari_transport=cast(
            Transport, _choice(given, "IVR_ARI_TRANSPORT", "websocket", ("websocket", "http"))
        ),
        sip_host=_line(given, "IVR_SIP_HOST", "127.0.0.1"),
        sip_port=_port(given, "IVR_SIP_PORT", 5060),
        external_address=_line(given, "IVR_EXTERNAL_ADDRESS", "") or None,
        trunks=_names(given, "IVR_TRUNKS"),
        ami_port=_port(given, "IVR_AMI_PORT", 5038),
        ami_user=_line(given, "IVR_AMI_USER", "ivr"),
        ami_password=_line(given, "IVR_AMI_PASSWORD", "") or None,
        http_host=host,
        http_port=port,
        database_url=given.get("IVR_DATABASE_URL"),
        api_token=given.get("IVR_API_TOKEN"),
        privacy_key=given.get("IVR_PRIVACY_KEY"),
        simulator_url=_url(given, "IVR_SIMULATOR_URL", "http://127.0.0.1:8090"),
        simulator_secret=given.get("IVR_SIMULATOR_SECRET"),
        public_url=_url(given, "IVR_PUBLIC_URL", _local_url(host, port)),
        twilio={name: given[name] for name in TWILIO_VARIABLES if name in given},
        fastagi={name: given[name] for name in FASTAGI_VARIABLES if name in given},
        watchdog_limit_s=_seconds(given, "IVR_WATCHDOG_LIMIT", 30.0),
        drain_limit_s=_seconds(given, "IVR_DRAIN_LIMIT", 3600.0),
        log=cast(LogStyle, _choice(given, "IVR_LOG", "auto", ("auto", "pretty", "json"))),
        log_level=_choice(given, "IVR_LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
    )


def secret_named(environ: Mapping[str, str], variable: str) -> str:
    """What ``variable`` holds, or the file that ``variable`` with ``_FILE`` behind names; empty: neither.
    Raises ``ConfigError`` for a file that cannot be read."""
    told = environ.get(variable, "").strip()
    file = environ.get(f"{variable}_FILE", "").strip()
    return told or (_content(f"{variable}_FILE", Path(file)) if file else "")


class NamedSecrets(Mapping[str, str]):
    """The secrets of variables that the site names. A file is read once, when it is asked for first; one that
    cannot be read counts as not set (``check`` says why)."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._read: dict[str, str] = {}

    def __getitem__(self, variable: str) -> str:
        if variable not in self._read:
            try:
                self._read[variable] = secret_named(self._environ, variable)
            except ConfigError:
                raise KeyError(variable) from None
        return self._read[variable]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def _from_files(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: secret for name in SECRETS if (secret := secret_named(environ, name))}


def _reason(error: OSError | UnicodeError) -> str:
    return (isinstance(error, OSError) and error.strerror) or "it is not UTF-8"


def _content(variable: str, file: Path) -> str:
    try:
        content = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            variable, None, f"{file} cannot be read: {_reason(error)}", "let this user read it"
        ) from error
    if not content:
        raise ConfigError(variable, None, f"{file} is empty", "write the secret into it")
    return content


def _local_url(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if len(text) > 5 or not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536:
        raise ConfigError(name, None, f"{text!r} is no port", "use a number from 1 to 65535")
    return int(text)


def _names(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    names = dict.fromkeys(one for text in given.get(name, "").split(",") if (one := text.strip()))
    for one in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,78}", one):
            raise ConfigError(name, None, f"{one!r} is not the name of an endpoint", "name one of pjsip.conf")
    return tuple(names)


def _line(given: Mapping[str, str], name: str, default: str) -> str:
    text = given.get(name, default)
    if not text.isprintable():
        raise ConfigError(name, None, "holds a control character", "write it in one line")
    return text


def _seconds(given: Mapping[str, str], name: str, default: float) -> float:
    text = given.get(name, str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= 86_400:
        raise ConfigError(name, None, f"{text!r} is no time", "write seconds, from 1 to 86400")
    return seconds


def _url(given: Mapping[str, str], name: str, default: str) -> str:
    url = given.get(name, default).rstrip("/")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ConfigError(name, None, "is not an http address", f"write it like {default}")
    return url


def _choice(given: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    value = given.get(name, default).lower()
    if value not in choices:
        raise ConfigError(name, None, f"{value!r} is not known", f"use one of {', '.join(choices)}")
    return value
