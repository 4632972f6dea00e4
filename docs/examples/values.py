"""Arguments and results get their types back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID, uuid4

from litestar_queues_core import PayloadError, QueueConfig, QueueService, Worker, task


class Kind(Enum):
    ORDER = "order"
    REFUND = "refund"


@dataclass
class Line:
    article: UUID
    price: Decimal
    when: date | None = None


@task
async def total(kind: Kind, lines: list[Line], asked: datetime) -> tuple[Kind, Decimal]:
    assert isinstance(lines[0], Line)
    assert isinstance(asked, datetime)
    return kind, sum((line.price for line in lines), Decimal())


async def main() -> None:
    config = QueueConfig(queue_backend="memory")
    async with QueueService(config) as service, Worker(service):
        lines = [
            Line(uuid4(), Decimal("9.90"), date(2026, 1, 31)),
            Line(uuid4(), Decimal("0.10")),
        ]

        result = await service.enqueue(total, Kind.ORDER, lines, datetime.now(UTC))
        assert await result.value(timeout=10) == (Kind.ORDER, Decimal("10.00"))

        try:
            await service.enqueue(total, Kind.ORDER, [object()], datetime.now(UTC))
        except PayloadError as error:
            print(error)
        else:
            raise AssertionError("an object cannot travel")


asyncio.run(main())
