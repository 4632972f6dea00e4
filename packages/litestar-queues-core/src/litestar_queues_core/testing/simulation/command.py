"""The command line of the simulator."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from litestar_queues_core.testing.simulation.history import History
from litestar_queues_core.testing.simulation.referee import Violation

PROGRAM = "python -m litestar_queues_core.testing.simulation"
EVERY = 100

logger = logging.getLogger("litestar_queues")


@dataclass(slots=True)
class Report:
    """What came of many histories.

    Attributes:
        histories: How many were lived through.
        violations: What was violated, by seed.
        counts: What happened to jobs.
        faults: What happened to processes and calls.
        virtual_seconds: How long it took those who took part.
        seconds: How long it took.
    """

    histories: int = 0
    violations: dict[int, str] = field(default_factory=dict[int, str])
    counts: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    virtual_seconds: float = 0.0
    seconds: float = 0.0

    def add(self, history: History, violation: Violation | None) -> None:
        """Add one history."""
        self.histories += 1
        self.counts += history.referee.counts
        self.faults += history.network.faults
        self.virtual_seconds += history.ended
        if violation is not None:
            self.violations[history.seed] = str(violation)

    def __str__(self) -> str:
        took = f"{self.virtual_seconds:.0f} virtual seconds in {self.seconds:.1f} s"
        lines = [
            f"{self.histories} histories, {took}",
            "jobs:   " + ", ".join(f"{what} {n}" for what, n in sorted(self.counts.items())),
            "faults: " + ", ".join(f"{what} {n}" for what, n in sorted(self.faults.items())),
            f"violations: {len(self.violations)}",
        ]
        for seed, what in self.violations.items():
            lines += [f"  seed {seed}: {what}", f"    replay: {PROGRAM} --seed {seed}"]
        return "\n".join(lines)


def simulate(seeds: Sequence[int], *, progress: bool = False) -> Report:
    """Live through the histories of *seeds*; violations are collected, not raised.

    The log of the workers is silent meanwhile: in these histories everything fails.
    """
    report, begun = Report(), time.monotonic()
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        for number, seed in enumerate(seeds, start=1):
            report.add(history := History(seed), _violation(history))
            if progress and number % EVERY == 0:
                print(f"\r{number} of {len(seeds)} histories", end="", file=sys.stderr)
    finally:
        logger.setLevel(level)
        if progress:
            print(file=sys.stderr)
    report.seconds = time.monotonic() - begun
    return report


def _violation(history: History) -> Violation | None:
    try:
        history.run()
    except Violation as violation:
        return violation
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; 1 if a promise was broken."""
    options = _parser().parse_args(arguments)
    if options.seed is not None:
        return _replay(options.seed)
    seeds = range(options.first, options.first + options.histories)
    report = simulate(seeds, progress=sys.stderr.isatty())
    if options.json:
        shown = {name: getattr(report, name) for name in Report.__slots__}
        print(json.dumps(shown, indent=2))
    else:
        print(report)
    return 1 if report.violations else 0


def _replay(seed: int) -> int:
    history = History(seed)
    violation = _violation(history)
    for moment, who, what in history.referee.story:
        print(f"{moment:10.4f}  {who:10}  {what}")
    print(f"violation: {violation}" if violation else "no promise was broken")
    return 1 if violation else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Run real workers against the memory store on a virtual clock, with faults, "
        "and check every promise at every step. One seed is one history.",
    )
    parser.add_argument("--seed", type=int, help="live through this one and tell its story")
    parser.add_argument("--histories", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser
