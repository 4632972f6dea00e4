"""Text as every store can hold it."""

from __future__ import annotations

import re

MAX_KEY = 255
MAX_ERROR = 16_384

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Return *text* with NUL and lone surrogates replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def clean_surrogates(text: str) -> str:
    """Return *text* with lone surrogates replaced by U+FFFD, so that it can be encoded."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def bound_text(text: str, limit: int = MAX_ERROR) -> str:
    """Return *text*, cleaned and cut to *limit* bytes of UTF-8.

    The middle is what goes: a traceback says the most at its end, and what it is about at
    its beginning.
    """
    whole = clean_text(text).encode()
    if len(whole) <= limit:
        return whole.decode()
    mark = f"\n[{len(whole) - limit} bytes or more cut]\n"
    head = limit // 4
    tail = limit - head - len(mark)
    return whole[:head].decode(errors="ignore") + mark + whole[-tail:].decode(errors="ignore")


def storable_key(key: str) -> str:
    """Return the form in which a uniqueness key is stored.

    That is the key itself if it has at most 255 characters and nothing to clean, else
    its beginning with a hash, so that different keys stay different.
    """
    cleaned = clean_text(key)
    if cleaned == key and len(key) <= MAX_KEY:
        return key
    return f"{cleaned[: MAX_KEY - 65]}#{digest(key)}"


def digest(text: str) -> str:
    """Return 64 hexadecimal characters that stand for *text*."""
    from hashlib import sha256  # noqa: PLC0415  (not needed by most processes)

    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
