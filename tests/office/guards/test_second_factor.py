"""Codes against RFC 6238's own vectors, and each used once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.office.guards.second_factor import (
    recovery_codes,
    recovery_digest,
    spend_recovery_code,
    totp_secret,
    totp_uri,
    verify_totp,
)

SECRET = totp_secret(b"12345678901234567890")  # RFC 6238, appendix B
AT = datetime.fromtimestamp(1111111109, UTC)


@pytest.mark.parametrize(
    ("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_rfc_6238(seconds: int, code: str) -> None:
    assert verify_totp(SECRET, code, datetime.fromtimestamp(seconds, UTC), None) == seconds // 30


def test_a_code_works_once_and_no_older_one_after_it() -> None:
    step = verify_totp(SECRET, "081804", AT, None)
    assert step is not None
    assert verify_totp(SECRET, "081804", AT, step) is None
    assert verify_totp(SECRET, "081804", AT, step + 1) is None


def test_one_step_fast_or_slow_and_no_more() -> None:
    found = [verify_totp(SECRET, "081804", AT + timedelta(seconds=30 * k), None) is not None for k in range(-2, 3)]
    assert found == [False, True, True, True, False]


@pytest.mark.parametrize("code", ["", "08180", "0818044", "081805", "abcdef", "\ud800", "０８１８０"])
def test_wrong_codes(code: str) -> None:
    assert verify_totp(SECRET, code, AT, None) is None


def test_codes_as_people_type_them() -> None:
    assert verify_totp(SECRET, "０８１ ８０４", AT, None) is not None


def test_a_time_without_zone_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="time zone"):
        verify_totp(SECRET, "081804", datetime(2026, 1, 1), None)


def test_the_address_that_apps_read() -> None:
    assert totp_uri(SECRET, account="a@example.jp", issuer="基盤").startswith("otpauth://totp/")


@given(st.binary(min_size=150, max_size=150))
def test_recovery_codes_are_spent_one_by_one(random_bytes: bytes) -> None:
    codes = recovery_codes(random_bytes)
    digests = [recovery_digest(code) for code in codes]
    assert len(codes) == 10
    left = spend_recovery_code(codes[3].lower().replace("-", " ").replace("0", "o").replace("1", "l"), digests)
    assert left == [digest for digest in digests if digest != digests[3]]
    assert spend_recovery_code(codes[3], left) is None
    assert spend_recovery_code("", digests) is None


def test_lengths_are_checked() -> None:
    with pytest.raises(ValueError):
        totp_secret(b"short")
    with pytest.raises(ValueError):
        recovery_codes(b"short")
