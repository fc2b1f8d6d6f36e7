"""Passwords: what makes one acceptable (NIST SP 800-63B-4, 2025, section 3.1.1) and how it is kept (argon2id)."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kiban.kit.errors import BadInput
from kiban.office.errors import Invalid
from kiban.office.guards.common_passwords import COMMON_PASSWORDS

MIN_CHARS_ALONE = 15  # when the password is all that is asked
MIN_CHARS_WITH_SECOND_FACTOR = 8
MAX_CHARS = 1024

_ROWS = (
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
)
_LEET = str.maketrans("013457@$!", "oieastasi")
_LONGEST_REPEAT = 8


class PasswordHashing:
    """argon2id (RFC 9106) hashes; safe to share between threads.

    Args:
        passes, memory_kib, lanes: the cost. The default is RFC 9106's second recommendation (section 4).
        at_once: hashes computed at the same time, so that many log-ins cannot take all the memory: at most
            `at_once` × `memory_kib`; others wait.
    """

    def __init__(self, *, passes: int = 3, memory_kib: int = 64 * 1024, lanes: int = 4, at_once: int = 4) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
        self._nobodys = _nobodys_hash(passes, memory_kib, lanes)
        self._room = threading.BoundedSemaphore(at_once)

    def hash(self, password: str) -> str:
        """A salted hash with its parameters, in the PHC string format."""
        with self._room:
            return self._hasher.hash(_bytes(password))

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one.

        For an account that does not exist, or that has no password, give `None`: the answer is no after the same work,
        so that its time does not tell which accounts exist.
        """
        if len(password) > MAX_CHARS:
            password = ""  # never a password, and costs no more than one
        with self._room:
            try:
                self._hasher.verify(self._nobodys if stored is None else stored, _bytes(password))
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made at another cost: hash again at the next log-in, when the password is known."""
        try:
            return self._hasher.check_needs_rehash(stored)
        except InvalidHashError:
            return True


@cache
def _nobodys_hash(passes: int, memory_kib: int, lanes: int) -> str:
    """Made before it is needed: made at the first question about an unknown account, it would show in the time."""
    return PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes).hash(b"nobody's password")


def check_password(
    password: str,
    *,
    second_factor: bool,
    about: Iterable[str] = (),
    blocklist: frozenset[str] = frozenset(),
    where: str = "password",
) -> None:
    """Refuse what would be guessed. No rules on kinds of characters and no expiry, as NIST SP 800-63B-4 demands.

    Args:
        second_factor: whether the account asks for one: 8 characters suffice then, 15 otherwise.
        about: what others know of the account: e-mail address, names of the person, organisation and service.
        blocklist: more passwords to refuse, from `read_blocklist`.

    Raises:
        Invalid: too short, too long, common, a repetition or sequence, or made of `about`.
    """
    text = unicodedata.normalize("NFKC", password)
    least = MIN_CHARS_WITH_SECOND_FACTOR if second_factor else MIN_CHARS_ALONE
    if len(text) < least:
        raise Invalid(f"a password needs at least {least} characters", where=where, hint="a sentence is easy to keep")
    if len(password) > MAX_CHARS or len(text) > MAX_CHARS:
        raise Invalid(f"a password has at most {MAX_CHARS:,} characters", where=where)
    if any("\ud800" <= c <= "\udfff" or c == "\x00" for c in text):
        raise Invalid("it contains characters that cannot be typed", where=where)
    folded = text.casefold()
    if _is_common(folded, blocklist):
        raise Invalid("this password is among the first that are tried", where=where, hint="use several words")
    if _is_repetition(folded):
        raise Invalid("it repeats one short piece", where=where, hint="use several words")
    if _is_sequence(folded):
        raise Invalid("it is mostly a sequence of neighbouring keys or letters", where=where, hint="use several words")
    if _is_about(folded, about):
        raise Invalid("it is mostly the account's own address or name", where=where, hint="use several words")


def read_blocklist(path: Path) -> frozenset[str]:
    """Passwords one a line, for example from a published breach corpus.

    Raises:
        BadInput: unreadable or not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the list of passwords: {error}", where=str(path)) from None
    return frozenset(unicodedata.normalize("NFKC", line).casefold() for line in lines if line)


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _is_common(folded: str, blocklist: frozenset[str]) -> bool:
    """Also with digits and signs at the ends, and with look-alikes for letters: P@ssw0rd2026!"""
    forms = {folded, re.sub(r"[\s_.-]", "", folded)}
    forms |= {re.sub(r"\A[\W\d_]+|[\W\d_]+\Z", "", form) for form in forms}
    forms |= {form.translate(_LEET) for form in forms}
    forms |= {re.sub(r"\A[\W\d_]+|[\W\d_]+\Z", "", form) for form in forms}
    return not forms.isdisjoint(COMMON_PASSWORDS) or not forms.isdisjoint(blocklist)


def _is_repetition(folded: str) -> bool:
    for size in range(1, min(_LONGEST_REPEAT, len(folded) // 2) + 1):
        if all(c == folded[i % size] for i, c in enumerate(folded)):
            return True
    return len(set(folded)) < 4


def _is_sequence(folded: str) -> bool:
    """At least three quarters of the characters follow their neighbour on a keyboard row or in the alphabet."""
    pairs = {row[i : i + 2] for row in _ROWS for i in range(len(row) - 1)}
    pairs |= {pair[::-1] for pair in pairs}
    steps = sum(a + b in pairs or a == b for a, b in pairwise(folded))
    return steps >= 0.75 * (len(folded) - 1)


def _is_about(folded: str, about: Iterable[str]) -> bool:
    """Less than eight characters are left without them."""
    words = {unicodedata.normalize("NFKC", text).casefold() for text in about}
    words |= {part for word in words for part in re.split(r"[\W_]+", word)}
    left = folded
    for word in sorted(words, key=lambda word: (-len(word), word)):
        if len(word) >= 3 or (len(word) == 2 and not word.isascii()):
            left = left.replace(word, "")
    return left != folded and len(re.sub(r"[\W\d_]", "", left)) < 4 and len(left) < MIN_CHARS_WITH_SECOND_FACTOR
