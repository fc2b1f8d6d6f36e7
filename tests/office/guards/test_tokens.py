"""Tokens that can be told from noise, and are kept as digests."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.office.guards.tokens import (
    SCANNER_PATTERN,
    Secret,
    is_token,
    new_token,
    same_digest,
    token_digest,
    token_hint,
)

BYTES = st.binary(min_size=32, max_size=32)


@given(BYTES, st.sampled_from(Secret))
def test_every_token_is_one_and_is_found_in_text(random_bytes: bytes, kind: Secret) -> None:
    token = new_token(random_bytes, kind)
    assert is_token(token, kind)
    assert [other for other in Secret if is_token(token, other)] == [kind]
    assert re.findall(SCANNER_PATTERN, f"key={token}\n") == [token]


@given(BYTES, BYTES)
def test_other_bytes_are_another_token(one: bytes, other: bytes) -> None:
    assert (new_token(one) == new_token(other)) is (one == other)


@given(BYTES, st.integers(4, 52), st.sampled_from("0aZ"))
def test_a_mistyped_token_is_none(random_bytes: bytes, position: int, character: str) -> None:
    token = new_token(random_bytes)
    changed = token[:position] + character + token[position + 1 :]
    assert is_token(changed) is (changed == token)


@pytest.mark.parametrize("text", ["", "kbn_", "kbn_" + "0" * 49, "kbn_" + "é" * 49, "\ud800"])
def test_what_is_no_token(text: str) -> None:
    assert not is_token(text)
    assert len(token_digest(text)) == 64


def test_digests_compare_and_hints_hide() -> None:
    token = new_token(bytes(range(32)))
    assert same_digest(token_digest(token), token_digest(token))
    assert not same_digest(token_digest(token), token_digest(token + " "))
    assert token_hint(token) == f"kbn_…{token[-4:]}"
    with pytest.raises(ValueError):
        new_token(b"short")
