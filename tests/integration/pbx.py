"""An Asterisk as somebody else's PBX: its own dialplan, ``app_queue``, ``AGI()``, and no ARI for us."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.stack import Asterisk, Ports

AMI_PASSWORD = "hush-hush"
MODULES = ("res_speech", "res_agi", "app_queue", "app_verbose", "res_clioriginate")
QUEUES = """
[general]
persistentmembers = no
[support]
strategy = ringall
musicclass = default
joinempty = yes
"""
MANAGER = f"""
[general]
enabled = yes
bindaddr = 127.0.0.1
port = {{port}}
[pbx]
secret = {AMI_PASSWORD}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.1/255.255.255.255
read = call,agent
write = reporting
eventfilter = Event: Hangup
eventfilter = Event: AgentConnect
"""


@dataclass(frozen=True)
class Pbx:
    asterisk: Asterisk
    ami_port: int

    def dialplan(self, text: str) -> None:
        """Callers come in at ``[ivr-in]``."""
        assert self.asterisk.folder is not None
        (self.asterisk.folder / "etc/extensions.conf").write_text(
            f"[general]\nstatic = yes\n[ivr-in]\n{text}\n"
        )
        self.asterisk.restart()


@contextmanager
def pbx(folder: Path, dialplan: str, sounds: Path | None = None) -> Generator[Pbx]:
    """``sounds``: where prompts lie already."""
    ports = Ports.free()
    with Asterisk.start(folder=folder, ports=ports, sounds_dir=sounds) as asterisk:
        etc = folder / "etc"
        with (etc / "modules.conf").open("a") as modules:
            modules.writelines(f"load = {name}.so\n" for name in MODULES)
        (etc / "queues.conf").write_text(QUEUES)
        (etc / "manager.conf").write_text(MANAGER.format(port=ports.ami))
        started = Pbx(asterisk, ports.ami)
        started.dialplan(dialplan)
        yield started
