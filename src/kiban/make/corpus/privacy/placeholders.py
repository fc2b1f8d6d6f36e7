"""What stands in the place of personal data: 〈電話番号〉, or 〈電話番号 bkdfmhrtwz〉 as the same number's pseudonym.

Angle brackets of CJK are one token each in a Japanese vocabulary, stay what they are under NFKC, and are rare in text;
the words inside are ordinary ones. A pseudonym is ten consonants: no rule of this package takes them for a number, a
key or a word, so that a second pass changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

from kiban.make.corpus.privacy.config import Kind

LABELS: dict[Kind, str] = {
    "email": "メールアドレス",
    "phone": "電話番号",
    "my_number": "個人番号",
    "corporate_number": "法人番号",
    "card": "カード番号",
    "passport": "旅券番号",
    "residence_card": "在留カード番号",
    "driving_licence": "免許証番号",
    "bank_account": "口座番号",
    "postal_code": "郵便番号",
    "address": "住所",
    "person_name": "氏名",
    "birth_date": "生年月日",
    "ip_address": "IPアドレス",
    "secret": "秘密情報",
}
CONSONANTS = "bcdfghjkmnpqrstvwxyz"
PSEUDONYM_LETTERS = 10  # 20^10: among a million values one pair is equal by chance in twenty corpora
PLACEHOLDER = re.compile(f"〈(?:{'|'.join(LABELS.values())})(?: [{CONSONANTS}]{{{PSEUDONYM_LETTERS}}})?〉")
NO_MEANING = re.compile(r"[\s\-‐‑‒–—―−ー()（）.]+")
NUMBERS = frozenset(
    (
        "phone",
        "my_number",
        "corporate_number",
        "card",
        "passport",
        "residence_card",
        "driving_licence",
        "bank_account",
        "postal_code",
    )
)


def mask(kind: Kind) -> str:
    return f"〈{LABELS[kind]}〉"


def pseudonym(kind: Kind, value: str, key: bytes) -> str:
    number = int.from_bytes(keyed_hash(kind, value, key), "big")
    letters = []
    for _ in range(PSEUDONYM_LETTERS):
        number, letter = divmod(number, len(CONSONANTS))
        letters.append(CONSONANTS[letter])
    return f"〈{LABELS[kind]} {''.join(letters)}〉"


def keyed_hash(kind: Kind, value: str, key: bytes) -> bytes:
    """HMAC-SHA256 of a value in the one form that all its spellings share, and of its kind."""
    return hmac.digest(key, f"{kind}\0{one_form(kind, value)}".encode(), hashlib.sha256)


def one_form(kind: Kind, value: str) -> str:
    """０９０－１２３４… and +81 90-1234… as 0901234…; 山田 太郎 as 山田太郎; e-mail in lower case."""
    folded = unicodedata.normalize("NFKC", value)
    if kind in NUMBERS:
        bare = NO_MEANING.sub("", folded)
        return re.sub(r"^\+810?", "0", bare) if kind == "phone" else bare
    if kind == "email":
        return folded.lower()
    return folded if kind == "secret" else re.sub(r"\s+", "", folded)
