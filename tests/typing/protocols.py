"""Which class is meant to satisfy which protocol; checked, never run."""

from __future__ import annotations

from litestar_queues.channels import ChannelsEventSink
from litestar_queues.serializer import MsgspecSerializer
from litestar_queues_core.events import InMemoryEventSink
from litestar_queues_core.executors.local import LocalExecutor
from litestar_queues_core.executors.process import ProcessExecutionConfig, ProcessExecutor
from litestar_queues_core.protocols import (
    BackendConfig,
    EventSink,
    ExecutionConfig,
    Executor,
    LeaseKeeper,
    Serializer,
    Store,
    SupportsBrowse,
    SupportsCheck,
    SupportsEventLog,
    SupportsKeeper,
    SupportsKeys,
    SupportsSignals,
)
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.stores.memory import MemoryBackendConfig, MemoryStore
from litestar_queues_core.testing.clock import SupportsClockShift
from litestar_queues_sql.database import Database
from litestar_queues_sql.sqlite import SQLiteBackendConfig, SQLiteStore
from litestar_queues_sql.sqlite.database import SQLiteDatabase
from litestar_queues_sql.sqlite.store import SQLiteKeeper

backends: list[type[BackendConfig]] = [MemoryBackendConfig, SQLiteBackendConfig]
databases: list[type[Database]] = [SQLiteDatabase]
execution: list[type[ExecutionConfig]] = [ProcessExecutionConfig]
executors: list[type[Executor]] = [LocalExecutor, ProcessExecutor]
keepers: list[type[LeaseKeeper]] = [SQLiteKeeper]
serializers: list[type[Serializer]] = [JsonSerializer, MsgspecSerializer]
sinks: list[type[EventSink]] = [InMemoryEventSink, ChannelsEventSink]

stores: list[type[Store]] = [MemoryStore, SQLiteStore]
browsable: list[type[SupportsBrowse]] = [MemoryStore, SQLiteStore]
checkable: list[type[SupportsCheck]] = [SQLiteStore]
keyed: list[type[SupportsKeys]] = [MemoryStore, SQLiteStore]
signalling: list[type[SupportsSignals]] = [MemoryStore, SQLiteStore]
with_events: list[type[SupportsEventLog]] = [MemoryStore, SQLiteStore]
kept_alive: list[type[SupportsKeeper]] = [SQLiteStore]
testable: list[type[SupportsClockShift]] = [MemoryStore, SQLiteStore]
