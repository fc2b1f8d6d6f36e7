"""E-mail addresses, IPv6 addresses and secrets: what stands in runs of ASCII, or of full-width ASCII."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from kiban.make.corpus.privacy import checks
from kiban.make.corpus.privacy.finding import Finding

WIDE = str.maketrans({code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)})
ANY_WIDE = re.compile("[\uff01-\uff5e]")
LOCAL_MOST, DOMAIN_MOST = 64, 253  # RFC 5321
# No \b: kana and kanji are letters to `re`, and an address is often followed by one at once.
LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-][A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]*$", re.ASCII)
DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9-]{1,59})", re.ASCII
)
OPENING = "!#$%&'*/=?^`{|}~"
FILE_ENDS = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "css",
        "js",
        "html",
        "htm",
        "py",
        "txt",
        "service",
        "socket",
        "target",
        "conf",
    ]
)
USER_INFO = re.compile(r"://[^\s/@:]{0,64}:([^\s/@]{3,128})$")

KNOWN_KEYS = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
    r"|glpat-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{20,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{35}"
    r"|ya29\.[A-Za-z0-9_-]{20,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{40,}"
    r"|hf_[A-Za-z0-9]{30,}|sk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}|dop_v1_[a-f0-9]{64}"
    # Only where no part of a token stands before: else eyJ-eyJ-eyJ-… would be read to its end from each eyJ.
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})(?![A-Za-z0-9])"
)
KEY_BEFORE = re.compile(
    r"(?i:api[_-]?key|secret|token|passw(?:or)?d|access[_-]?key|credential|bearer|private[_-]?key|client[_-]?secret"
    r"|APIキー|アクセスキー|シークレット|トークン)[A-Za-z_]{0,16}[\"']?"
    r"(?:\s{0,2}(?::=|=>|[:=：＝は])\s{0,2}[\"'「]?|\s[\"'「])$|(?i:bearer|authorization:? token)\s$"
)
SIGN_BEFORE = re.compile("[:=>：＝は\"'「\\s]")  # how what KEY_BEFORE finds can end
TOKEN_PART = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_+/-]{15,}={0,2}")
KEY_ENTROPY_BITS = 3.2
PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
PRIVATE_KEY_END = "-----END "
PRIVATE_KEY_MOST = 20_000
ASSIGNED = re.compile(
    r"[A-Za-z_]{0,24}[\"']?(?:\s{0,2}(?::=|=>|[:=：＝])\s{0,2}|\s?は\s?)(?:\"([^\"\s]{6,64})\"|'([^'\s]{6,64})'|「([!-~]{6,64})」"
    r"|([!-~]{6,64}))"
)
NO_PASSWORD = re.compile(
    r"[<\[({$%*.]|x{4}|X{4}|.*(?i:password|passwd|secret|your|example|changeme|none$|null$|true$|false$|hoge|dummy|sample)"
    r"|[\w.]+\("
)
IP_V6 = re.compile(r"(?<![A-Za-z0-9:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![A-Za-z0-9:])")


def emails(text: str, signs: Sequence[Sequence[int]]) -> Iterator[Finding]:
    """E-mail addresses, and passwords in front of a host name.

    Args:
        signs: the SIGNs of `scan.look`.
    """
    ends = {"@": 0, "＠": 0}
    for place, *_ in signs:
        sign, after = text[place], text[place + 1 : place + 2]
        if place < ends[sign] or not after.isalnum() or (sign == "@" and not after.isascii()):
            continue
        if found := _email(text, place):
            yield found
            ends[sign] = found.end


def _email(text: str, at: int) -> Finding | None:
    first = max(0, at - 200)
    left = _narrow(text[first:at])
    if inside := USER_INFO.search(left):
        if NO_PASSWORD.match(inside[1]) or inside[1] in ("pass", "passwd", "pw"):
            return None
        return Finding(first + inside.start(1), at, "secret", "password in an address")
    local = LOCAL.search(left, max(0, len(left) - LOCAL_MOST))
    domain = DOMAIN.match(_narrow(text[at + 1 : at + 2 + DOMAIN_MOST]))
    if not local or not domain or checks.is_reserved_domain(domain[0]):
        return None
    if domain[0].rpartition(".")[2].lower() in FILE_ENDS:
        return None
    start = first + local.start() + len(local[0]) - len(local[0].lstrip(OPENING))
    if start >= at or text[at - 1] == ".":
        return None
    return Finding(start, at + 1 + domain.end(), "email", "form")


def _narrow(piece: str) -> str:
    # Translating takes a look-up for each character; what has nothing to translate is seen much sooner.
    return piece.translate(WIDE) if ANY_WIDE.search(piece) else piece


def in_tokens(text: str, runs: Sequence[Sequence[int]]) -> Iterator[Finding]:
    """Keys by their prefix or by the word before them, and IPv6 addresses, in runs of ASCII.

    Args:
        runs: beginning and end of each, from `scan.look`.
    """
    for begin, end, *_ in runs:
        token = text[begin:end]
        if token.count(":") >= 2:
            for match in IP_V6.finditer(token):
                if checks.is_public_ip(match[0]):
                    yield Finding(begin + match.start(), begin + match.end(), "ip_address", "public")
        if end - begin < 16:
            continue
        known = False
        for match in KNOWN_KEYS.finditer(token):
            known = True
            yield Finding(begin + match.start(), begin + match.end(), "secret", "prefix")
        if known:
            continue
        for match in TOKEN_PART.finditer(token):
            start = begin + match.start()
            before = text[max(0, start - 48) : start]
            if SIGN_BEFORE.match(before[-1:]) and KEY_BEFORE.search(before) and _random(match[0]):
                yield Finding(begin + match.start(), begin + match.end(), "secret", "key by name")


def _random(token: str) -> bool:
    """Whether its characters are as mixed as those of a key: Shannon entropy, letters and digits."""
    counts = Counter(token).values()
    entropy = -sum(count / len(token) * math.log2(count / len(token)) for count in counts)
    return (
        entropy >= KEY_ENTROPY_BITS and any(each.isdigit() for each in token) and any(each.isalpha() for each in token)
    )


def private_key_at(text: str, place: int) -> Finding | None:
    """The PEM block of a private key, whole, or as far as it goes."""
    match = PRIVATE_KEY.match(text, place)
    if not match:
        return None
    end = text.find(PRIVATE_KEY_END, match.end(), match.end() + PRIVATE_KEY_MOST)
    if end >= 0:
        closing = text.find("-----", end + len(PRIVATE_KEY_END), end + 80)
        end = closing + 5 if closing >= 0 else end + len(PRIVATE_KEY_END)
    else:
        end = match.end()
    return Finding(place, end, "secret", "private key")


def password_at(text: str, end_of_word: int) -> Finding | None:
    """A password given after the word that ends at `end_of_word`: `password: …`, `パスワードは…`."""
    match = ASSIGNED.match(text, end_of_word, end_of_word + 128)
    if not match or match.lastindex is None:
        return None
    value = match[match.lastindex].rstrip("\"'`.,;)」")
    if len(value) < 6 or NO_PASSWORD.match(value):
        return None
    classes = (any(test(each) for each in value) for test in (str.islower, str.isupper, str.isdigit))
    if sum(classes) + any(not each.isalnum() for each in value) < 2 or not any(each.isdigit() for each in value):
        return None
    start = match.start(match.lastindex)
    return Finding(start, start + len(value), "secret", "password")
