"""An error of the office in the language of the page.

The office says what is wrong in English. Its text is held against the templates in `ja/errors.po`, which were read from
the same code; what stands at a placeholder goes into the Japanese. A text that no template fits stays English, and says
so, for the page to mark it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from markupsafe import Markup, escape

from kiban.kit.errors import KibanError
from kiban.office.guards.inspection.report import MESSAGES as FINDINGS
from kiban.portal.i18n.catalogue import ERRORS, read, translated
from kiban.portal.i18n.text import Language
from kiban.portal.i18n.validation import ENGLISH

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_QUOTED = re.compile(r"'([^']*)'")
# One of several: `tracks.1: takes any size`, as the checks of a whole form list them; a file's name and what is in it.
_PLACED = re.compile(r"(.+?): (.+)", re.DOTALL)
_BETWEEN_PLACED = re.compile(r"; (?=[\w.]+: )")
_LIST = re.compile(r", | or | and ")
# A text that begins with a word, not with a name of the code, or of a file and a colon.
_BEGINS_WITH_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)?[ ,;]")
# Longer texts hold what somebody sent, and are not worth the search.
_LONGEST = 1_000
# How often a value may be a text with values itself.
_DEPTH = 3


@dataclass(frozen=True)
class Said:
    """A text, and the language it is in."""

    text: str
    language: Language

    def marked(self, language: Language) -> Markup:
        """As HTML in a page of this language: text in another says so."""
        if self.language == language:
            return escape(self.text)
        return Markup('<span lang="{}">{}</span>').format(self.language, self.text)


@dataclass(frozen=True)
class Explained:
    """An error for a page: what is wrong, and what to do about it."""

    message: Said
    hint: Said | None = None


@dataclass(frozen=True)
class _Template:
    english: str
    japanese: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        pieces = _PLACEHOLDER.split(self.english)
        literals, names = pieces[::2], pieces[1::2]
        parts = [re.escape(literals[0])]
        for name, literal in zip(names, literals[1:], strict=True):
            parts += [f"(?P<v{name}>.+?)", re.escape(literal)]
        return re.compile("".join(parts), re.DOTALL)


class _Book:
    """The templates, in the order in which they are tried: those that say most themselves first."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.words: dict[str, str] = {}
        templates = [
            _Template(_numbered(english), _numbered(japanese)) for _level, japanese, english in FINDINGS.values()
        ]
        # Where the next finding begins, in a text that has several.
        starts = "|".join(re.escape(each.english.partition("{")[0]) for each in templates)
        self._between_findings = re.compile(f" (?=(?:{starts}))")
        for (context, english), japanese in translated(read(ERRORS, strict=False)).items():
            if context is not None:
                self.words[english] = japanese
                continue
            self.texts[english] = japanese
            if _PLACEHOLDER.search(english):
                templates.append(_Template(english, japanese))
        self.templates = sorted(templates, key=lambda each: -len(_PLACEHOLDER.sub("", each.english)))

    def say(self, text: str, depth: int = _DEPTH) -> str | None:
        """The Japanese of a text; None where no template fits."""
        known = self.texts.get(text)
        if known is not None or not depth or len(text) > _LONGEST:
            return known
        for template in self.templates:
            if match := template.pattern.fullmatch(text):
                values = {name[1:]: self._value(value, depth) for name, value in match.groupdict().items()}
                return _fill(template.japanese, values)
        return self._several(text, depth)

    def _value(self, value: str, depth: int) -> str:
        words = [self.words.get(word, "") for word in _LIST.split(value)]
        return "、".join(words) if all(words) else self.say(value, depth - 1) or _QUOTED.sub(r"「\1」", value)

    def _several(self, text: str, depth: int) -> str | None:
        """Texts in a row, or one with its place before it."""
        for parts in (_BETWEEN_PLACED.split(text), self._between_findings.split(text)):
            said = [self.say(part, depth - 1) for part in parts] if len(parts) > 1 else [None]
            if None not in said:
                return " ".join(filter(None, said))
        placed = _PLACED.fullmatch(text)
        inner = self.say(placed[2], depth - 1) if placed else None
        return f"{placed[1]}：{inner}" if placed and inner else None


@cache
def _book() -> _Book:
    return _Book()


def explain(error: KibanError, language: Language) -> Explained:
    """What went wrong and what to do about it, in this language where it is known in it."""
    return Explained(say(error.message, language), say(error.hint, language) if error.hint else None)


def say(text: str, language: Language) -> Said:
    """A text that the office made, in this language where it is known in it."""
    text = text.removeprefix("Value error, ")  # pydantic's, of a validator of ours
    japanese = _book().say(text) if language == "ja" else None
    return Said(_sentence(text), "en") if japanese is None else Said(japanese, "ja")


def _sentence(text: str) -> str:
    """As English is written on a page: the office's texts begin small and end without a full stop, for one line."""
    begun = text[:1].upper() + text[1:] if _BEGINS_WITH_WORD.match(text) else text
    return begun if begun.endswith((".", "?", "!", ":")) or begun == text else begun + "."


def explain_validation(error: Mapping[str, Any], language: Language) -> Said:
    """What is wrong with one field, from one of the dictionaries of pydantic's `ValidationError.errors()`."""
    values = {name: str(value) for name, value in error.get("ctx", {}).items()}
    english = ENGLISH.get(error["type"])
    if english is None:  # a validator of ours, which words its errors itself
        return say(values.get("error") or str(error["msg"]), language)
    japanese = _book().texts.get(english) if language == "ja" else None
    if japanese is None:
        return Said(_fill(english, {name: value.replace("'", "") for name, value in values.items()}), "en")
    return Said(_fill(japanese, {name: _choices(value) for name, value in values.items()}), "ja")


def _numbered(text: str) -> str:
    numbers = itertools.count()
    return re.sub(r"\{\}", lambda _: f"{{{next(numbers)}}}", text)


def _fill(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template)


def _choices(value: str) -> str:
    """Pydantic's list of choices, `'a', 'b' or 'c'`, as Japanese writes it."""
    quoted = _QUOTED.findall(value)
    return "、".join(quoted) if quoted else value
