"""Ports that are free, for an Asterisk to listen on."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from dialplan import configure
from dialplan.configure import LOOPBACK
from scripts.stack.errors import StackError

RTP_PORTS = 2000
"""Per instance: two a leg, so 1000 legs at once."""

OURS: Final = (*range(6200, 8000), *range(8200, 8800), *range(9000, 12_000))
"""For what listens in tests. Below the ports that the kernel hands out by itself (32768 and up), where
anybody's next connection may take one before its owner is up; beside those for RTP and for SIPp, also those
that SIPp takes when it is told none (6000, 8888 and up), and those that `scripts/run` uses."""


class Ports(configure.Ports):
    """Those of ``dialplan/configure.py``, found and tried."""

    @staticmethod
    def free() -> Ports:
        """Ports nobody uses now, for tests. SIP's is free for UDP and TCP, and the next one for TLS."""
        rtp_start = _free_range()
        return Ports(
            sip=_claimed(((0, socket.SOCK_DGRAM), (0, socket.SOCK_STREAM), (1, socket.SOCK_STREAM))),
            http=free(socket.SOCK_STREAM),
            rtp_start=rtp_start,
            rtp_end=rtp_start + RTP_PORTS - 1,
            ami=free(socket.SOCK_STREAM),
        )

    def check(self, network: configure.Network | None = None) -> None:
        """Raise ``StackError`` naming the first port that is taken, or the address that is not ours."""
        network = network or configure.Network()
        if not usable(self.sip, socket.SOCK_DGRAM, network.sip_host):
            raise StackError(
                f"UDP port {self.sip} on {network.sip_host} cannot be used: end what uses it or set "
                "IVR_SIP_PORT, and let IVR_SIP_HOST be an address of this machine."
            )
        if not usable(self.http, socket.SOCK_STREAM, network.ari_host):
            raise StackError(
                f"TCP port {self.http} on {network.ari_host} cannot be used: end what uses it or set "
                "IVR_ARI_PORT, and let IVR_ARI_HOST be an address of this machine."
            )


def usable(port: int, kind: socket.SocketKind, host: str = LOOPBACK) -> bool:
    """Whether ``port`` can be bound on ``host``."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free(kind: socket.SocketKind) -> int:
    """A port that nobody uses now, and that no other process of ours is given while this one lives: whoever
    it is for may take a second to bind it. ``kind``: ``socket.SOCK_DGRAM`` or ``SOCK_STREAM``."""
    return _claimed(((0, kind),))


def _claimed(wanted: Sequence[tuple[int, socket.SocketKind]]) -> int:
    """The first of neighbouring ports, each ``wanted`` by its distance from the first, and what for."""
    ports = list(OURS)
    random.shuffle(ports)
    for first in ports:
        with ExitStack() as stack:
            try:
                claims = [
                    stack.enter_context(_claim(first + distance)) for distance in {at for at, _ in wanted}
                ]
            except OSError:
                continue
            if all(usable(first + distance, kind) for distance, kind in wanted):
                for claim in claims:
                    claim.detach()  # held until the process ends
                return first
    raise StackError(f"There is no free port among {OURS[0]} to {OURS[-1]}.")


def _claim(port: int) -> socket.socket:
    """A name that is gone when its process is; ``OSError`` when somebody has it."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0ivr-engine-port-{port}")
    except OSError:
        claim.close()
        raise
    return claim


def _free_range() -> int:
    """Below the ports the kernel hands out by itself (32768 and up), so that nothing else wanders in."""
    starts = list(range(12000, 30000, RTP_PORTS))
    random.shuffle(starts)
    for start in starts:
        with ExitStack() as held:
            try:
                for port in range(start, start + RTP_PORTS, 50):
                    held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(
                        (LOOPBACK, port)
                    )
            except OSError:
                continue
            return start
    raise StackError("There is no free range of UDP ports between 12000 and 30000.")
