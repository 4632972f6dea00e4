"""Procrastinate."""

from __future__ import annotations

from procrastinate import App, PsycopgConnector

from peers.counting import URL, done

app = App(connector=PsycopgConnector(conninfo=URL))


@app.task(name="noop")
async def noop(number: int) -> None:
    """Do nothing."""
    done(number)


async def prepare() -> None:
    """Make the tables."""
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def enqueue(jobs: int) -> None:
    """Enqueue in bulk."""
    async with app.open_async():
        await noop.batch_defer_async(*({"number": number} for number in range(jobs)))
