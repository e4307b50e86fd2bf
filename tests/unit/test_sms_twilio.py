"""Twilio's adapter, the parts that need no server: account, codes, addresses, claims."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.domain.addresses import public
from ivr_engine.domain.messages import Media, Message, outbound
from ivr_engine.errors import ConfigError, Rejected
from ivr_engine.ports import NotTaken, Unclear
from ivr_engine.resolver import NotAllowed, Resolver
from ivr_engine.sms.claims import Claims, Recent
from ivr_engine.sms.twilio import Twilio
from ivr_engine.sms.twilio_account import TwilioAccount, account_from_environ
from ivr_engine.sms.twilio_client import Signatures
from ivr_engine.sms.twilio_codes import refused, seconds
from ivr_engine.sms.twilio_webhooks import Form

SID = "AC" + "0" * 32
GOOD = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": "secret token"}
MEDIA = f"https://api.twilio.com/2010-04-01/Accounts/{SID}/Messages/MM{'1' * 32}/Media/ME{'2' * 32}"


def message(id: str, text: str = "Hello") -> Message:
    return outbound(
        id=id,
        sender="+4930123456",
        recipient="+4915112345678",
        text=text,
        provider="twilio",
        purpose="wait_time_sms",
        call_id="c",
        now=datetime(2026, 1, 31, tzinfo=UTC),
    )


# ── the account ──────────────────────────────────────────────────────────────────────────────────


def test_an_account_from_the_environment() -> None:
    account = account_from_environ(GOOD)
    assert (account.sid, account.user, account.password) == (SID, SID, "secret token")
    assert account.url == "https://api.twilio.com"
    key = {"TWILIO_API_KEY": "SK" + "1" * 32, "TWILIO_API_SECRET": "key's secret"}
    account = account_from_environ(GOOD | key)
    assert (account.user, account.password) == (key["TWILIO_API_KEY"], "key's secret")
    assert account.auth_token == "secret token"


def test_secrets_are_not_shown() -> None:
    assert "secret token" not in repr(account_from_environ(GOOD))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"TWILIO_ACCOUNT_SID": ""}, "TWILIO_ACCOUNT_SID"),
        ({"TWILIO_ACCOUNT_SID": "SK" + "0" * 32}, "TWILIO_ACCOUNT_SID"),
        ({"TWILIO_ACCOUNT_SID": SID + "/../x"}, "TWILIO_ACCOUNT_SID"),
        ({"TWILIO_AUTH_TOKEN": " "}, "TWILIO_AUTH_TOKEN"),
        ({"TWILIO_API_KEY": "SK" + "1" * 32}, "TWILIO_API_SECRET"),
        ({"TWILIO_API_SECRET": "x"}, "TWILIO_API_KEY"),
        ({"TWILIO_API_KEY": "x", "TWILIO_API_SECRET": "x"}, "TWILIO_API_KEY"),
        ({"IVR_TWILIO_URL": "http://api.twilio.com"}, "IVR_TWILIO_URL"),
        ({"IVR_TWILIO_URL": "https://user@api.twilio.com"}, "IVR_TWILIO_URL"),
        ({"IVR_TWILIO_URL": "https://"}, "IVR_TWILIO_URL"),
        ({"IVR_TWILIO_URL": "https://["}, "IVR_TWILIO_URL"),
    ],
)
def test_a_wrong_account_is_named_and_its_secrets_are_not(change: Mapping[str, str], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        account_from_environ({**GOOD, **change})
    assert caught.value.file == named
    assert "secret token" not in str(caught.value)


# ── what answers mean ────────────────────────────────────────────────────────────────────────────


@given(status=st.integers(300, 599), code=st.sampled_from(["", "20429", "30001", "21610", "20003", "1"]))
def test_nothing_that_may_have_been_taken_counts_as_not_taken(status: int, code: str) -> None:
    result = refused(status, code, "", None, attempts=1)
    if status >= 500 or status < 400 or status == 408:
        assert isinstance(result, Unclear)
        assert result.processing_over
    else:
        assert isinstance(result, NotTaken)


def test_busy_is_never_final() -> None:
    assert refused(429, "20429", "", "7", attempts=1) == NotTaken("20429", "", retry_after_s=7)
    assert refused(429, "21610", "", None, attempts=9) == NotTaken("21610", "", retry_after_s=1)


@given(st.one_of(st.none(), st.text()))
def test_any_retry_after_is_some_seconds(text: str | None) -> None:
    assert 1 <= seconds(text) <= 3600


@pytest.mark.parametrize(("text", "expected"), [("7", 7), ("0", 1), ("99999", 3600), ("-1", 1), ("nan", 1)])
def test_retry_after(text: str, expected: float) -> None:
    assert seconds(text) == expected


# ── whose message is whose ───────────────────────────────────────────────────────────────────────


def test_claims() -> None:
    claims = Claims()
    one, two, other = message("m1"), message("m2", " Hello\n"), message("m3", "else")
    claims.sending(one)
    claims.sending(other)
    assert claims.has_open_twin(two)
    assert not claims.has_open_twin(one)
    claims.settled("m1", "SM1")
    assert not claims.has_open_twin(two)
    assert (claims.owner("SM1"), claims.owner("SM2")) == ("m1", None)


def test_memory_is_bounded() -> None:
    recent: Recent[int, int] = Recent(most=3)
    for n in (1, 2, 3, 1, 4):
        recent.put(n, n)
    assert [k for k, _ in recent.items()] == [3, 1, 4]


# ── addresses ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "name", ""),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not public(address)


@pytest.mark.parametrize("address", ["54.1.2.3", "2a05:d014::1", "::ffff:54.1.2.3", "64:ff9b::3601:203"])
def test_addresses_that_are(address: str) -> None:
    assert public(address)


class Names(AbstractResolver):
    """Every name has these addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in self._addresses
        ]

    async def close(self) -> None:
        pass


