"""JSON by the standard library."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from litestar_queues_core.text import clean_surrogates


class JsonSerializer:
    """Encodes plain JSON values, compactly, as UTF-8.

    Lone surrogates, which UTF-8 cannot express, become U+FFFD.  NaN and the infinities are no
    JSON and are refused in both directions.

    Raises:
        TypeError: A value is no plain JSON.
        ValueError: A number is not finite, a value contains itself, or bytes are no JSON.
    """

    def dumps(self, value: object) -> bytes:
        """Encode *value*."""
        try:
            text = "".join(_chunks(value, 0))
        except RecursionError:
            text = _encode(value)  # this one tells a value that contains itself from a deep one
        try:
            return text.encode()
        except UnicodeEncodeError:
            return clean_surrogates(text).encode()

    def loads(self, data: bytes) -> object:
        """Decode *data*."""
        text = data.decode()
        try:
            value, end = _scan(text, 0)
        except StopIteration:
            value, end = None, -1
        return value if end == len(text) else _decode(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _one_encoder() -> Callable[[object, int], Iterable[str]]:
    """Return what ``json`` makes anew for each value, made once: small values take half as long."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # another interpreter than CPython
        return lambda value, _: (_encode(value),)
    escape: Any = getattr(json.encoder, "encode_basestring")  # noqa: B009  (not in the type stubs)
    made: Callable[[object, int], Iterable[str]] = make(
        None, json.JSONEncoder().default, escape, None, ":", ",", False, False, False
    )
    return made


_chunks = _one_encoder()
_decoder: Any = json.JSONDecoder(parse_constant=_refuse)
_decode: Callable[[str], object] = _decoder.decode
_scan: Callable[[str, int], tuple[object, int]] = _decoder.scan_once
"""Reads one value; spares the search for white space around it, which we never write."""
