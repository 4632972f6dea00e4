"""Asking a store for an ability; the test is skipped if the store lacks it."""

from __future__ import annotations

from unittest import SkipTest

from litestar_queues_core.protocols import (
    Store,
    SupportsBrowse,
    SupportsCheck,
    SupportsEventLog,
    SupportsKeys,
    SupportsSignals,
)


def lacks(store: Store, ability: str) -> SkipTest:
    """Return what says that *store* cannot take the test."""
    return SkipTest(f"{type(store).__name__} lacks the ability {ability}")


def with_browse(store: Store) -> SupportsBrowse:
    """Return *store* as one that can be looked through."""
    if not isinstance(store, SupportsBrowse):
        raise lacks(store, "SupportsBrowse")
    return store


def with_check(store: Store) -> SupportsCheck:
    """Return *store* as one that looks for what is wrong."""
    if not isinstance(store, SupportsCheck):
        raise lacks(store, "SupportsCheck")
    return store


def with_keys(store: Store) -> SupportsKeys:
    """Return *store* as one that honours keys."""
    if not isinstance(store, SupportsKeys):
        raise lacks(store, "SupportsKeys")
    return store


def with_signals(store: Store) -> SupportsSignals:
    """Return *store* as one that can end a wait."""
    if not isinstance(store, SupportsSignals):
        raise lacks(store, "SupportsSignals")
    return store


def with_event_log(store: Store) -> SupportsEventLog:
    """Return *store* as one that keeps events."""
    if not isinstance(store, SupportsEventLog):
        raise lacks(store, "SupportsEventLog")
    return store
