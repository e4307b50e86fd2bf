"""The images are built without a container engine, and run as ``docker/compose.yaml`` says: as users without
rights, on a root that cannot be written, with a call through both."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dialplan.configure import Network, Ports, from_environ
from ivr_engine import settings
from scripts.stack import images
from scripts.stack.errors import StackError
from scripts.stack.system import PROJECT, as_root, environment, which
from tests.images import compose
from tests.images.compose import Pod, container, health_of, settings_of
from tests.postgresql import Server

IMAGES = {"asterisk": "asterisk", "engine": "engine", "watchdog": "engine", "simulator": "engine"}
"""The Dockerfile of each service that is ours."""
LARGEST = {"asterisk": 200_000_000, "engine": 400_000_000}
NOT_NEEDED = (
    *("usr/bin/gcc", "usr/bin/git", "usr/bin/pip*", "opt/ivr-engine/bin/pip*", "src", "tests"),
    *("var/lib/apt/lists/*Packages*", "var/cache/apt/archives/*.deb", "dialplan/trunks/my-*"),
)
HERE, CALLER, STRANGER = "192.0.2.10", "192.0.2.20", "198.51.100.1"
NUMBER = "+4915112345678"
PASSWORD = "hush-hush"
HEALTHY_S = 120.0
RTP = range(Ports().rtp_start, Ports().rtp_end + 1)
KERNELS = 32_768
"""From here on the kernel chooses ports by itself."""
CONSENT_S = 60.0
"""The scenario presses 1 ten seconds after the answer."""


def _may_be_root() -> bool:
    try:
        return subprocess.run(as_root(["true"]), capture_output=True, check=False).returncode == 0
    except StackError:
        return False


needs_buildah = pytest.mark.skipif(
    which("buildah") is None or not _may_be_root(),
    reason="needs buildah, and root or sudo without a question",
)


@pytest.fixture(scope="module")
def built() -> Iterator[dict[str, str]]:
    """The images by the name of their Dockerfile."""
    names = sorted(set(IMAGES.values()))
    yield dict(zip(names, images.build(*names), strict=True))
    images.release()


@pytest.fixture(scope="module")
def pod(built: dict[str, str], postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """All services, Asterisk on an address of the outside world; PostgreSQL is the machine's own."""
    folder = tmp_path_factory.mktemp("pod")
    folder.chmod(0o755)
    _secrets(folder, postgresql)
    site = compose.load({"IVR_SIP_HOST": HERE, "IVR_CALLERS": f"{CALLER}/32"})
    with ExitStack() as stack:
        roots = {name: stack.enter_context(images.unpacked(built[IMAGES[name]])) for name in IMAGES}
        containers = {name: container(name, site, built[IMAGES[name]], roots[name], folder) for name in roots}
        containers["engine"]["volumes"]["/run/postgresql"] = (str(postgresql.folder), "rw")
        pod = stack.enter_context(Pod(containers, (HERE, CALLER, STRANGER)))
        pod.start("asterisk")
        pod.healthy("asterisk", health_of(built["asterisk"]), HEALTHY_S)
        pod.start("simulator", "watchdog", "engine")
        pod.healthy("engine", health_of(built["engine"]), HEALTHY_S)
        yield pod
        subprocess.run(as_root(["chown", "-R", str(os.getuid()), str(folder)]), check=True)


def _secrets(folder: Path, postgresql: Server) -> None:
    """As the script makes them; the database is another than in ``compose.yaml``, on a socket as there."""
    shutil.copy(compose.FILE.with_name("make-secrets"), folder)
    subprocess.run([folder / "make-secrets"], check=True)
    before = {file: file.read_text() for file in (folder / "secrets").iterdir()}
    subprocess.run([folder / "make-secrets"], check=True)
    assert before == {file: file.read_text() for file in (folder / "secrets").iterdir()}
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o700
    assert len(set(before.values())) == len(before) == 6
    postgresql.execute(
        f"CREATE ROLE ivr LOGIN PASSWORD '{before[folder / 'secrets/database_password'].strip()}'"
    )
    postgresql.execute("CREATE DATABASE ivr OWNER ivr")
    subprocess.run(as_root(["chmod", "755", str(postgresql.folder)]), check=True)