async def test_one_private_address_among_public_ones_is_enough() -> None:
    with pytest.raises(NotAllowed):
        await Resolver(inner=Names("54.1.2.3", "127.0.0.1")).resolve("api.twilio.com")
    with pytest.raises(NotAllowed):
        await Resolver(inner=Names()).resolve("api.twilio.com")
    assert await Resolver(inner=Names("54.1.2.3")).resolve("api.twilio.com")
    assert await Resolver(trusted="own", inner=Names("127.0.0.1")).resolve("own")


@pytest.fixture
def account() -> TwilioAccount:
    return account_from_environ(GOOD)


async def test_twilios_own_name_with_a_private_address_is_not_asked(account: TwilioAccount) -> None:
    # Nothing listens at port 443 here; had it been asked, it would be Unreachable.
    twilio = Twilio(account, resolver=Resolver(inner=Names("127.0.0.1")))
    try:
        with pytest.raises(Rejected, match="not public"):
            await twilio.fetch(Media(id="x", url=MEDIA, content_type=""))
    finally:
        await twilio.close()


@pytest.mark.parametrize(
    "url",
    [
        MEDIA.replace("https", "http"),
        MEDIA.replace("api.twilio.com", "api.twilio.com.evil.example"),
        MEDIA.replace("api.twilio.com", "evil.example"),
        MEDIA.replace("api.", "evil@api."),
        MEDIA.replace("api.twilio.com", "api.twilio.com:8443"),
        MEDIA.replace("api.twilio.com", "127.0.0.1"),
        MEDIA.replace(SID, "AC" + "9" * 32),
        MEDIA + ".json",
        MEDIA + "?x=1",
        MEDIA + "/../../../Keys.json",
        MEDIA + "\n",
        MEDIA.replace("Media", "Calls"),
        "https://mms.twiliocdn.com/x",
    ],
)
async def test_credentials_only_for_our_accounts_own_files(account: TwilioAccount, url: str) -> None:
    twilio = Twilio(account, resolver=Resolver(inner=Names("127.0.0.1")))
    try:
        with pytest.raises(Rejected, match="not kept at Twilio"):
            await twilio.fetch(Media(id="x", url=url, content_type=""))
    finally:
        await twilio.close()


# ── signatures ───────────────────────────────────────────────────────────────────────────────────


def test_twilios_own_example() -> None:
    """From https://www.twilio.com/docs/usage/security: the token is 12345."""
    form = Form(
        {
            "CallSid": "CA1234567890ABCDE",
            "Caller": "+14158675309",
            "Digits": "1234",
            "From": "+14158675309",
            "To": "+18005551212",
        }
    )
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    good = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert Signatures("12345").genuine(url, form, good)
    assert not Signatures("12346").genuine(url, form, good)
    form["Digits"] = "12345"
    assert not Signatures("12345").genuine(url, form, good)


@given(st.text(), st.text())
def test_no_address_and_no_signature_raises(url: str, claimed: str) -> None:
    assert not Signatures("12345").genuine(url, Form({"a": "b"}), claimed)
