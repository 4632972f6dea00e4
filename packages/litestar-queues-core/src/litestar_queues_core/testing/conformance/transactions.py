"""What every store must do that shares a database with the application."""

from __future__ import annotations

from litestar_queues_core.testing.conformance.application import (
    Application,
    BlockingApplication,
)
from litestar_queues_core.testing.conformance.completing import Completing
from litestar_queues_core.testing.conformance.joining import BlockingJoining, Joining

__all__ = ["Application", "BlockingApplication", "BlockingTransactions", "Transactions"]


class Transactions(Joining, Completing):
    """The contract of :class:`~litestar_queues_core.protocols.SupportsTransactions`.

    Subclass it and provide two fixtures: an empty ``store``, and an ``application`` in the same
    database, which is an :class:`Application`::

        class TestMyTransactions(Transactions):
            @pytest.fixture
            async def store(self): ...

            @pytest.fixture
            async def application(self): ...
    """


class BlockingTransactions(BlockingJoining):
    """The same for blocking sessions: the fixtures ``store`` and ``blocking``."""
