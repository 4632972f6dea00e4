"""Answers in one form, whatever version of the protocol they came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from litestar_queues_resp.client import Word


def plain(answer: Any) -> Any:
    """Return an answer as version 2 of the protocol has it: bytes, integers, None, lists."""
    if answer is None or isinstance(answer, bytes):
        return answer
    if isinstance(answer, dict):
        pairs = cast(Mapping[Any, Any], answer).items()
        return [plain(item) for pair in pairs for item in pair]
    if isinstance(answer, list | tuple | set | frozenset):
        return [plain(item) for item in cast(Iterable[Any], answer)]
    if isinstance(answer, float):
        return repr(answer).removesuffix(".0").encode()
    return answer.encode() if isinstance(answer, str) else int(answer)


def needs_plain(protocol: int, words: tuple[Word, ...]) -> bool:
    """Return whether the answer to a command may have another form; that of a script has not."""
    return protocol != 2 and words[0] not in {"EVALSHA", "EVAL"}
