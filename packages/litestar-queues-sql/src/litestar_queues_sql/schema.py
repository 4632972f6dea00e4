"""The tables, and how they came to be: numbered steps, each applied once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from litestar_queues_core.errors import SchemaError
from litestar_queues_sql.script import Script, Sql


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One step from the previous schema version to the next.

    Attributes:
        version: The version it leads to.
        oldest_reader: The oldest version whose library still works with the result.
        statements: What it does.
    """

    version: int
    oldest_reader: int
    statements: Sequence[Sql]


JOB = Sql("""
    CREATE TABLE $job (
        id $id NOT NULL PRIMARY KEY,
        status $int NOT NULL,
        lane $text NOT NULL,
        job_rank $int NOT NULL,
        due_ms $big NOT NULL,
        expires_ms $big,
        delivery $int NOT NULL DEFAULT 0,
        lease $big,
        started_ms $big,
        attempt $int NOT NULL DEFAULT 0,
        rescues $int NOT NULL DEFAULT 0,
        snoozes $int NOT NULL DEFAULT 0,
        put_backs $int NOT NULL DEFAULT 0,
        cancelling $int NOT NULL DEFAULT 0,
        enqueued_ms $big NOT NULL,
        job_key $text,
        key_frees $big,
        job_group $text,
        token $text,
        ref $text,
        spec $bytes NOT NULL,
        meta $bytes,
        payload $bytes NOT NULL,
        errors $bytes,
        progress $bytes
    )
""")
"""Live jobs.  The index of the pending ones is the order in which they are claimed.  Whether a
cancel was requested is noted in the job, where it is seen by whoever has locked the row."""

JOB_INDEXES = (
    Sql("CREATE INDEX ${job}_ready ON $job (lane, job_rank, due_ms, id) WHERE status = 0"),
    Sql("CREATE INDEX ${job}_due ON $job (due_ms, lane) WHERE status = 1"),
    Sql("CREATE INDEX ${job}_held ON $job (lease) WHERE lease IS NOT NULL"),
    Sql("CREATE INDEX ${job}_remote ON $job (due_ms) WHERE status = 3"),
    Sql("""
        CREATE INDEX ${job}_expiry ON $job (expires_ms)
        WHERE status < 2 AND expires_ms IS NOT NULL
    """),
)

HISTORY = Sql("""
    CREATE TABLE $history (
        seq $serial,
        id $id NOT NULL UNIQUE,
        status $int NOT NULL,
        finished_ms $big NOT NULL,
        lane $text NOT NULL,
        due_ms $big NOT NULL,
        expires_ms $big,
        delivery $int NOT NULL,
        started_ms $big,
        worker $text,
        attempt $int NOT NULL,
        rescues $int NOT NULL,
        snoozes $int NOT NULL,
        put_backs $int NOT NULL,
        enqueued_ms $big NOT NULL,
        job_key $text,
        key_frees $big,
        job_group $text,
        token $text,
        ref $text,
        spec $bytes NOT NULL,
        meta $bytes,
        payload $bytes NOT NULL,
        result $bytes,
        errors $bytes,
        progress $bytes
    )
""")
"""Finished jobs in the order of their ends; rows are added and removed, never changed."""

HISTORY_INDEX = Sql("CREATE INDEX ${history}_ended ON $history (status, id) WHERE status <> 4")

OTHERS = (
    Sql("""
        CREATE TABLE $unique_key (
            name $text NOT NULL PRIMARY KEY,
            job $id NOT NULL,
            task $text NOT NULL,
            frees_ms $big
        ) $clustered
    """),
    Sql("CREATE INDEX ${unique_key}_frees ON $unique_key (frees_ms) WHERE frees_ms IS NOT NULL"),
    Sql("""
        CREATE TABLE $lease (
            num $serial,
            id $id NOT NULL UNIQUE,
            worker $text NOT NULL,
            host $text NOT NULL,
            pid $big NOT NULL,
            about $text NOT NULL,
            opened_ms $big NOT NULL,
            term_ms $big NOT NULL,
            expires_ms $big NOT NULL,
            dead $int NOT NULL DEFAULT 0
        )
    """),
    Sql("""
        CREATE TABLE $answer (
            lease $big NOT NULL,
            seq $big NOT NULL,
            lists $text NOT NULL,
            PRIMARY KEY (lease, seq)
        ) $clustered
    """),
    Sql("""
        CREATE TABLE $cancel_request (
            lease $big NOT NULL,
            job $id NOT NULL,
            PRIMARY KEY (lease, job)
        ) $clustered
    """),
    Sql("""
        CREATE TABLE $event (
            seq $serial,
            job $id NOT NULL,
            delivery $int NOT NULL,
            sequence $big NOT NULL,
            type $text NOT NULL,
            task $text NOT NULL,
            queue $text NOT NULL,
            level $text NOT NULL,
            stored_ms $big NOT NULL,
            body $bytes NOT NULL,
            UNIQUE (job, delivery, sequence)
        )
    """),
    Sql("CREATE TABLE $state (name $text NOT NULL PRIMARY KEY, value $big NOT NULL) $clustered"),
    Sql("""
        INSERT INTO $state (name, value)
        VALUES ('removed', 0), ('top', 0), ('counted', 0), ('short', 0), ('failed', 0)
    """),
    Sql("""
        CREATE TABLE $signal (
            topic $text NOT NULL PRIMARY KEY,
            origin $text NOT NULL,
            raised $big NOT NULL
        ) $clustered
    """),
)
"""Keys; leases; the last answer to each lease; cancel requests by lease (0: dispatched); events;
how far pruning has come; and the latest raise of each topic, for databases that are polled."""

