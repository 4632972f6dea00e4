"""What every store must do that shares a database with the application."""

from __future__ import annotations

from litestar_queues_core.testing.conformance.application import (
    Application,
    BlockingApplication,
)
from litestar_queues_core.testing.conformance.completing import Completing, CompletingTogether
from litestar_queues_core.testing.conformance.joining import (
    BlockingJoining,
    Joining,
    JoiningTogether,
)

__all__ = [
    "Application",
    "BlockingApplication",
    "BlockingTransactions",
    "OneWriterTransactions",
    "Transactions",
]


class OneWriterTransactions(Joining, Completing):
    """What :class:`Transactions` asks for, if only one transaction can write at a time.

    Such a store refuses to wait for itself: what a task does in its own block without the session
    of the block is a ``TransactionError``.
    """


class Transactions(OneWriterTransactions, JoiningTogether, CompletingTogether):
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
