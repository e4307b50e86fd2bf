"""What the scripts promise without Asterisk: files, ports, sentences, children that are kept."""

from __future__ import annotations

import grp
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis.configuration import storage_directory

from dialplan import configure
from dialplan.configure import Network, Settings, Unusable, from_environ, render
from scripts.stack import checks, child, prism, system
from scripts.stack.child import Child
from scripts.stack.errors import StackError
from scripts.stack.ports import LOOPBACK, RTP_PORTS, Ports, free, usable

PORTS = Ports(sip=15060, http=18088, rtp_start=20000, rtp_end=20999)


def settings() -> Settings:
    return Settings(ports=PORTS, ari_password="hush")


def test_every_template_is_filled_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    render(settings(), tmp_path / "etc")
    files = list((tmp_path / "etc").rglob("*.conf"))
    assert (tmp_path / "etc/trunks").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert not [file for file in files if "@{" in file.read_text()]
    assert "password = hush" in (tmp_path / "etc/ari.conf").read_text()
    assert "bind = 127.0.0.1:15060" in (tmp_path / "etc/pjsip.conf").read_text()


def test_a_template_with_an_unknown_name_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pjsip.conf").write_text("bind = @{nonsense}")
    monkeypatch.setattr(configure, "TEMPLATES", tmp_path)
    with pytest.raises(Unusable, match=r"pjsip\.conf: there is no value for @\{nonsense\}"):
        render(settings(), tmp_path / "etc")


def test_beyond_this_machine_asterisk_listens_only_when_told(tmp_path: Path) -> None:
    def pjsip(network: Network) -> str:
        render(Settings(ari_password="hush", network=network), tmp_path / "etc")
        return (tmp_path / "etc/pjsip.conf").read_text()

    for file in (tmp_path / "etc").rglob("*.conf"):
        assert "0.0.0.0:" not in file.read_text()
    assert "external_media_address = \nlocal_net = \n" in pjsip(Network())
    told = pjsip(Network(sip_host="0.0.0.0", external_address="203.0.113.7", callers=("192.0.2.0/24",)))
    assert "bind = 0.0.0.0:5060\n" in told
    assert "\nmedia_address = \n" in told
    assert "match = 192.0.2.0/24\n" in told
    assert "external_signaling_address = 203.0.113.7\nexternal_media_address = 203.0.113.7\n" in told
    assert "local_net = 10.0.0.0/8,172.16.0.0/12,192.168.0.0/16\n" in told
    assert "bindaddr = 127.0.0.1\n" in (tmp_path / "etc/http.conf").read_text()


def test_an_asterisk_of_ones_own_is_set_by_the_environment(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("hush\n")
    given = {"IVR_ARI_PASSWORD_FILE": str(password), "IVR_SIP_PORT": "5070", "IVR_RTP_PORTS": "30000-30099"}
    network = {"IVR_SIP_HOST": "192.0.2.1", "IVR_CALLERS": "192.0.2.7, 198.51.100.0/24", "IVR_ARI_HOST": " "}
    here = from_environ(given | network)
    assert (here.ari_password, here.ports.sip, here.ports.rtp_end) == ("hush", 5070, 30099)
    assert here.network == Network(sip_host="192.0.2.1", callers=("192.0.2.7", "198.51.100.0/24"))
    group = grp.getgrgid(os.getgid()).gr_name
    environ = {"PATH": os.environ["PATH"], **given, **network}
    script = [sys.executable, "-I", configure.TEMPLATES / "configure.py", tmp_path / "etc", group]
    subprocess.run(script, env=environ, check=True)
    assert "astetcdir => /etc/asterisk" in (tmp_path / "etc/asterisk.conf").read_text()
    assert (tmp_path / "etc/ari.conf").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "etc/trunks").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IVR_SIP_HOST", "localhost"),
        ("IVR_SIP_HOST", "1.2.3.4\nbind=0.0.0.0"),
        ("IVR_ARI_HOST", "::"),
        ("IVR_SIP_PORT", "0"),
        ("IVR_SIP_PORT", "٣"),
        ("IVR_RTP_PORTS", "20000"),
        ("IVR_CALLERS", "0.0.0.0/0"),
        ("IVR_CALLERS", "192.0.2.7/24"),
        ("IVR_LOCAL_NETS", "home"),
        ("IVR_EXTERNAL_ADDRESS", "a b"),
        ("IVR_FALLBACK_LIMIT", "-1"),
        ("IVR_ARI_PASSWORD", "with;comment"),
        ("IVR_ARI_PASSWORD", "two\nlines"),
        ("IVR_ARI_PASSWORD", ""),
    ],
)
def test_what_asterisk_cannot_be_set_to_is_named(name: str, value: str) -> None:
    with pytest.raises(Unusable, match=name):
        from_environ({"IVR_ARI_PASSWORD": "hush", name: value})


