"""The database: tables, migrations, transactions. ``connect`` is the way in."""

from ivr_engine.store.store import connect
from ivr_engine.store.upgrade import upgrade
from ivr_engine.store.watched import WatchedStore

__all__ = ["WatchedStore", "connect", "upgrade"]
