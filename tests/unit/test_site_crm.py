"""What ``check`` says about the systems that are told about conversations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ivr_engine.crm.schema import document
from ivr_engine.domain.crm import Topic
from ivr_engine.site.check import Problem, Severity, check
from ivr_engine.site.loader import load
from tests.unit.test_site_check import ROOT, Folder

HOOK = """
crm:
  webhooks:
    sales:
      url: {url}
      secret_from: IVR_CRM_SECRET
      network: {network}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def _checked(folder: Folder, text: str, environ: dict[str, str] | None = None) -> list[Problem]:
    (folder.config / "crm.yaml").write_text(text)
    return check(folder.config, folder.prompts, environ=environ)


@pytest.mark.parametrize(
    ("url", "network"),
    [
        ("https://crm.example.com/hooks/calls?tenant=7", "public"),
        ("https://54.1.2.3:8443/", "public"),
        ("https://10.0.0.7/", "private"),
        ("https://crm.intern/", "private"),
        ("http://127.0.0.1:8088/events", "loopback"),
        ("http://[::1]:8088/events", "loopback"),
        ("http://localhost:8088/events", "loopback"),
    ],
)
def test_addresses_that_are_fine(folder: Folder, url: str, network: str) -> None:
    assert _checked(folder, HOOK.format(url=url, network=network)) == []


@pytest.mark.parametrize(
    ("url", "network", "what"),
    [
        ("http://crm.example.com/", "public", "without encryption"),
        ("http://10.0.0.7/", "private", "without encryption"),
        ("https://10.0.0.7/", "public", "no address of the network 'public'"),
        ("https://127.0.0.1/", "private", "no address of the network 'private'"),
        ("https://169.254.169.254/latest", "private", "no address of the network"),
        ("https://[::1]/", "public", "no address of the network"),
        ("http://54.1.2.3/", "loopback", "no address of the network 'loopback'"),
        ("ftp://crm.example.com/", "public", "url"),
        ("https://user:password@crm.example.com/", "public", "url"),
        ("file:///etc/passwd", "public", "url"),
    ],
)
def test_addresses_that_are_not(folder: Folder, url: str, network: str, what: str) -> None:
    [problem] = _checked(folder, HOOK.format(url=url, network=network))
    assert problem.severity is Severity.ERROR
    assert problem.line == 5
    assert what in problem.what


def test_the_name_of_the_built_in_crm_is_taken(folder: Folder) -> None:
    text = HOOK.format(url="https://crm.example.com/", network="public").replace("sales", "built-in")
    [problem] = _checked(folder, text)
    assert "built in" in problem.what


def test_a_missing_secret_is_a_warning_where_the_environment_is_known(folder: Folder) -> None:
    text = HOOK.format(url="https://crm.example.com/", network="public")
    [problem] = _checked(folder, text, {"IVR_CRM_SECRET": " "})
    assert (problem.severity, problem.line) == (Severity.WARNING, 6)
    assert "IVR_CRM_SECRET is not set" in problem.what
    assert _checked(folder, text, {"IVR_CRM_SECRET": "x" * 20}) == []


def test_a_secret_may_lie_in_a_file(folder: Folder, tmp_path: Path) -> None:
    text, file = HOOK.format(url="https://crm.example.com/", network="public"), tmp_path / "secret"
    [problem] = _checked(folder, text, {"IVR_CRM_SECRET_FILE": str(file)})
    assert (problem.severity, "cannot be read" in problem.what) == (Severity.WARNING, True)
    file.write_text("x" * 20 + "\n")
    assert _checked(folder, text, {"IVR_CRM_SECRET_FILE": str(file)}) == []


def test_a_token_of_a_look_up_that_is_missing_is_a_warning_too(folder: Folder) -> None:
    ask = "url: https://crm.example.com/who, token_from: IVR_WHO, then: support, otherwise: support"
    dip = f"        dip: {{{ask}}}\n"
    say = "        play:\n          prompt: order_status\n          then: support\n"
    folder.change("config/flows.yaml", f"      order-status:\n{say}", f"      order-status:\n{dip}")
    found = check(folder.config, folder.prompts, environ={})
    [problem] = [each for each in found if "IVR_WHO" in each.what]
    assert (problem.severity, "is not set: nothing is asked there" in problem.what) == (
        Severity.WARNING,
        True,
    )
    found = check(folder.config, folder.prompts, environ={"IVR_WHO": "x"})
    assert not [each for each in found if "IVR_WHO" in each.what]


def test_everything_is_told_unless_said_otherwise(folder: Folder) -> None:
    (folder.config / "crm.yaml").write_text(HOOK.format(url="https://crm.example.com/", network="public"))
    webhook = load(folder.config).crm.webhooks["sales"]
    assert (webhook.events, webhook.deadline) == (frozenset(Topic), 10.0)


def test_the_schema_for_integrators_is_up_to_date() -> None:
    made = json.dumps(document(), indent=2) + "\n"
    assert (ROOT / "docs" / "crm.schema.json").read_text() == made, (
        "ivr-engine crm schema > docs/crm.schema.json"
    )
