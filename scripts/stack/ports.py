"""Which ports an Asterisk listens on."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from dataclasses import dataclass

from scripts.stack.errors import StackError

LOOPBACK = "127.0.0.1"
RTP_PORTS = 2000
"""Per instance: two a leg, so 1000 legs at once."""


@dataclass(frozen=True)
class Ports:
    """SIP over UDP, ARI over HTTP, and the range of UDP ports for sound (both ends included)."""

    sip: int
    http: int
    rtp_start: int
    rtp_end: int
    ami: int = 5038
    """Opened only where an Asterisk is given a password for it."""

    @staticmethod
    def free() -> Ports:
        """Ports nobody uses now, for tests."""
        rtp_start = _free_range()
        return Ports(
            sip=_free(socket.SOCK_DGRAM),
            http=_free(socket.SOCK_STREAM),
            rtp_start=rtp_start,
            rtp_end=rtp_start + RTP_PORTS - 1,
            ami=_free(socket.SOCK_STREAM),
        )

    def check(self) -> None:
        """Raise ``StackError`` naming the first port that is taken."""
        if not usable(self.sip, socket.SOCK_DGRAM):
            raise StackError(
                f"UDP port {self.sip} on {LOOPBACK} is taken; end what uses it or set IVR_SIP_PORT."
            )
        if not usable(self.http, socket.SOCK_STREAM):
            raise StackError(
                f"TCP port {self.http} on {LOOPBACK} is taken; end what uses it or set IVR_ARI_PORT."
            )


def usable(port: int, kind: socket.SocketKind) -> bool:
    """Whether ``port`` can be bound on the loopback address."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


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
