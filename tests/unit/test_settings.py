"""Settings come from the environment, and a mistake there is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ivr_engine.errors import ConfigError
from ivr_engine.settings import (
    FASTAGI_VARIABLES,
    SECRETS,
    TWILIO_VARIABLES,
    VARIABLES,
    NamedSecrets,
    from_environ,
)

PROJECT = Path(__file__).parents[2]


def test_an_empty_environment_is_a_checkout_on_one_machine() -> None:
    here = from_environ({})
    assert (here.http_host, here.http_port, here.sip_server) == ("127.0.0.1", 8080, "127.0.0.1:5060")
    assert here.sounds == here.state / "sounds"
    assert here.public_url == here.local_url == "http://127.0.0.1:8080"
    assert here.api_token is None


def test_every_variable_is_read() -> None:
    values = {name: f"value-of-{name}" for name in VARIABLES}
    values |= {
        name: f"http://{name.lower().replace('_', '-')}:1/" for name in VARIABLES if name.endswith("_URL")
    }
    values |= {"IVR_HTTP_PORT": "81", "IVR_SIP_PORT": "82", "IVR_LOG": "JSON", "IVR_LOG_LEVEL": "debug"}
    values |= {"IVR_WATCHDOG_LIMIT": "12.5", "IVR_DRAIN_LIMIT": "60", "IVR_ARI_TRANSPORT": "http"}
    values |= {"IVR_TRUNKS": " sipgate,pbx, sipgate,", "IVR_AMI_PORT": "83"}
    here = from_environ(values)
    assert here.state == Path("value-of-IVR_STATE")
    assert (here.http_port, here.sip_port, here.log, here.log_level) == (81, 82, "json", "debug")
    assert (here.ari_url, here.watchdog_limit_s) == ("http://ivr-ari-url:1", 12.5)
    assert here.drain_limit_s == 60
    assert (here.trunks, here.ami_port) == (("sipgate", "pbx"), 83)
    shown = repr(here)
    assert here.fastagi == {name: values[name] for name in FASTAGI_VARIABLES}
    assert here.twilio == {name: values[name] for name in TWILIO_VARIABLES}
    secrets = ("TWILIO_AUTH_TOKEN", "TWILIO_API_SECRET")
    for name in ("IVR_API_TOKEN", "IVR_ARI_PASSWORD", "IVR_AMI_PASSWORD", "IVR_SIMULATOR_SECRET", *secrets):
        assert f"value-of-{name}" not in shown


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    files = {name: tmp_path / name.lower() for name in SECRETS}
    for name, file in files.items():
        file.write_text(f"secret-of-{name}\n")
    here = from_environ({f"{name}_FILE": str(file) for name, file in files.items()})
    assert (here.ari_password, here.api_token) == ("secret-of-IVR_ARI_PASSWORD", "secret-of-IVR_API_TOKEN")
    assert here.store_url == "secret-of-IVR_DATABASE_URL"
    assert here.twilio["TWILIO_AUTH_TOKEN"] == "secret-of-TWILIO_AUTH_TOKEN"
    both = {"IVR_API_TOKEN": "told", "IVR_API_TOKEN_FILE": str(files["IVR_API_TOKEN"])}
    assert from_environ(both).api_token == "told"


def test_secrets_that_the_site_names_may_lie_in_files_too(tmp_path: Path) -> None:
    (tmp_path / "crm").write_text("in the file\n")
    environ = {"A": "told", "B_FILE": str(tmp_path / "crm"), "C_FILE": str(tmp_path / "none"), "D": " "}
    named = NamedSecrets(environ)
    assert [named.get(variable, "") for variable in "ABCDE"] == ["told", "in the file", "", "", ""]
    (tmp_path / "crm").unlink()
    assert named["B"] == "in the file", "read once"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_a_secret_whose_file_holds_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match="IVR_API_TOKEN_FILE"):
        from_environ({"IVR_API_TOKEN_FILE": str(tmp_path / "token")})


def test_agents_phones_are_told_where_asterisk_listens() -> None:
    assert from_environ({"IVR_SIP_HOST": "192.0.2.1"}).sip_server == "192.0.2.1:5060"
    assert from_environ({"IVR_SIP_HOST": "0.0.0.0"}).sip_server == "127.0.0.1:5060"
    behind = {"IVR_SIP_HOST": "192.0.2.1", "IVR_EXTERNAL_ADDRESS": "sip.example.org", "IVR_SIP_PORT": "5070"}
    assert from_environ(behind).sip_server == "sip.example.org:5070"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IVR_HTTP_PORT", "0"),
        ("IVR_HTTP_PORT", "65536"),
        ("IVR_SIP_PORT", "-1"),
        ("IVR_HTTP_PORT", "٣"),
        ("IVR_HTTP_PORT", "9" * 5000),
        ("IVR_ARI_URL", "127.0.0.1:8088"),
        ("IVR_PUBLIC_URL", "ftp://x"),
        ("IVR_SIMULATOR_URL", "http://x:y"),
        ("IVR_WATCHDOG_LIMIT", "nan"),
        ("IVR_WATCHDOG_LIMIT", "soon"),
        ("IVR_TRUNKS", "sipgate pbx"),
        ("IVR_TRUNKS", "x\r\nAction: Originate"),
        ("IVR_AMI_USER", "x\r\nAction: Originate"),
        ("IVR_AMI_PASSWORD", "x\r\nAction: Originate"),
        ("IVR_LOG", "xml"),
        ("IVR_LOG_LEVEL", "loud"),
    ],
)
def test_a_mistake_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        from_environ({name: value})


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8080"), ("::", "http://[::1]:8080"), ("::1", "http://[::1]:8080")],
)
def test_a_command_reaches_an_engine_that_listens_everywhere(host: str, url: str) -> None:
    assert from_environ({"IVR_HTTP_HOST": host}).local_url == url


def test_the_page_of_settings_names_every_variable_with_its_meaning_and_default() -> None:
    engine, _, asterisk = (PROJECT / "docs" / "settings.md").read_text().partition("\n## Asterisk\n")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", engine, re.M)
    assert dict(VARIABLES) == {
        name: f"{meaning} ({default})" if default else meaning for name, meaning, default in rows
    }
    read = re.findall(r'"(IVR_\w+)"', (PROJECT / "dialplan" / "configure.py").read_text())
    assert {*read} == {*re.findall(r"`(IVR_\w+)`", "".join(re.findall(r"^\| `.*? \|", asterisk, re.M)))}
