"""API tokens, session ids, invitation and set-up codes: recognisable by scanners, kept as digests only.

A secret is `PREFIX_` + 43 characters (256 random bits in base 62) + 6 characters (CRC-32 of what is before, in base
62). The checksum lets a secret scanner tell a real secret from noise without asking us; it protects nothing.
The regular expression for scanners is `SCANNER_PATTERN`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import string
import zlib
from enum import StrEnum

RANDOM_BYTES = 32

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY_CHARS, _CHECK_CHARS = 43, 6


class Secret(StrEnum):
    """What a secret is for; its value is the prefix."""

    API_TOKEN = "kbn"
    SESSION = "kbs"
    INVITATION = "kbi"
    FIRST_RUN = "kbf"


SCANNER_PATTERN = r"\bkb[nsif]_[0-9A-Za-z]{49}\b"
_SHAPE = re.compile(r"(kb[nsif])_([0-9A-Za-z]{43})([0-9A-Za-z]{6})", re.ASCII)


def new_token(random_bytes: bytes, kind: Secret = Secret.API_TOKEN) -> str:
    """The text that its holder gets to see once.

    Args:
        random_bytes: 32 bytes from the operating system's generator.

    Raises:
        ValueError: fewer or more bytes.
    """
    if len(random_bytes) != RANDOM_BYTES:
        raise ValueError(f"a token is made of {RANDOM_BYTES} random bytes, not {len(random_bytes)}")
    body = f"{kind.value}_{_base62(int.from_bytes(random_bytes), _BODY_CHARS)}"
    return body + _checksum(body)


def is_token(text: str, kind: Secret = Secret.API_TOKEN) -> bool:
    """Whether `text` has the shape and checksum of such a secret. Says nothing about whether it was ever given out."""
    found = _SHAPE.fullmatch(text)
    return found is not None and found[1] == kind.value and found[3] == _checksum(f"{found[1]}_{found[2]}")


def token_digest(text: str) -> str:
    """SHA-256 in hex: what is stored and looked up.

    A slow hash would add nothing, since 256 random bits cannot be guessed.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def same_digest(one: str, other: str) -> bool:
    """Compare two digests in time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def token_hint(text: str) -> str:
    """The part that may be shown in a list, for people to tell their tokens apart: prefix and last four characters."""
    return f"{text[:3]}_…{text[-4:]}"


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK_CHARS)


def _base62(number: int, chars: int) -> str:
    digits = []
    for _ in range(chars):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
