"""Which promises a store keeps.

``python -m litestar_queues_core.testing.scorecard --store sqlite`` prints a table of them.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import itertools
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest import SkipTest

from litestar_queues_core.errors import QueueError
from litestar_queues_core.exits import WRONG
from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.testing.chaos.targets import ChaosTarget, SupportsServer, make_target
from litestar_queues_core.testing.conformance import BackendConformance, StoreConformance
from litestar_queues_core.testing.model import Disagreement, check_model

MODULE = "litestar_queues_core.testing.scorecard"
CHAOS = "litestar_queues_core.testing.chaos"
TEST_SECONDS = 60.0

AT_LEAST_ONCE = "at least once"
ONE_ENDING = "one recorded ending per attempt"
NOT_TAKEN = "no healthy job is taken away"
NOT_STUCK = "no job is stuck"
QUARANTINE = "a job that kills workers is quarantined"
KEYS = "a key has one holder"
SHOWN = "what is shown is true"
WOKEN = "whoever waits is woken"
AGREES = "every answer is as a plain model says"

PROMISES = {
    "Enqueueing": AT_LEAST_ONCE,
    "Claiming": AT_LEAST_ONCE,
    "BackendConformance": AT_LEAST_ONCE,
    "Exchanging": ONE_ENDING,
    "Settling": ONE_ENDING,
    "Cancelling": ONE_ENDING,
    "Leases": NOT_TAKEN,
    "Maintaining": NOT_STUCK,
    "Rescuing": QUARANTINE,
    "Keys": KEYS,
    "Browsing": SHOWN,
    "EventLog": SHOWN,
    "Checking": SHOWN,
    "Signals": WOKEN,
}
"""Of each part of the conformance suite, what it is about."""

COUNTED = {
    AT_LEAST_ONCE: ("lost", "ended_otherwise"),
    ONE_ENDING: ("settled_twice", "wrong_result", "started_twice"),
    NOT_TAKEN: ("taken_from_healthy", "overlaps", "unexplained"),
    NOT_STUCK: ("stuck", "unstopped"),
}
"""Of each promise, which figures of a chaos run must be zero."""

KEPT, BROKEN, SKIPPED = "kept", "BROKEN", "skipped"

Tell = Callable[[str], None]


@dataclass(kw_only=True, slots=True)
class Row:
    """One promise, held against a store in one way.

    Attributes:
        promise: What is promised.
        check: ``conformance``, ``model`` or ``chaos``.
        figures: What was counted.
        verdict: ``kept``, ``BROKEN`` or ``skipped``.
        why: What broke it, or why it was skipped.
    """

    promise: str
    check: str
    figures: str
    verdict: str
    why: Sequence[str] = ()


@dataclass(slots=True)
class Part:
    """What came of the parts of the conformance suite about one promise."""

    passed: int = 0
    skipped: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])

    def row(self, promise: str) -> Row:
        """Return it as a row."""
        figures = [f"{self.passed} tests"]
        figures += [f"{len(self.failed)} failed"] * bool(self.failed)
        figures += [f"{len(self.skipped)} skipped"] * bool(self.skipped)
        nothing = not (self.passed or self.failed)
        verdict = BROKEN if self.failed else SKIPPED if nothing else KEPT
        return Row(
            promise=promise,
            check="conformance",
            figures="-" if nothing else ", ".join(figures),
            verdict=verdict,
            why=self.failed or (sorted({*self.skipped}) if nothing else ()),
        )


class Scorecard:
    """Holds a target against everything there is.

    Args:
        store: The target, by name or as ``module:attribute``.
        workspace: An empty directory.
        scripts: How many random scripts the model check runs.
        seconds: How long things go wrong in the chaos run.
        seed: Decides both.
        tell: Called with what is being done.

    Attributes:
        notes: What went wrong in the chaos run, and what could not.
    """

    def __init__(
        self,
        store: str,
        workspace: Path,
        *,
        scripts: int = 20,
        seconds: float = 15.0,
        seed: int = 0,
        tell: Tell = lambda line: None,
    ) -> None:
        self._store = store
        self._target = make_target(store, workspace)
        self._scripts = scripts
        self._seconds = seconds
        self._seed = seed
        self._tell = tell
        self._numbers = itertools.count(1)
        self.notes: list[str] = []

    async def rows(self) -> list[Row]:
        """Check everything."""
        async with _running(self._target):
            rows = [*await self._conformance(), await self._model()]
        return [*rows, *await self._chaos()]

    def _fresh(self) -> BackendConfig:
        return self._target.config(f"set{next(self._numbers)}")

    async def _conformance(self) -> list[Row]:
        parts: dict[str, Part] = {}
        for kind in (*StoreConformance.__bases__, BackendConformance):
            self._tell(f"conformance: {kind.__name__}")
            part = parts.setdefault(PROMISES[kind.__name__], Part())
            for name in dir(kind):
                if name.startswith("test_"):
                    await self._test(part, name, getattr(kind(), name))
        return [part.row(promise) for promise, part in parts.items()]

    async def _test(self, part: Part, name: str, test: Callable[..., Any]) -> None:
        """Run one test with the store or the backend that it asks for."""
        backend = self._fresh()
        try:
            async with asyncio.timeout(TEST_SECONDS):
                if "backend" in inspect.signature(test).parameters:
                    await test(backend=backend)
                else:
                    async with backend.open() as store:
                        await test(store=store)
        except SkipTest as reason:
            part.skipped.append(str(reason))
        except Exception as error:  # noqa: BLE001  (whatever it is, the test has failed)
            said = str(error) or traceback.extract_tb(error.__traceback__)[-1].line
            part.failed.append(f"{name}: {type(error).__name__}: {said}")
        else:
            part.passed += 1

    async def _model(self) -> Row:
        self._tell(f"model: {self._scripts} scripts")
        row = Row(promise=AGREES, check="model", figures="-", verdict=KEPT)
        try:
            report = await check_model(
                lambda: self._fresh().open(), seed=self._seed, scripts=self._scripts
            )
        except Disagreement as error:
            row.verdict, row.why = BROKEN, [str(error)]
        else:
            row.figures = f"{report.steps.total()} steps of {report.scripts} scripts agree"
        return row

    async def _chaos(self) -> list[Row]:
        if isinstance(self._fresh(), MemoryBackendConfig):
            why = ["one process sees its jobs"]
            return [
                Row(promise=promise, check="chaos", figures="-", verdict=SKIPPED, why=why)
                for promise in COUNTED
            ]
        self._tell(f"chaos: {self._seconds:g} seconds, then quiet")
        command = [sys.executable, "-m", CHAOS, "--store", self._store, "--json"]
        command += ["--seed", str(self._seed), "--seconds", str(self._seconds)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        if not output:
            raise QueueError(f"the chaos run ended with {process.returncode}")
        report = json.loads(output)
        self.notes = _notes(report)
        return [_chaos_row(promise, names, report) for promise, names in COUNTED.items()]


def _chaos_row(promise: str, names: Sequence[str], report: dict[str, Any]) -> Row:
    figures = report["figures"]
    counted = ", ".join(f"{figures[name]} {name.replace('_', ' ')}" for name in names)
    broken = [what for what in figures["broken"] if what.partition(":")[0] in names]
    return Row(
        promise=promise,
        check="chaos",
        figures=f"{figures['enqueued']} jobs: {counted}",
        verdict=BROKEN if broken or not figures["enqueued"] else KEPT,
        why=broken,
    )


def _notes(report: dict[str, Any]) -> list[str]:
    """Return what has gone wrong in a chaos run, and what could not."""
    happened = ", ".join(f"{name} {number}" for name, number in sorted(report["faults"].items()))
    skipped: dict[str, list[str]] = {}
    for name, why in report["skipped"].items():
        skipped.setdefault(why, []).append(name)
    return [
        f"chaos: {happened}",
        *(f"chaos without {', '.join(names)}: {why}" for why, names in skipped.items()),
    ]


@asynccontextmanager
async def _running(target: ChaosTarget) -> AsyncGenerator[None]:
    """Let the target's server run in this block, if it has one."""
    if not isinstance(target, SupportsServer):
        yield
        return
    try:
        await asyncio.to_thread(target.start)
        yield
    finally:
        await asyncio.to_thread(target.stop)


