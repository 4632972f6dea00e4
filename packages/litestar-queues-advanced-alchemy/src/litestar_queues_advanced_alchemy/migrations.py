"""What belongs to the tables besides their structure, in the application's own migrations.

Alembic's autogenerate knows columns and indexes.  Storage parameters, first rows and the version of
the tables follow as statements in the same migration; ``MetaData.create_all`` executes them, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation
from alembic.operations.ops import UpgradeOps
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import Connection, MetaData, Table, event, inspect, text

from litestar_queues_advanced_alchemy.definitions import is_structure, mark_of
from litestar_queues_sql.database import Texts
from litestar_queues_sql.schema import noted, statements

_VERSIONS = "schema"


class Statements(MigrateOperation):
    """Statements that follow the changes of structure.

    Args:
        texts: What to execute.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def reverse(self) -> MigrateOperation:
        """Return what a downgrade executes: nothing, since it drops the tables."""
        return Statements(())


def complete(metadata: MetaData, versions: Table) -> None:
    """Let ``metadata.create_all()`` execute the statements once it has made the tables."""

    def after_create(
        target: MetaData, connection: Connection, *, tables: Sequence[Table], **rest: object
    ) -> None:
        if versions in tables:
            for statement in _wanted(versions, 0):
                connection.execute(text(statement))

    event.listen(metadata, "after_create", after_create)


@renderers.dispatch_for(Statements)
def _render(context: AutogenContext, operation: Statements) -> list[str]:
    prefix: str = context.opts["alembic_module_prefix"] or ""
    return [f"{prefix}execute({statement!r})" for statement in operation.texts]


def _compare(
    context: AutogenContext, operations: UpgradeOps, schemas: object
) -> PriorityDispatchResult:
    """Add the statements for tables that this migration makes or changes."""
    for table in context.sorted_tables:
        mark = mark_of(table)
        if mark is not None and table.name == mark.prefix + _VERSIONS:
            wanted = list(_wanted(table, _version(context.connection, table)))
            if wanted:
                operations.ops.append(Statements(wanted))
    return PriorityDispatchResult.CONTINUE


comparators.dispatch_for("schema", priority=DispatchPriority.LAST)(_compare)


def _version(connection: Connection | None, versions: Table) -> int:
    if connection is None or not inspect(connection).has_table(versions.name, versions.schema):
        return 0
    found: int | None = connection.execute(versions.select()).scalar()
    return found or 0


def _wanted(versions: Table, above: int) -> Iterator[str]:
    """Yield what leads from a version to ours, but for the structure."""
    mark = mark_of(versions)
    if mark is None:
        return
    dialect = mark.system.dialect
    texts = Texts(dialect, mark.prefix)
    found = list(statements(above, additions=dialect.additions))
    for statement in found:
        if not is_structure(statement):
            yield texts[statement]
    if found:
        yield texts[noted(above)]
