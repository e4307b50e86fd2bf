"""Writes SIPp scenarios: what a caller does at set times, and what an agent's phone does.

A scenario stands alone and can be run by hand: what happens next happens after a set time. A listener is
faster and exact: it uses the caller who is ``LED``, presses keys itself in the call's own RTP stream, and
sends SIPp an INFO request with the call's Call-ID, a *cue*, when it is time to hang up. Phones of agents take
cues too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ivr_engine.sipp.ears import EVENT, PHONE_EVENT

CUE: Final = "INFO"
LONG_MS: Final = 600_000
_AGAIN_MS: Final = 500
_REGISTER_AGAIN_MS: Final = 3_000
"""A phone that registers and asks again too soon is answered twice. The second answer would come when the
phone is ready to be rung, and be taken for its first call."""

_SDP: Final = """\
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [auto_media_port+10] RTP/AVP 8 {event}
a=rtpmap:8 PCMA/8000
a=rtpmap:{event} telephone-event/8000
a=fmtp:{event} 0-15
a=ptime:20
"""
_NOTHING: Final = "Content-Length: 0\n"


@dataclass(frozen=True)
class Key:
    """Press a key, ``after_ms`` milliseconds after what came before."""

    key: str
    after_ms: int


@dataclass(frozen=True)
class Say:
    """Begin to say what is in a pcap file (``pcap.write``), so long after what came before."""

    pcap: str
    after_ms: int


@dataclass(frozen=True)
class CallerDoes:
    """A caller: press keys and speak, then hang up (unless the other side does first)."""

    what: str
    keys: Sequence[Key | Say]
    hang_up_after_ms: int


@dataclass(frozen=True)
class AgentDoes:
    """An agent's phone: ring for a time, then answer with ``code`` (``None``: ring until cancelled)."""

    what: str
    code: str | None
    ring_ms: int = 1000
    talk_ms: int = LONG_MS


LED: Final = CallerDoes("do what a listener says", [], LONG_MS)


def caller(
    does: CallerDoes,
    *,
    signalled: str = "[field0]",
    dials: str = "[service]",
    headers: Mapping[str, str] | None = None,
) -> str:
    """The scenario of a caller. ``signalled``: the number called from, else CSV field 0; ``dials``: else
    SIPp's ``-s``. ``headers``: of the INVITE, besides those it needs; plain words."""
    steps = [
        _send(_invite(headers or {}), retrans=True),
        *(_receive(f'response="{code}" optional="true"') for code in (100, 180, 183)),
        _receive('response="200" rrs="true"'),
        _send(_request("ACK", 1)),
        _log("answered"),
    ]
    for number, key in enumerate(does.keys):
        late = f'timeout="{key.after_ms}" ontimeout="key{number}"'
        steps += [_receive(f'request="BYE" {late} next="hung-up-on"'), _label(f"key{number}")]
        act = f'play_dtmf="{key.key},100"' if isinstance(key, Key) else f'play_pcap_audio="{key.pcap}"'
        steps += [f"<nop><action><exec {act}/></action></nop>"]
    steps += [
        *_when_cued_or_after(does.hang_up_after_ms, then="bye"),
        _label("bye"),
        _log("hangs-up"),
        _send(_request("BYE", 2), retrans=True),
        _receive('response="200" next="end"'),
        *_asked_whether_there(EVENT, "sip:[field0]@[local_ip]:[local_port]"),
        *_hung_up_on(),
        _label("end"),
    ]
    return _scenario(does.what, steps).replace("[field0]", signalled).replace("[service]", dials)


def agent(does: AgentDoes) -> str:
    """The scenario of an agent's phone, which must be registered (``register.xml``) on the same port."""
    answers = does.code is not None and does.code.startswith("200")
    steps = [_invited(keep_names=answers), _log("rings")]
    if does.code is not None and not does.ring_ms:
        return _scenario(does.what, [*steps, *_refuses(does.code), _label("end")])
    steps += [
        _send(_answer("180 Ringing", "[last_CSeq:]", _NOTHING)),
        _receive(f'request="CANCEL" timeout="{does.ring_ms}" ontimeout="pick" next="cancel"'),
        _label("pick"),
    ]
    if answers:
        there = _asked_whether_there(PHONE_EVENT, "sip:[service]@[local_ip]:[local_port]")
        steps += [*_answers(does), *_cancelled(), *there, *_hung_up_on()]
    else:
        steps += [*_refuses(does.code or "480 Temporarily Unavailable"), *_cancelled()]
    return _scenario(does.what, [*steps, _label("end")])


def register(expires: int) -> str:
    """Register (or with 0: unregister) the account named by ``-s``; ``-au`` and ``-ap`` log in."""
    return _scenario(
        "register a phone" if expires else "unregister a phone",
        [
            _send(_register(1, expires), retrans=True, again_ms=_REGISTER_AGAIN_MS),
            _receive('response="100" optional="true"'),
            _receive('response="401" auth="true"'),
            _send(_register(2, expires, "[authentication]\n"), retrans=True, again_ms=_REGISTER_AGAIN_MS),
            # Who was asked twice, being slow, says twice that a password is needed.
            _label("once-more"),
            _receive('response="100" optional="true"'),
            _receive('response="401" optional="true" next="once-more"'),
            _receive('response="200"'),
        ],
    )


