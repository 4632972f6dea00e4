"""What a run prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from litestar_queues_core.testing.chaos.audit import PROMISES, Figures
from litestar_queues_core.testing.chaos.settings import Settings

SHOWN = 20


@dataclass(kw_only=True, slots=True)
class Report:
    """What came of a run.

    Attributes:
        settings: What it was made of.
        figures: What was counted.
        faults: How often each fault has happened.
        skipped: Faults that the target cannot have, and why.
        deaths: How often processes ended by themselves, by exit code.
        settled_after: Seconds from the last fault until every job had ended; ``None`` if some
            had not when patience ran out.
        seconds: How long it all took.
    """

    settings: Settings
    figures: Figures
    faults: Mapping[str, int]
    skipped: Mapping[str, str]
    deaths: Mapping[str, int] = field(default_factory=dict[str, int])
    settled_after: float | None
    seconds: float

    @property
    def kept(self) -> bool:
        """Whether every promise was kept, and something was there to keep."""
        return self.figures.enqueued > 0 and not any(
            getattr(self.figures, promise) for promise in PROMISES
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "kept": self.kept}

    def __str__(self) -> str:
        figures = self.figures
        again = ", ".join(
            f"{cause} {number}" for cause, number in sorted(figures.run_again.items())
        )
        settled = "not in time" if self.settled_after is None else f"{self.settled_after:.1f} s"
        rows = [
            ("enqueued", figures.enqueued, "acknowledged to their producers"),
            ("unanswered", figures.unanswered, "kept, and their producers never heard of it"),
            ("completed", figures.completed, f"{figures.booked} together with data"),
            *(
                (name, getattr(figures, name), f"must be 0: {what}")
                for name, what in PROMISES.items()
            ),
            ("run again", sum(figures.run_again.values()), again),
            (
                "overlaps, dead",
                figures.overlaps_dead,
                f"with code of a dead lease; the longest {figures.overlaps_dead_seconds} s",
            ),
            ("settled after", settled, "from the last fault"),
            ("faults", sum(self.faults.values()), _listed(self.faults)),
            ("own exits", sum(self.deaths.values()), _listed(self.deaths)),
        ]
        lines = [
            f"{name.replace('_', ' '):>18}  {value!s:>8}  {note}".rstrip()
            for name, value, note in rows
        ]
        lines += [f"{'skipped':>18}  {fault:>8}  {why}" for fault, why in self.skipped.items()]
        lines += [f"BROKEN {what}" for what in figures.broken[:SHOWN]]
        lines += ["BROKEN nothing was enqueued: look at the logs"] * (not figures.enqueued)
        lines.append("every promise kept" if self.kept else "A PROMISE IS BROKEN")
        return "\n".join(lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
