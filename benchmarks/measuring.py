"""What the benchmarks share: repeating, tables, JSON."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median


@dataclass(kw_only=True)
class Figure:
    """One line of a table.

    Attributes:
        what: What was measured.
        value: The median.
        unit: Of the value.
        target: What we promise, as a comparison with the value: ``<= 2.5``.
    """

    what: str
    value: float
    unit: str
    target: str = ""

    @property
    def verdict(self) -> str:
        """Whether the target is met; empty without one."""
        if not self.target:
            return ""
        relation, bound = self.target.split()
        met = self.value <= float(bound) if relation == "<=" else self.value >= float(bound)
        return "ok" if met else "MISSED"


def arguments(description: str | None, **defaults: int) -> argparse.Namespace:
    """Read the command line: ``--json FILE`` and a number for each of *defaults*."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    return parser.parse_args()


def repeat(times: int, *measures: Callable[[], float]) -> list[float]:
    """Return the median of each measure; they take turns, so that noise hits all alike."""
    values: list[list[float]] = [[] for _ in measures]
    for _ in range(times):
        for place, measure in enumerate(measures):
            values[place].append(measure())
    return [median(some) for some in values]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of all values lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def report(title: str, figures: Sequence[Figure], file: Path | None) -> None:
    """Print a table; write it as JSON as well if a file is given."""
    print(f"\n{title} ({platform.python_implementation()} {platform.python_version()})")
    width = max((len(figure.what) for figure in figures), default=0)
    for one in figures:
        line = f"  {one.what:<{width}}  {one.value:>10.2f} {one.unit:<8}"
        print(f"{line} {one.target:<9} {one.verdict}".rstrip())
    sys.stdout.flush()
    if file is not None:
        rows = [asdict(one) | {"verdict": one.verdict} for one in figures]
        file.write_text(json.dumps({"title": title, "figures": rows}, indent=2) + "\n")