def _when_cued_or_after(milliseconds: int, *, then: str) -> list[str]:
    """Falls through after the time, jumps to ``then`` on a cue, to the end if the other side hangs up."""
    late = f'timeout="{milliseconds}" ontimeout="late-{then}"'
    return [
        _label("stay"),
        _receive(f'request="BYE" optional="true" {late} next="hung-up-on"'),
        _receive(f'request="INVITE" optional="true" {late} next="asked"'),
        _receive(f'request="{CUE}" {late} next="{then}"'),
        _label(f"late-{then}"),
    ]


def _invited(*, keep_names: bool) -> str:
    """``keep_names``: of who called whom, for a BYE in the other direction."""
    if not keep_names:
        return _receive('request="INVITE" rrs="true"')
    keep = '<ereg regexp=".*" search_in="hdr" header="{}:" assign_to="{}"/>'
    actions = keep.format("From", "peer") + keep.format("To", "own")
    return f'<recv request="INVITE" rrs="true"><action>{actions}</action></recv>'


def _answers(does: AgentDoes) -> list[str]:
    return [
        _send(_answer("200 OK", "[last_CSeq:]", _SDP.format(event=PHONE_EVENT)), retrans=True),
        _receive('request="ACK"'),
        _log("answered"),
        *_when_cued_or_after(does.talk_ms, then="bye"),
        _label("bye"),
        _log("hangs-up"),
        _send(_agent_bye(), retrans=True),
        _receive('response="200" next="end"'),
    ]


def _refuses(code: str) -> list[str]:
    return [
        _send(_answer(code, "[last_CSeq:]", _NOTHING), retrans=True),
        _receive('request="ACK" next="end"'),
    ]


def _cancelled() -> list[str]:
    return [
        _label("cancel"),
        _log("cancelled"),
        _send(_answer("200 OK", "[last_CSeq:]", _NOTHING)),
        _send(_answer("487 Request Terminated", "CSeq: [cseq] INVITE", _NOTHING), retrans=True),
        _receive('request="ACK" next="end"'),
    ]


def _hung_up_on() -> list[str]:
    """Comes last: it ends the scenario."""
    return [
        _label("hung-up-on"),
        _log("hung-up-on"),
        _send(_answer("200 OK", "[last_CSeq:]", _NOTHING, tag="")),
    ]


def _asked_whether_there(event: int, contact: str) -> list[str]:
    """A session timer's question (the INVITE again, of a call that lasts): yes."""
    yes = _answer("200 OK", "[last_CSeq:]", _SDP.format(event=event), tag="", contact=contact)
    return [
        _label("asked"),
        _log("asked"),
        _send(yes, retrans=True),
        _receive('request="ACK" next="stay"'),
    ]


def _invite(headers: Mapping[str, str]) -> str:
    head = _caller_head("INVITE sip:[service]@[remote_ip]:[remote_port]", 1, "INVITE")
    own = "".join(f"{name}: {value}\n" for name, value in headers.items())
    return head + own + _SDP.format(event=EVENT)


def _request(method: str, cseq: int) -> str:
    return _caller_head(f"{method} [next_url]", cseq, method, "[peer_tag_param]") + _NOTHING


def _caller_head(start: str, cseq: int, method: str, tag: str = "") -> str:
    return f"""\
{start} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field0]@[local_ip]:[local_port]>;tag=[pid]x[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>{tag}
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:[field0]@[local_ip]:[local_port]>
Max-Forwards: 70
"""


def _answer(
    code: str,
    cseq: str,
    body: str,
    tag: str = ";tag=[pid]x[call_number]",
    contact: str = "sip:[service]@[local_ip]:[local_port]",
) -> str:
    return f"""\
SIP/2.0 {code}
[last_Via:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
{cseq}
Contact: <{contact}>
{body}"""


def _agent_bye() -> str:
    return """\
BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From:[$own];tag=[pid]x[call_number]
To:[$peer]
[last_Call-ID:]
CSeq: 1 BYE
Max-Forwards: 70
Content-Length: 0
"""


def _register(cseq: int, expires: int, authorization: str = "") -> str:
    return f"""\
REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[service]@[remote_ip]>;tag=[pid]x[call_number]
To: <sip:[service]@[remote_ip]>
Call-ID: [call_id]
CSeq: {cseq} REGISTER
Contact: <sip:[service]@[local_ip]:[local_port]>
{authorization}Expires: {expires}
Max-Forwards: 70
Content-Length: 0
"""


def _send(message: str, *, retrans: bool = False, again_ms: int = _AGAIN_MS) -> str:
    attributes = f' retrans="{again_ms}"' if retrans else ""
    return f"<send{attributes}><![CDATA[\n{message}\n]]></send>"


def _receive(attributes: str) -> str:
    return f"<recv {attributes}/>"


def _label(name: str) -> str:
    return f'<label id="{name}"/>'


def _log(what: str) -> str:
    return f'<nop><action><log message="{what} [call_id] [timestamp]"/></action></nop>'


def _scenario(what: str, steps: Sequence[str]) -> str:
    note = "Written by ivr-engine; needs SIPp 3.6 or later, and root where it presses keys or speaks."
    body = "\n".join([f'<scenario name="{what}">', *steps, "</scenario>"])
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {note} -->\n{body}\n'
