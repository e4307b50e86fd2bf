"""Database URLs: which are taken, and that no part of a password is ever said."""

from __future__ import annotations

import traceback

import pytest

from ivr_engine.errors import IvrError, Refused
from ivr_engine.observability.masking import HIDDEN, clean
from ivr_engine.settings import from_environ
from ivr_engine.store import connect, database

SECRET = "gehe1mesWort"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"postgresql://ivr:{SECRET}@db.example.org/calls", "the database calls on db.example.org"),
        (f"postgres://ivr:{SECRET}@db.example.org:5433/calls", "the database calls on db.example.org"),
        (f"postgresql+psycopg://ivr:{SECRET}@db/calls?sslmode=verify-full", "the database calls on db"),
        (f"postgresql://ivr:{SECRET}@[2001:db8::1]:5432/calls", "the database calls on 2001:db8::1"),
        (f"postgresql://ivr:{SECRET}@/calls?host=/run/postgresql", "the database calls on /run/postgresql"),
        (f"postgresql://ivr:{SECRET}@/calls?host=a:1&host=b:2", "the database calls on a:1, b:2"),
        (f"postgresql:///calls?host=db&user=ivr&password={SECRET}", "the database calls on db"),
        (f"postgresql://ivr:{SECRET}?:/#%40@db/calls", "the database calls on db"),
        (f"postgresql://ivr:{SECRET}@/", "the database ivr on this machine"),
        ("sqlite:////var/lib/ivr/ivr.db", "the database /var/lib/ivr/ivr.db"),
    ],
)
def test_a_database_is_named_without_its_password(url: str, place: str) -> None:
    assert database.place(database.parsed(url)) == place


@pytest.mark.parametrize(
    "url",
    [
        f"ivr:{SECRET}@db",
        f"mysql://ivr:{SECRET}@db/calls",
        f"postgresql+asyncpg://ivr:{SECRET}@db/calls",
        f"postgresql://ivr:{SECRET}@db:port/calls",
        f"postgresql://ivr:{SECRET}@db:99999/calls",
        f"postgresql://ivr:{SECRET}@db:0/calls",
        f"postgresql://ivr:{SECRET}@one:1,two:2/calls",
        f"postgresql://ivr:half@{SECRET}@db/calls",
    ],
)
def test_what_is_refused_is_not_quoted(url: str) -> None:
    with pytest.raises(Refused, match="write ") as raised:
        database.parsed(url)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ivr:{SECRET}@127.0.0.1:1/calls?sslmode=require",
        f"postgresql://ivr:{SECRET}@127.0.0.1:1/calls?sslmode=verify-full&sslrootcert=/nowhere.crt",
        f"postgresql://127.0.0.1:1/calls?user=ivr&password={SECRET}",
        f"postgresql://ivr:{SECRET}@127.0.0.1:1/calls?sslmode=sometimes",
        f"postgresql://ivr:{SECRET}@127.0.0.1:1/calls?no_such_option=1",
        f"postgresql://ivr:{SECRET}@no-such-host.invalid/calls",
    ],
)
def test_an_error_and_the_log_never_hold_it(url: str) -> None:
    with pytest.raises(IvrError) as raised:
        connect(url)
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert clean(f"trouble with {SECRET}, or so") == f"trouble with {HIDDEN}, or so"


def test_settings_do_not_show_it() -> None:
    here = from_environ({"IVR_DATABASE_URL": f"postgresql://ivr:{SECRET}@db/calls"})
    assert here.store_url.startswith("postgresql://")
    assert SECRET not in repr(here)