def table(rows: Sequence[Row]) -> str:
    """Return rows as text, those of one promise together."""
    order = list(dict.fromkeys(row.promise for row in rows))
    lines = [("promise", "checked by", "figures", "verdict")]
    for row in sorted(rows, key=lambda row: order.index(row.promise)):
        why = f": {row.why[0].splitlines()[0]}" if row.why else ""
        lines.append((row.promise, row.check, row.figures, row.verdict + why))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    shown = ["  ".join([*map(str.ljust, line, widths), line[3]]) for line in lines]
    broken = [row for row in rows if row.verdict == BROKEN]
    details = [f"\nBROKEN {row.promise}: {why}" for row in broken for why in row.why]
    return "\n".join([*shown, *details])


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; 1 if a promise is broken."""
    options = _parser().parse_args(arguments)
    begun = time.monotonic()

    def tell(line: str) -> None:
        if options.verbose or sys.stderr.isatty():
            print(f"{time.monotonic() - begun:5.0f} s  {line}", file=sys.stderr, flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="scorecard-") as workspace:
            card = Scorecard(
                options.store,
                Path(workspace),
                scripts=options.scripts,
                seconds=options.seconds,
                seed=options.seed,
                tell=tell,
            )
            rows = asyncio.run(card.rows())
    except QueueError as error:
        sys.stderr.write(f"error: {error}\n")
        return WRONG
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "notes": card.notes}, indent=2))
    else:
        print("\n".join([table(rows), *card.notes]))
    return 1 if any(row.verdict == BROKEN for row in rows) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        description="Hold a store against the conformance suite, the model and a short chaos run, "
        "and print which promises it keeps.  The exit code is 1 if one is broken.",
    )
    add = parser.add_argument
    add("--store", required=True, help="memory, sqlite, another target, or module:attribute")
    add("--scripts", type=int, default=20, help="random scripts for the model (default: 20)")
    add("--seconds", type=float, default=15.0, help="how long things go wrong (default: 15)")
    add("--seed", type=int, default=0, help="decides both (default: 0)")
    add("--json", action="store_true", help="print JSON")
    add("--verbose", action="store_true", help="tell what is being done, terminal or not")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
