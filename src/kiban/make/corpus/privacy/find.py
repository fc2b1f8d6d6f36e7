"""All rules over texts: where personal and confidential data stand, of which kind, and by which rule."""

from __future__ import annotations

import dataclasses
import functools
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from kiban.make.corpus.letters import Letters
from kiban.make.corpus.privacy import addresses, dates, names, network, numbers, tables
from kiban.make.corpus.privacy.config import PrivacyConfig
from kiban.make.corpus.privacy.context import Meaning
from kiban.make.corpus.privacy.dictionary import dictionary
from kiban.make.corpus.privacy.finding import Finding, disjoint
from kiban.make.corpus.privacy.keywords import keywords
from kiban.make.corpus.privacy.lexicon import (
    NAME,
    NUMBER,
    SIGN,
    SORTS,
    SURNAME,
    TOKENS,
    WORD,
    Lexicon,
    Strings,
    lexicon,
    spelt,
)
from kiban.make.corpus.privacy.ner import recogniser
from kiban.make.corpus.privacy.placeholders import PLACEHOLDER
from kiban.make.corpus.privacy.scan import look

# Characters between a word of special care and a person that it is taken to speak of.
CARE_REACH = 60
BETWEEN = tuple(" \u3000\n,、")  # a postal code and its place
HEADER_ROLES = ("name", "kana", "birth", "speaks:my_number", "post")


class Finder:
    """Finds personal and confidential data by the rules of this package.

    Args:
        base_folder: what relative paths of `config` start from.

    Raises:
        BadInput: the recogniser of names that `config` asks for is not installed.
    """

    def __init__(self, config: PrivacyConfig, base_folder: Path) -> None:
        self.config, self.base_folder = config, base_folder
        self._wanted = frozenset(kind for kind, action in config.actions.items() if action != "ignore")
        self._names = "person_name" in self._wanted
        self._lexicon = _lexicon(self._names)
        self._roles = keywords()[1]
        self._recogniser = recogniser(config.ner)

    def find(self, texts: Sequence[str], letters: Letters) -> list[list[Finding]]:
        """For each text its findings, in order and not overlapping, offsets in characters.

        Kinds whose action is `ignore` are left out, but still keep others from claiming their digits.
        """
        if not texts:
            return []
        rows = look(letters.codes, letters.starts, self._lexicon)
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        bounds = np.searchsorted(rows[:, 0], np.arange(len(texts) * SORTS + 1)).tolist()
        listed = rows[:, 1:].tolist()
        seen = [listed[first:last] if first < last else [] for first, last in pairwise(bounds)]
        by_model = self._recogniser.find(texts) if self._recogniser and self._names else [()] * len(texts)
        return [
            self._in_text(text, seen[number * SORTS : (number + 1) * SORTS], by_model[number])
            for number, text in enumerate(texts)
        ]

    def _in_text(
        self, text: str, seen: Sequence[list[list[int]]], by_model: Sequence[tuple[int, int]]
    ) -> list[Finding]:
        """
        Args:
            seen: for each sort what `scan.look` saw, from its beginning on.
        """
        found: list[Finding] = []
        for mail in network.emails(text, seen[SIGN]):
            found.append(mail)
            if self._names and (named := names.before_mail(text, mail.start)):
                found.append(named)
        found += network.in_tokens(text, seen[TOKENS])
        cares, places, spoken = self._by_words(text, seen[WORD], found)

        def place_follows(end: int) -> bool:
            begin = end
            while begin < end + 4 and text[begin : begin + 1] in BETWEEN:
                begin += 1
            position = bisect_left(places, begin)
            return position < len(places) and places[position] == begin

        found += numbers.in_numbers(text, seen[NUMBER], place_follows, spoken)
        if self._names:
            found += names.in_hits(text, seen[NAME], seen[SURNAME])
            found += [Finding(begin, end, "person_name", "model") for begin, end in by_model if begin < end]
            found += names.readings(text, [one for one in found if one.kind == "person_name"])
        if not found:
            return []
        if "〈" in text:
            found = _outside_placeholders(text, found)
        kept = [one for one in disjoint(found) if one.kind in self._wanted]
        return _with_special_care(text, kept, cares) if cares else kept

    def _by_words(
        self, text: str, words: list[list[int]], found: list[Finding]
    ) -> tuple[list[tuple[int, int, str]], list[int], frozenset[Meaning]]:
        """Adds what labels and names of places lead to; gives words of special care, places, and what is spoken of."""
        cares: list[tuple[int, int, str]] = []
        places: list[int] = []
        spoken: set[Meaning] = set()
        address_end = header_end = key_end = 0
        for begin, end, number, _, _ in words:
            role = self._roles[number]
            if role == "place":
                places.append(begin)
                if begin >= address_end and (address := addresses.address_at(text, begin, end)):
                    found.append(address)
                    address_end = address.end
            elif role in ("role", "name"):
                if self._names:
                    found += names.at_label(text, end, form=role == "name")
            elif role == "kana":
                if self._names and (kana := names.at_kana_label(text, end)):
                    found.append(kana)
            elif role == "birth":
                if birth := dates.after_label(text, end):
                    found.append(birth)
            elif role == "born":
                if birth := dates.before_word(text, begin):
                    found.append(birth)
            elif role == "password":
                if password := network.password_at(text, end):
                    found.append(password)
            elif role == "key":
                if begin >= key_end and (key := network.private_key_at(text, begin)):
                    found.append(key)
                    key_end = key.end
            elif role.startswith("care:"):
                cares.append((begin, end, role.removeprefix("care:")))
            elif role.startswith("speaks:"):
                spoken.add(role.removeprefix("speaks:"))  # type: ignore[arg-type]
            if role in HEADER_ROLES and begin >= header_end and (row := tables.header(text, begin)):
                cells, header_end = tables.cells(text, *row)
                found += cells
        return cares, places, frozenset(spoken)


@functools.cache
def _lexicon(with_names: bool) -> Lexicon:
    nothing = Strings(spelt(()))
    known = dictionary() if with_names else None
    return lexicon(keywords()[0], known.surnames if known else nothing, known.given if known else nothing)


def _outside_placeholders(text: str, found: list[Finding]) -> list[Finding]:
    """Findings that touch none of the placeholders that an earlier pass left."""
    spans = [match.span() for match in PLACEHOLDER.finditer(text)]
    begins = [begin for begin, _ in spans]

    def touches(one: Finding) -> bool:
        position = bisect_left(begins, one.end) - 1
        return position >= 0 and spans[position][1] > one.start

    return [one for one in found if not touches(one)]


def _with_special_care(text: str, found: list[Finding], cares: list[tuple[int, int, str]]) -> list[Finding]:
    """Persons with the categories of special care whose words stand near them, no blank line between."""
    return list(_marked(text, found, cares))


def _marked(text: str, found: list[Finding], cares: list[tuple[int, int, str]]) -> Iterator[Finding]:
    begins = [begin for begin, _, _ in cares]
    for one in found:
        if one.kind != "person_name":
            yield one
            continue
        categories = set()
        first = bisect_left(begins, one.start - CARE_REACH - 12)
        for begin, end, category in cares[first : bisect_left(begins, one.end + CARE_REACH)]:
            low, high = (end, one.start) if end <= one.start else (one.end, begin)
            if high - low <= CARE_REACH and "\n\n" not in text[low:high]:
                categories.add(category)
        yield dataclasses.replace(one, special_care=tuple(sorted(categories))) if categories else one
