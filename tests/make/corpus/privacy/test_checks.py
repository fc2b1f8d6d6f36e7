"""Check digits against published examples, and by what they are for: a changed digit is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.make.corpus.privacy import checks

BODY_11 = st.text("0123456789", min_size=11, max_size=11)


def test_published_numbers() -> None:
    assert checks.is_my_number("123456789018")  # the specimen on the Digital Agency's pages
    assert checks.is_corporate_number("7000012050002")  # the National Tax Agency's own
    assert checks.is_driving_licence("309012345620")  # the specimen of a licence
    for card in ("4111111111111111", "5555555555554444", "378282246310005", "3530111333300000", "30569309025904"):
        assert checks.is_card(card)  # the card networks' test numbers


@pytest.mark.parametrize("number", ["123456789012", "12345678901", "1234567890180", ""])
def test_no_my_number(number: str) -> None:
    assert not checks.is_my_number(number)


@given(BODY_11)
def test_exactly_one_digit_completes_a_my_number(body: str) -> None:
    fitting = [digit for digit in "0123456789" if checks.is_my_number(body + digit)]
    # Independently: the weighted sum with the check digit is 0 by 11, or the digit is 0 where 10 would be needed.
    weights = [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]
    needed = -sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11
    assert fitting == [str(needed % 10) if needed != 10 else "0"]


@given(st.text("0123456789", min_size=12, max_size=12), st.integers(0, 11), st.integers(1, 8))
def test_a_changed_digit_of_a_corporate_number_is_noticed(body: str, place: int, by: int) -> None:
    first = next(digit for digit in "123456789" if checks.is_corporate_number(digit + body))
    changed = body[:place] + str((int(body[place]) + by) % 10) + body[place + 1 :]
    # Nines complement each other: 0 and 9 count the same, doubled too.
    if (int(changed[place]) - int(body[place])) % 9:
        assert not checks.is_corporate_number(first + changed)


@given(st.text("0123456789", min_size=14, max_size=14), st.integers(0, 13), st.integers(1, 9))
def test_a_changed_digit_of_a_card_is_noticed(middle: str, place: int, by: int) -> None:
    card = next(f"4{middle}{digit}" for digit in "0123456789" if checks.is_card(f"4{middle}{digit}"))
    changed = card[: place + 1] + str((int(card[place + 1]) + by) % 10) + card[place + 2 :]
    assert not checks.is_card(changed)


@pytest.mark.parametrize("number", ["9111111111111111", "411111111111111", "1234567812345670"])
def test_cards_that_nobody_issues(number: str) -> None:
    assert not checks.is_card(number)


@pytest.mark.parametrize(
    ("address", "public"),
    [("8.8.8.8", True), ("2001:4860:4860::8888", True), ("192.0.2.1", False), ("203.0.113.9", False),
     ("10.1.2.3", False), ("2001:db8::1", False), ("224.0.0.1", False), ("300.1.1.1", False),
     ("128.138.12.0", False), ("2001:e20:2000:40f::", False), ("2002::1", False), ("::1:25", False)],
)  # fmt: skip
def test_public_addresses(address: str, public: bool) -> None:
    assert checks.is_public_ip(address) is public


def test_reserved_domains() -> None:
    assert checks.is_reserved_domain("mail.Example.com")
    assert checks.is_reserved_domain("service.test")
    assert not checks.is_reserved_domain("counterexample.com")