def test_without_settings_nothing_is_reached_from_outside() -> None:
    services = compose.load({})["services"]
    asterisk = from_environ({**settings_of(services["asterisk"]), "IVR_ARI_PASSWORD": PASSWORD})
    assert (asterisk.network, asterisk.ports) == (Network(), Ports())
    files = {f"{name}_FILE": "/dev/null" for name in settings.SECRETS}
    given = {name: value for name, value in settings_of(services["engine"]).items() if name not in files}
    assert settings.from_environ(given).http_host == "127.0.0.1"
    assert services["database"]["network_mode"] == "none"


def test_the_file_holds_no_secret_and_knows_every_setting() -> None:
    text = compose.FILE.read_text()
    assert not re.search(r"(PASSWORD|TOKEN|SECRET): (?!\$\{)", text)
    read = re.findall(r'"(IVR_\w+)"', (PROJECT / "dialplan" / "configure.py").read_text())
    known = {*settings.VARIABLES, *read, *(f"{name}_FILE" for name in settings.SECRETS)}
    for service in compose.load({})["services"].values():
        assert {name for name in settings_of(service) if name.startswith(("IVR_", "TWILIO_"))} <= known


def test_what_is_set_reaches_the_engine() -> None:
    """But what both containers agree on without anybody, and where things lie in the image."""
    here = {"IVR_CONFIG", "IVR_PROMPTS", "IVR_STATE", "IVR_SOUNDS", "IVR_LOG", "IVR_SIMULATOR_URL"}
    agreed = {"IVR_ARI_USER", "IVR_AMI_USER", "IVR_AMI_PORT"}
    given = settings_of(compose.load({})["services"]["engine"])
    handed = {name.removesuffix("_FILE") for name in given}
    assert settings.VARIABLES.keys() - handed == here | agreed
    set_by_all = {name: "mine" for name in given if not name.endswith("_FILE")}
    reached = settings_of(compose.load(set_by_all)["services"]["engine"])
    assert {name: reached[name] for name in set_by_all} == set_by_all


