"""What is wrong with a translation, as far as a machine can tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

_PERCENT = re.compile(r"%(?:\((\w+)\)[sd]|(%)|(.?))", re.DOTALL)
_BRACES = re.compile(r"\{(\w*)\}")
_TAG = re.compile(r"</?([a-z][a-z0-9]*)\b")
_JAPANESE = r"[\u3041-\u3096\u30a1-\u30fa\u30fc\u4e00-\u9fff々）」』]"
_ASCII_PUNCTUATION = re.compile(rf"{_JAPANESE}[.,!?:;()]|[(]{_JAPANESE}")
_HALF_WIDTH_KANA = re.compile(r"[\uff61-\uff9f]")
_ENDS_OF_SENTENCES = "。？！）」』…"


def faults(message: tuple[str, ...], translation: str, *, braces: bool = False) -> Iterator[str]:
    """What is wrong with `translation`.

    Args:
        message: the English text, and its plural where it has one.
        translation: the Japanese.
        braces: whether placeholders are `{0}` or `{name}` instead of `%(name)s`.
    """
    find = _in_braces if braces else _after_percent
    for text in (*message, translation):
        if not braces and None in find(text):
            yield f"a lone % (write %%) in {text!r}"
    expected, found = find(message[-1]), find(translation)
    if set(expected) != set(found):
        yield f"placeholders {_shown(found)} instead of {_shown(expected)}"
    if Counter(_TAG.findall(message[-1])) != Counter(_TAG.findall(translation)):
        yield "other tags than the English"
    if slip := _ASCII_PUNCTUATION.search(translation):
        yield f"ASCII punctuation in Japanese: {slip.group()!r}"
    if _HALF_WIDTH_KANA.search(translation):
        yield "half-width katakana"
    if message[-1].endswith(".") and not translation.endswith(tuple(_ENDS_OF_SENTENCES)):
        yield "a sentence that does not end with 。"
    if (
        message[-1][:1].isspace() != translation[:1].isspace()
        or message[-1][-1:].isspace() != translation[-1:].isspace()
    ):
        yield "other spaces at its ends than the English"


def _after_percent(text: str) -> list[str | None]:
    """The names of placeholders; None for a % that is none."""
    return [name or None for name, escaped, _other in _PERCENT.findall(text) if not escaped]


def _in_braces(text: str) -> list[str | None]:
    return list(_BRACES.findall(text))


def _shown(names: list[str | None]) -> str:
    return ", ".join(sorted({name or "%" for name in names})) or "none"
