from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from litestar_queues_core.text import (
    MAX_ERROR,
    MAX_KEY,
    bound_text,
    clean_surrogates,
    clean_text,
    storable_key,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_cleaned_text_can_be_stored_and_differs_only_where_it_must(text: str) -> None:
    cleaned = clean_text(text)

    assert "\x00" not in cleaned
    assert cleaned.encode().decode() == cleaned
    assert len(cleaned) == len(text)
    assert all(new in (old, "\ufffd") for old, new in zip(text, cleaned, strict=True))


def test_nul_and_lone_surrogates_become_the_replacement_character() -> None:
    assert clean_text("a\x00b\ud800c\udfffd") == "a\ufffdb\ufffdc\ufffdd"
    assert clean_text("grüße, 世界 🎈\n") == "grüße, 世界 🎈\n"
    assert clean_surrogates("a\x00\ud800") == "a\x00\ufffd"


@given(ANY_TEXT, st.integers(100, 400))
def test_bounded_text_fits_and_short_text_is_left_alone(text: str, limit: int) -> None:
    bounded = bound_text(text * 20, limit)

    assert len(bounded.encode()) <= limit
    if len(clean_text(text * 20).encode()) <= limit:
        assert bounded == clean_text(text * 20)


def test_a_long_traceback_keeps_its_beginning_and_its_end() -> None:
    bounded = bound_text("Traceback" + "x" * 100_000 + "ValueError: at last")

    assert len(bounded.encode()) <= MAX_ERROR
    assert bounded.startswith("Traceback")
    assert bounded.endswith("ValueError: at last")
    assert "bytes or more cut" in bounded


@given(st.lists(ANY_TEXT.filter(bool), min_size=2, max_size=2, unique=True))
def test_different_keys_stay_different(keys: list[str]) -> None:
    first, second = map(storable_key, keys)

    assert first != second
    assert len(first) <= MAX_KEY
    assert clean_text(first) == first


@pytest.mark.parametrize("key", ["file:1", "ä" * MAX_KEY])
def test_a_key_that_can_be_stored_is_stored_as_it_is(key: str) -> None:
    assert storable_key(key) == key


def test_long_keys_are_hashed_and_recognisable() -> None:
    one, other = storable_key("k" * 300 + "1"), storable_key("k" * 300 + "2")

    assert one != other
    assert one.startswith("kkkk")
    assert len(one) == MAX_KEY
