"""A second Asterisk as the telephone company: people's phones on one side (SIPp, in the clear), its customer
on the other, over TLS with SRTP.

It asks a registering customer for a password, checks certificates, and tells who calls in
P-Asserted-Identity. ``71…`` reaches the customer where it registered, ``72…`` at its address, ``73…`` too,
but without SRTP. What the customer dials rings ``PHONE``; ``SORRY`` speaks before the answer, and does not
answer.
"""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.stack import Asterisk, Ports
from tests.integration.engine import free_tcp_port

ADDRESS: Final = "127.0.0.9"
"""Where its customers find it, by TLS; people's phones find it at 127.0.0.1."""
ACCOUNT, PASSWORD = "account", "a-password"
PHONE, PHONE_PASSWORD = "outside", "another-password"
SORRY: Final = "+4930901829"

_PJSIP: Final = """
[global]
type = global
endpoint_identifier_order = username,ip

[people]
type = transport
protocol = udp
bind = 127.0.0.1:{sip}

[customers]
type = transport
protocol = tls
bind = {address}:{tls}
method = tlsv1_2
cert_file = /mnt/etc/keys/company.crt
priv_key_file = /mnt/etc/keys/company.key
ca_list_file = /mnt/etc/keys/ca.crt
verify_server = yes

[line](!)
type = endpoint
disallow = all
allow = alaw
direct_media = no
send_pai = yes
trust_id_inbound = yes
trust_id_outbound = yes
allow_subscribe = no

[people](line)
context = people
transport = people
identify_by = ip
[people]
type = identify
endpoint = people
match = 127.0.0.1

[{phone}](line)
context = nowhere
transport = people
auth = {phone}
aors = {phone}
[{phone}]
type = aor
max_contacts = 1
remove_existing = yes
[{phone}]
type = auth
username = {phone}
password = {phone_password}

[{account}](line)
context = customers
transport = customers
media_encryption = sdes
rewrite_contact = yes
auth = {account}
aors = {account}
[{account}]
type = aor
max_contacts = 1
remove_existing = yes
[{account}]
type = auth
username = {account}
password = {password}

[known](line)
transport = customers
media_encryption = sdes
aors = known
[known]
type = aor
contact = sip:127.0.0.1:{customer}\\;transport=tls

[in-the-clear](line)
transport = customers
aors = known
"""

_DIALPLAN: Final = """
[people]
exten => _71.,1,Set(contact=${PJSIP_DIAL_CONTACTS(account)})
 same => n,Dial(${STRREPLACE(contact,sip:s@,sip:${EXTEN}@)})
 same => n,Hangup(${HANGUPCAUSE})
exten => _72.,1,Dial(PJSIP/${EXTEN}@known)
 same => n,Hangup(${HANGUPCAUSE})
exten => _73.,1,Dial(PJSIP/${EXTEN}@in-the-clear)
 same => n,Hangup(${HANGUPCAUSE})

[customers]
exten => +4930901829,1,Progress()
 same => n,Playback(ivr-fallback/goodbye,noanswer)
 same => n,Hangup(1)
exten => _+X.,1,Dial(PJSIP/outside)
 same => n,Hangup(${HANGUPCAUSE})

[nowhere]
"""


@dataclass(frozen=True)
class Company:
    """``tls``: its port at ``ADDRESS``."""

    asterisk: Asterisk
    tls: int


@contextmanager
def company(folder: Path, keys: Path, customer_port: int) -> Generator[Company]:
    """``customer_port``: of its customer, for TLS at 127.0.0.1. ``keys``: as ``make_keys`` makes them."""
    ports, tls = Ports.free(), free_tcp_port()
    with Asterisk.start(folder=folder, ports=ports) as asterisk:
        etc = folder / "etc"
        pjsip = _PJSIP.format(
            sip=ports.sip,
            address=ADDRESS,
            tls=tls,
            customer=customer_port,
            account=ACCOUNT,
            password=PASSWORD,
            phone=PHONE,
            phone_password=PHONE_PASSWORD,
        )
        (etc / "pjsip.conf").write_text(pjsip)
        (etc / "extensions.conf").write_text(_DIALPLAN)
        with (etc / "modules.conf").open("a") as modules:
            modules.write("load = app_dial.so\n")
        give_keys(keys, etc)
        asterisk.restart()
        yield Company(asterisk, tls)


def make_keys(folder: Path) -> Path:
    """Certificates signed by one authority (``ca.crt``): ``company``, and ``sip`` of the customer; and one
    for the company's address that a ``stranger`` has signed himself."""
    folder.mkdir()
    _certificate(folder, "ca", "CN=authority", "basicConstraints=critical,CA:TRUE")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key")
    _certificate(folder, "company", "CN=company", f"subjectAltName=IP:{ADDRESS}", *signed)
    _certificate(folder, "sip", "CN=customer", "subjectAltName=IP:127.0.0.1", *signed)
    _certificate(folder, "stranger", "CN=stranger", f"subjectAltName=IP:{ADDRESS}")
    return folder


def give_keys(keys: Path, etc: Path) -> None:
    """Let an Asterisk configured in ``etc`` have them, as ``/mnt/etc/keys``."""
    (etc / "keys").mkdir()
    for file in keys.iterdir():
        (etc / "keys" / file.name).write_bytes(file.read_bytes())


def _certificate(folder: Path, name: str, subject: str, extension: str, *signed: str) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", f"/{subject}", "-addext", extension, *signed]
    command += ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
