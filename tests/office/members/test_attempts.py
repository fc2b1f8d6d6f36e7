from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.office.errors import TooMany
from kiban.office.members import attempts
from kiban.office.members.attempts import ACCOUNT, Limit, network_of
from kiban.office.office import Office
from kiban.office.work import SYSTEM

from ..conftest import TestClock

LIMIT = Limit("test", 2, timedelta(hours=1), timedelta(seconds=10), timedelta(seconds=25))


@given(st.integers(0, 10_000))
def test_locks_only_grow_and_end(tried: int) -> None:
    assert ACCOUNT.lock(tried) <= ACCOUNT.lock(tried + 1) <= ACCOUNT.longest_lock
    assert (ACCOUNT.lock(tried) == timedelta(0)) == (tried < ACCOUNT.free)


def test_an_account_is_tried_far_less_than_100_times_a_day() -> None:
    """NIST SP 800-63B-4, section 3.2.2."""
    waited, tried = timedelta(0), 0
    while waited < timedelta(days=1):
        tried += 1
        waited += ACCOUNT.lock(tried)
    assert tried < 50


def test_a_refused_use_is_not_counted_so_that_a_lock_ends(office: Office, clock: TestClock) -> None:
    def use() -> None:
        with office.work(SYSTEM) as work:
            attempts.claim(work, LIMIT, "somebody")

    for expected in (0, 0, 10, 20, 25, 25):
        if expected:
            for _ in range(3):
                with pytest.raises(TooMany) as caught:
                    use()
                assert caught.value.retry_after_seconds == expected
            clock.forward(seconds=expected)
        use()
    with office.work(SYSTEM) as work:
        attempts.claim(work, LIMIT, "somebody else")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_an_ipv6_network_counts_as_one_caller(address: str, network: str) -> None:
    assert network_of(address) == network