@pytest.mark.skipif(which("docker-compose") is None, reason="needs docker-compose")
def test_the_file_is_what_docker_compose_understands(tmp_path: Path) -> None:
    checked = ["docker-compose", "-f", str(compose.FILE), "config", "--quiet"]
    done = subprocess.run(
        checked, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@needs_buildah
@pytest.mark.parametrize("service", IMAGES)
def test_file_and_image_agree(built: dict[str, str], service: str) -> None:
    told, image = compose.load({})["services"][service], images.settings(built[IMAGES[service]])
    assert told["user"] == image["User"]
    assert not image["User"].startswith("0")
    assert told["cap_drop"] == ["ALL"]
    assert told["read_only"]
    mounted = {*told["tmpfs"], *(volume.split(":")[1] for volume in told["volumes"])}
    # The watchdog and the simulator speak no prompts.
    assert {*image["Volumes"]} - ({"/sounds"} if service in ("watchdog", "simulator") else set()) <= {
        one.split(":")[0] for one in mounted
    }
    for option in told["tmpfs"]:
        assert "uid=" not in option or f"uid={told['user'].split(':')[0]}" in option
    ports = {"asterisk": f"{Ports().sip}/udp"}.get(service, f"{settings.from_environ({}).http_port}/tcp")
    assert {*image["ExposedPorts"]} == {ports}
    assert "Test" in image["Healthcheck"]
    assert told.get("healthcheck") == ({"disable": True} if service in ("watchdog", "simulator") else None)


@needs_buildah
@pytest.mark.parametrize("name", LARGEST)
def test_it_is_small_and_holds_no_tools_to_build_with(built: dict[str, str], name: str) -> None:
    with images.unpacked(built[name]) as root:
        assert images.size(root) < LARGEST[name]
        assert not images.holds(root, *NOT_NEEDED)


@needs_buildah
@pytest.mark.parametrize("service", IMAGES)
def test_it_has_no_rights_and_writes_nowhere_else(pod: Pod, service: str) -> None:
    told = pod.containers[service]
    _, status = pod.run(service, "cat", "/proc/self/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {*facts["Uid"].split()} == {str(told["uid"])}
    assert facts["CapEff"] == facts["CapBnd"] == "0" * 16
    assert facts["NoNewPrivs"] == "1"
    _, mounts = pod.run(service, "cat", "/proc/mounts")
    writable = {line.split()[1] for line in mounts.splitlines() if line.split()[3].split(",")[0] == "rw"}
    volumes = {target for target, (_, mode) in told["volumes"].items() if mode == "rw"}
    assert {place for place in writable if not place.startswith(("/proc", "/dev"))} == {
        *told["tmpfs"],
        *volumes,
    }
    for place in ("/written", "/usr/written", "/etc/written", "/opt/written"):
        code, said = pod.run(service, "sh", "-c", f"echo > {place}")
        assert code
        assert "Read-only file system" in said


@needs_buildah
def test_a_call_through_both(pod: Pod, tmp_path: Path) -> None:
    before = len(_complaints(pod, "engine"))
    scenario = PROJECT / "tests/sipp/scenarios/press-1.xml"
    numbers = tmp_path / "numbers.csv"
    numbers.write_text(f"SEQUENTIAL\n{NUMBER}\n")
    call = ["sipp", "-sf", str(scenario), "-inf", str(numbers), "-s", "700", "-m", "1", "-nostdin"]
    pod.begin(tmp_path / "sipp.log", *call, "-i", CALLER, "-mi", CALLER, f"{HERE}:5060")
    deadline = time.monotonic() + CONSENT_S
    while not (calls := _json(pod, "calls")) or calls[0]["wait_time_sms_status"] != "allowed":
        assert time.monotonic() < deadline, f"{calls}\n{(tmp_path / 'sipp.log').read_text()[-2000:]}"
        time.sleep(0.5)
    assert calls[0]["state"] == "waiting"
    _listens_where_told(pod)
    # Consent led to a text, which the simulator has.
    while not (texts := _json(pod, "handset", "read", NUMBER)):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert len(texts) == 1
    assert not _complaints(pod, "engine")[before:]


def _json(pod: Pod, *command: str) -> list[dict[str, Any]]:
    code, said = pod.run("engine", "ivr-engine", *command, "--json")
    assert code == 0, said
    told: dict[str, list[dict[str, Any]]] = json.loads(said)
    return told["items"]


def _listens_where_told(pod: Pod) -> None:
    """Asterisk's SIP and sound on the address it was told, and nothing else beyond this machine.

    PJSIP asks name servers from two sockets whose ports the kernel chooses.
    """
    lines = [line.split() for line in pod.outside("ss", "-Hltunp").splitlines() if '"sipp"' not in line]
    places = [(kind, *line[3].rpartition(":")[::2], line[-1]) for kind, *line in lines]
    beyond = {(kind, host, int(port)) for kind, host, port, _ in places if host != "127.0.0.1"}
    asking = {
        ("udp", host, port) for _, host, port in beyond if host in ("0.0.0.0", "[::]") and port >= KERNELS
    }
    assert len(asking) <= 2
    assert ("udp", HERE, Ports().sip) in beyond
    assert beyond - asking <= {("udp", HERE, port) for port in (Ports().sip, *RTP)}, places


def _complaints(pod: Pod, name: str) -> list[str]:
    lines = Path(pod.containers[name]["log"]).read_text().splitlines()
    return [line for line in lines if '"level":"error"' in line.replace(" ", "") or "Traceback" in line]


@needs_buildah
def test_who_is_not_named_gets_nothing(pod: Pod, tmp_path: Path) -> None:
    scenario = PROJECT / "tests/sipp/scenarios/wait.xml"
    call = (
        f"sipp -sf {scenario} -inf {tmp_path}/n.csv -s 700 -m 1 -nostdin -timeout 5 -i {STRANGER} {HERE}:5060"
    )
    (tmp_path / "n.csv").write_text(f"SEQUENTIAL\n{NUMBER}\n")
    said = pod.outside("sh", "-c", f"cd {tmp_path} && {call} 2>&1 || true")
    assert "401" in said


@needs_buildah
def test_told_to_stop_they_end_by_themselves(pod: Pod) -> None:
    for name in ("engine", "watchdog", "simulator", "asterisk"):
        # Process 1 hears SIGTERM only if it listens for it: for one that does not, the file asks for another.
        init = compose.load({})["services"][name].get("init")
        assert pod.stop(name, 30) == (-signal.SIGTERM if init else 0)
