"""What is raised when a store does what the model does not allow."""

from __future__ import annotations

from collections.abc import Sequence


class Mismatch(Exception):
    """An answer, or the state after it, is not allowed.

    Attributes:
        promise: Which promise of a store was broken.
        allowed: What the model allows.
        answered: What the store answered, or how it stands.
    """

    def __init__(self, promise: str, *, allowed: object, answered: object) -> None:
        super().__init__(promise)
        self.promise, self.allowed, self.answered = promise, allowed, answered


def demand(holds: bool, promise: str, *, allowed: object, answered: object) -> None:
    """Raise :class:`Mismatch` unless something holds."""
    if not holds:
        raise Mismatch(promise, allowed=allowed, answered=answered)


class Disagreement(AssertionError):
    """A store broke a promise; the message holds the whole script that shows it.

    Attributes:
        promise: The promise, in a few words.
        step: The step that showed it.
        allowed: What the model allows.
        answered: What the store answered, or how it stands after the step.
        script: All steps with their answers, one line each.
    """

    def __init__(self, mismatch: Mismatch, *, step: str, script: Sequence[str]) -> None:
        self.promise = mismatch.promise
        self.allowed, self.answered = mismatch.allowed, mismatch.answered
        self.step, self.script = step, tuple(script)
        super().__init__(
            f"{self.promise}\n"
            f"  step:  {step}\n"
            f"  model: {self.allowed}\n"
            f"  store: {self.answered}\n"
            f"The whole script:\n" + "\n".join(f"  {line}" for line in self.script)
        )