MIGRATIONS = (
    Migration(
        version=1,
        oldest_reader=1,
        statements=(JOB, *JOB_INDEXES, HISTORY, HISTORY_INDEX, *OTHERS),
    ),
)

LATEST: int = MIGRATIONS[-1].version
"""The version of this library."""

VERSIONS = Sql("""
    CREATE TABLE IF NOT EXISTS $schema (version $int NOT NULL, oldest_reader $int NOT NULL)
""")
"""One row, which says what the tables are."""

READ = Sql("SELECT version, oldest_reader FROM $schema")
_INSERT = Sql("INSERT INTO $schema (version, oldest_reader) VALUES (?, ?)")
_UPDATE = Sql("UPDATE $schema SET version = ?, oldest_reader = ?")


def upgrade(
    migrations: Sequence[Migration] = MIGRATIONS,
    additions: Mapping[int, Sequence[Sql]] | None = None,
    guard: Sql | None = None,
) -> Script[int]:
    """Bring the tables to the version of this library; return the version they now have.

    Must run in a transaction that excludes other upgrades.

    Args:
        migrations: How.
        additions: What the dialect adds to each version.
        guard: Excludes other upgrades from here on, if the transaction as such does not.

    Raises:
        SchemaError: A newer library made the tables such that this one cannot use them.
    """
    yield VERSIONS()
    if guard is not None:
        yield guard()
    found: list[tuple[int, int]] = yield READ()
    version, oldest_reader = found[0] if found else (0, 0)
    latest = migrations[-1]
    if version >= latest.version:
        check(version, oldest_reader, latest.version)
        return version
    for statement in statements(version, migrations, additions):
        yield statement()
    yield (_UPDATE if found else _INSERT)(latest.version, latest.oldest_reader)
    return latest.version


def statements(
    above: int,
    migrations: Sequence[Migration] = MIGRATIONS,
    additions: Mapping[int, Sequence[Sql]] | None = None,
) -> Iterator[Sql]:
    """Yield what leads from version *above* to the latest, but for the row that says so."""
    for migration in migrations:
        if migration.version > above:
            yield from migration.statements
            yield from (additions or {}).get(migration.version, ())


def noted(above: int, migrations: Sequence[Migration] = MIGRATIONS) -> Sql:
    """Return the statement that says so, without parameters: for migrations of applications."""
    version, oldest_reader = migrations[-1].version, migrations[-1].oldest_reader
    text = _UPDATE.text if above else _INSERT.text
    return Sql(text.replace("?", str(version), 1).replace("?", str(oldest_reader)))


def verify(latest: int = LATEST) -> Script[int]:
    """Return the version of the tables, which this library must be able to use.

    Raises:
        SchemaError: It cannot.
    """
    found: list[tuple[int, int]] = yield READ()
    version, oldest_reader = found[0] if found else (0, 0)
    if version < latest:
        raise SchemaError(
            f"the tables of the queue have schema version {version}, this library needs {latest}: "
            "let it upgrade them (create_schema=True), or run your migrations"
        )
    check(version, oldest_reader, latest)
    return version


def check(version: int, oldest_reader: int, ours: int) -> None:
    """Check that a library of version *ours* can use tables of that version.

    Raises:
        SchemaError: It cannot.
    """
    if ours < oldest_reader:
        raise SchemaError(
            f"the tables of the queue have schema version {version}, made for libraries of schema "
            f"version {oldest_reader} and later; this one has version {ours}: "
            "upgrade litestar-queues-sql here, too"
        )
