"""Numbers that can be told from others by arithmetic, and addresses that belong to nobody.

All functions take strings of ASCII digits.
"""

from __future__ import annotations

import functools
import ipaddress

# First two digits: the public safety commission that issued the licence.
LICENCE_OFFICES = frozenset(
    [
        "10",
        "11",
        "12",
        "13",
        "14",
        "20",
        "21",
        "22",
        "23",
        "24",
        "25",
        "30",
        "40",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "47",
        "48",
        "49",
        "50",
        "51",
        "52",
        "53",
        "54",
        "55",
        "60",
        "61",
        "62",
        "63",
        "64",
        "65",
        "70",
        "71",
        "72",
        "73",
        "74",
        "80",
        "81",
        "82",
        "83",
        "90",
        "91",
        "92",
        "93",
        "94",
        "95",
        "96",
        "97",
    ]
)
# (first, last, lengths): ranges of leading digits by issuer, ISO/IEC 7812.
CARD_RANGES = (
    ("4", "4", (16,)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),
    ("3528", "3589", (16,)),  # JCB
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("300", "305", (14, 16)),  # Diners Club
    ("36", "36", (14, 16)),
    ("38", "39", (14, 16)),
    ("23", "23", (16,)),
    ("6011", "6011", (16,)),  # Discover
    ("644", "659", (16,)),
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
)
# RFC 2606 and RFC 6761: names that nobody can own.
RESERVED_DOMAINS = ("example.com", "example.net", "example.org", "example.jp", "example.co.jp", "example.ne.jp")
# The latter five stand for "your own" in documentation and are no top-level domains.
RESERVED_ENDS = (
    "example",
    "test",
    "invalid",
    "localhost",
    "localdomain",
    "local",
    "ext",
    "tld",
    "domain",
    "internal",
    "lan",
)


def is_my_number(digits: str) -> bool:
    """12 digits, the last of which checks the others.

    Ordinance of the Ministry of Internal Affairs and Communications No. 85 of 2014, article 5: weights 2 to 7 and 2
    to 6 from the right, 11 minus the remainder by 11, zero where the remainder is 0 or 1.
    """
    if len(digits) != 12:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=False))
    return int(digits[11]) == (0 if total % 11 <= 1 else 11 - total % 11)


def is_corporate_number(digits: str) -> bool:
    """13 digits, the first of which checks the others (Ordinance of the Ministry of Finance No. 70 of 2014)."""
    if len(digits) != 13:
        return False
    total = sum(int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits[1:])))
    return int(digits[0]) == 9 - total % 9


def is_card(digits: str) -> bool:
    """A length and leading digits that an issuer uses, and Luhn's check digit (ISO/IEC 7812-1)."""
    if not any(low <= digits[: len(low)] <= high and len(digits) in lengths for low, high, lengths in CARD_RANGES):
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_driving_licence(digits: str) -> bool:
    """12 digits: office, year of issue, six of the office's own, a check digit, and how often it was issued again.

    The check digit is (11 - sum mod 11) mod 10 with weights 5 4 3 2 7 6 5 4 3 2. Two remainders give the digit 1, so
    that it tells less than its modulus promises.
    """
    if len(digits) != 12 or digits[:2] not in LICENCE_OFFICES:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=False))
    return int(digits[10]) == (11 - total % 11) % 10


def is_article_number(digits: str) -> bool:
    """A 13-digit EAN, JAN or ISBN: its check digit fits and it begins as those of books or Japanese goods do."""
    if len(digits) != 13 or digits[:2] not in ("45", "49", "97"):
        return False
    return sum(int(digit) * (1 + 2 * (place % 2)) for place, digit in enumerate(digits)) % 10 == 0


def is_moment(digits: str) -> bool:
    """12 or 14 digits that read as year, month, day, hour, minute (and second) of 1900 to 2099."""
    if len(digits) not in (12, 14) or digits[:2] not in ("19", "20"):
        return False
    return 1 <= int(digits[4:6]) <= 12 and 1 <= int(digits[6:8]) <= 31 and digits[8:10] < "24" and digits[10:12] < "60"


def is_reserved_domain(domain: str) -> bool:
    """Whether a host name is one for examples and tests: mail to it reaches nobody."""
    domain = domain.lower().rstrip(".")
    last = domain.rpartition(".")[2]
    return last in RESERVED_ENDS or any(domain == name or domain.endswith("." + name) for name in RESERVED_DOMAINS)


@functools.lru_cache(4096)
def is_public_ip(address: str) -> bool:
    """Whether it is the address of a host that the Internet routes.

    Not private, of documentation, loopback or multicast; not a network's own (198.51.0.0, 2001:e20::), nor in IPv6 one
    outside of what is given out (2000::/3) or inside 6to4 (2002::/16).
    """
    if ":" in address and "::" not in address and address.count(":") != 7:
        return False  # a time, most often
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not parsed.is_global or parsed.is_multicast:
        return False
    if parsed.version == 4:
        return int(parsed) & 0xFF != 0
    return int(parsed) >> 125 == 1 and int(parsed) >> 112 != 0x2002 and int(parsed) & (2**64 - 1) != 0