def test_dialplan_never_evaluates_what_a_caller_sent() -> None:
    """Expressions ($[...]) hold numbers and words of Asterisk's and our own only, and nothing that can dial
    is loaded."""
    dialplan = (configure.TEMPLATES / "extensions.conf").read_text()
    lines = [line for line in dialplan.splitlines() if not line.startswith(";")]
    evaluated = [part.split("]")[0] for line in lines for part in line.split("$[")[1:]]
    assert evaluated == [
        '"${CALLERID(num-pres):0:6}" = "prohib"',
        "${EPOCH} < 0${IVR_FALLBACK_SAID}",
        "${EPOCH} + ${IVR_FALLBACK_LIMIT}",
        "${EPOCH} + 10",
        "${EPOCH} < ${IVR_FALLBACK_UNTIL}",
    ]
    modules = (configure.TEMPLATES / "modules.conf").read_text()
    for dangerous in ("app_dial", "app_system", "app_originate", "func_shell", "func_env", "pbx_spool"):
        assert f"load = {dangerous}" not in modules


def test_free_ports_are_free_and_a_taken_one_is_named() -> None:
    ports = Ports.free()
    assert ports.rtp_end - ports.rtp_start == RTP_PORTS - 1
    ports.check()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, ports.sip))
        with pytest.raises(StackError, match=f"UDP port {ports.sip} .* IVR_SIP_PORT"):
            ports.check()


def test_a_port_is_given_to_one_process_alone() -> None:
    """Until it is bound, which takes an Asterisk a second, nobody would know."""
    given = [free(socket.SOCK_DGRAM) for _ in range(20)]
    assert len(set(given)) == 20
    assert all(usable(port, socket.SOCK_DGRAM) for port in given)
    sip = Ports.free().sip
    given += [sip, sip + 1]  # for TLS
    assert len(set(given)) == 22
    asked = (
        "from scripts.stack.ports import free, socket; print([free(socket.SOCK_DGRAM) for _ in range(500)])"
    )
    other = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert not set(given) & set(json.loads(other.stdout))


def test_what_failed_is_one_sentence_and_its_last_words(tmp_path: Path) -> None:
    script = "echo much; echo 'E: Unable to fetch'; echo more; exit 3"
    with pytest.raises(StackError) as failed:
        system.run(["sh", "-c", script], log=tmp_path / "log", what="Fetching")
    assert str(failed.value).startswith("Fetching failed; the whole output is in")
    assert str(failed.value).endswith(" Its last words:\n    E: Unable to fetch")


def test_without_root_or_sudo_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(system, "SBIN", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="needs root"):
        system.become_root()
    with pytest.raises(StackError, match="needs root"):
        system.as_root(["true"])


def test_an_unknown_part_is_named_before_anything_is_set_up() -> None:
    with pytest.raises(StackError, match="no part 'untold'; the parts are lint, unit"):
        checks.main(["unit", "untold"])


def test_a_child_that_ends_is_started_again_and_ends_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "WAIT_FIRST_S", 0.01)
    monkeypatch.setattr(child, "WAIT_MOST_S", 0.02)
    one = Child("--help", dict(os.environ), wait_s=0.01)
    monkeypatch.setattr(child.venv, "PYTHON", Path(sys.executable))
    one.start()
    first = one.process
    deadline = time.monotonic() + 30
    while one.process is first:
        assert time.monotonic() < deadline
        one.keep()
        time.sleep(0.01)  # as the service does between two looks
    assert one.process is not None
    one.process.send_signal(signal.SIGKILL)
    one.process.wait()
    one.stop()
    assert child.how(one.process.returncode) == "signal SIGKILL"


def test_the_scripts_are_plain_shell() -> None:
    for script in ("scripts/run", "scripts/test", "scripts/stack/python.sh", ".ci/run"):
        subprocess.run(["sh", "-n", system.PROJECT / script], check=True)


def test_prism_is_not_asked_for_without_a_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IVR_TWILIO_OPENAPI", str(tmp_path / "none.json"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    prism.ensure()
    assert not (tmp_path / "cache").exists()
    assert capsys.readouterr().err == ""


def test_without_npm_the_checks_go_on_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    description = tmp_path / "twilio.json"
    description.write_text("{}")
    monkeypatch.setenv("IVR_TWILIO_OPENAPI", str(description))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("IVR_PRISM", raising=False)
    monkeypatch.setattr(system, "SBIN", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    prism.ensure()
    assert prism.command() is None
    assert "npm is missing" in capsys.readouterr().err


def test_an_npm_that_fails_leaves_nothing_half_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    description = tmp_path / "twilio.json"
    description.write_text("{}")
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\nmkdir -p "$3/node_modules/.bin"\necho "npm error code E1"\nexit 1\n')
    npm.chmod(0o755)
    monkeypatch.setenv("IVR_TWILIO_OPENAPI", str(description))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("IVR_PRISM", raising=False)
    monkeypatch.setattr(prism, "GENERATED", tmp_path / "generated")
    prism.ensure()
    assert "npm error code E1" in capsys.readouterr().err
    assert list((tmp_path / "cache" / "ivr-engine").iterdir()) == []


def test_what_tools_remember_lies_in_the_folder_of_all_that_is_made() -> None:
    tools = tomllib.loads((system.PROJECT / "pyproject.toml").read_text())["tool"]
    places = (
        system.PROJECT / tools["ruff"]["cache-dir"],
        system.PROJECT / tools["pytest"]["ini_options"]["cache_dir"],
        storage_directory("examples").path,
    )
    assert all(place.is_relative_to(system.GENERATED) for place in places), places
