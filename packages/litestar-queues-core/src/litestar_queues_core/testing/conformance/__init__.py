"""What every store must do; subclass :class:`StoreConformance` and provide a ``store`` fixture."""

from __future__ import annotations

from litestar_queues_core.testing.conformance.backend import BackendConformance
from litestar_queues_core.testing.conformance.browsing import Browsing
from litestar_queues_core.testing.conformance.cancelling import Cancelling
from litestar_queues_core.testing.conformance.checking import Checking
from litestar_queues_core.testing.conformance.claiming import Claiming
from litestar_queues_core.testing.conformance.enqueueing import Enqueueing
from litestar_queues_core.testing.conformance.events import EventLog
from litestar_queues_core.testing.conformance.exchanging import Exchanging
from litestar_queues_core.testing.conformance.keys import Keys
from litestar_queues_core.testing.conformance.leases import Leases
from litestar_queues_core.testing.conformance.maintenance import Maintaining
from litestar_queues_core.testing.conformance.rescuing import Rescuing
from litestar_queues_core.testing.conformance.settling import Settling
from litestar_queues_core.testing.conformance.signals import Signals

__all__ = ["BackendConformance", "StoreConformance"]


class StoreConformance(
    Enqueueing,
    Claiming,
    Exchanging,
    Settling,
    Cancelling,
    Leases,
    Rescuing,
    Maintaining,
    Keys,
    Browsing,
    Signals,
    EventLog,
    Checking,
):
    """The contract of :class:`~litestar_queues_core.protocols.Store` and of its abilities.

    A backend's whole test file, for pytest with anyio's or pytest-asyncio's plugin::

        class TestMyStore(StoreConformance):
            @pytest.fixture
            async def store(self):
                async with MyBackendConfig(database=random_name()).open() as store:
                    yield store

    Each test wants an empty store.  Tests of an ability which the store lacks are skipped, and
    say so; so are tests that must move the store's clock, if it has no ``shift_clock``.
    """

    def test_no_test_of_the_suite_is_replaced(self) -> None:
        for name in dir(StoreConformance):
            if name.startswith("test_"):
                assert getattr(type(self), name) is getattr(StoreConformance, name), name
