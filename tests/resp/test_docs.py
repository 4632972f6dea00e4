"""What the page on Redis and Valkey says is tried here."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from litestar_queues_redis import RedisBackendConfig
from litestar_queues_resp import checks, connecting, layout, scripts, store
from litestar_queues_valkey import ValkeyBackendConfig

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "redis.md").read_text(encoding="utf-8")
PACKAGE = Path(str(store.__file__)).parent
SOURCES = [*sorted(PACKAGE.glob("*.py")), *sorted(PACKAGE.rglob("*.lua"))]


def section(heading: str) -> str:
    """Return what stands between *heading* and the next one."""
    found = re.search(rf"(?ms)^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", PAGE)
    assert found, f"no heading {heading!r}"
    return found[1]


def first_column(heading: str) -> list[str]:
    """Return every code word in the first column of the table under *heading*."""
    rows = (line.split(" | ")[0] for line in section(heading).splitlines() if line[:1] == "|")
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


def test_every_setting_is_there() -> None:
    fields = {field.name for field in dataclasses.fields(RedisBackendConfig)}

    assert set(first_column("Settings")) == fields
    for settings in (RedisBackendConfig, ValkeyBackendConfig):
        assert all(f"        {name}: " in str(settings.__doc__) for name in fields)


def test_the_errors_are_those_of_the_code() -> None:
    written = "".join(source.read_text(encoding="utf-8") for source in SOURCES)
    joined = re.sub(r'"\s*\n\s*f?"', "", written)
    told = [part.strip() for words in first_column("Errors") for part in words.split("...")]
    ours = [part for part in told if part and part != "Connection refused"]

    assert len(ours) > 15
    assert [part for part in ours if part not in joined] == []


def test_numbers_are_those_of_the_code() -> None:
    kept = RedisBackendConfig().retention
    reliability = (DOCS / "reliability.md").read_text(encoding="utf-8")

    assert (kept.completed, kept.failed, kept.max_finished) == (3600, 7 * 86_400, 100_000)
    assert "completed 1 hour, failed 7 days, at most 100,000 |" in reliability
    assert "**one hour**, failed ones for seven days, and **at most\n  100,000**" in PAGE
    assert (scripts.CONSTANTS["BIG_BYTES"], scripts.CONSTANTS["KEPT_MS"]) == (1024, 60_000)
    assert "larger than 1 KiB" in section("Finished jobs")
    assert "within a minute of its end" in section("Finished jobs")
    assert (connecting.CONNECTIONS, store.DURABLE_MS, checks.OLDEST) == (20, 5000, (6, 2))
    assert "at most 20 for calls" in PAGE
    assert "within five seconds" in section("Durability")
    assert layout.VERSION == "1"
    assert "layout 1" in section("Keys and upgrades")
