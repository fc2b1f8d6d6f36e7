from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.make.corpus.duplicates import passages
from kiban.make.corpus.duplicates.passages import RUN, cuts, merged, named_runs, spans, whole_sentences
from kiban.make.corpus.edits import Edit, apply
from kiban.make.corpus.letters import letters
from kiban.make.corpus.normalise import normalise

from .conftest import ListTexts


def runs_of(texts: list[str], minimum: int, ranks: list[int] | None = None) -> np.ndarray:  # type: ignore[type-arg]
    parts = []
    for document, text in enumerate(texts):
        hashes, places = named_runs(letters([text]).codes, minimum)
        records = np.empty(len(hashes), RUN)
        records["hash"], records["at"], records["document"] = hashes, places, document
        records["rank"] = ranks[document] if ranks else 0
        parts.append(records)
    return np.concatenate(parts)


def repeated(texts: list[str], minimum: int) -> list[set[int]]:
    """For each document the characters in a substring of `minimum` that an earlier document has too."""
    seen: set[str] = set()
    result = []
    for text in texts:
        pieces = [text[at : at + minimum] for at in range(len(text) - minimum + 1)]
        result.append({at + offset for at, piece in enumerate(pieces) if piece in seen for offset in range(minimum)})
        seen.update(pieces)
    return result


def characters(found: np.ndarray, documents: int) -> list[set[int]]:  # type: ignore[type-arg]
    covered: list[set[int]] = [set() for _ in range(documents)]
    for document, start, end, _ in found.tolist():
        covered[document].update(range(start, end))
    return covered


def mosaic(source: random.Random, documents: int) -> list[str]:
    """Documents of pieces, some in several of them."""
    pieces = [
        "".join(chr(source.randrange(0x3041, 0x3096)) for _ in range(source.randrange(10, 150))) for _ in range(8)
    ]
    return ["".join(source.choice(pieces) for _ in range(source.randrange(1, 6))) for _ in range(documents)]


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 6), st.sampled_from([40, 41, 60, 100]))
def test_found_is_exactly_what_is_repeated(source: random.Random, documents: int, minimum: int) -> None:
    texts = mosaic(source, documents)
    found = spans(runs_of(texts, minimum), ListTexts(texts), minimum)
    assert characters(found, documents) == repeated(texts, minimum)
    for document, start, end, first in found.tolist():
        assert first < document
        assert end - start >= minimum
        assert texts[document][start:end] in texts[first]


@settings(max_examples=60, deadline=None)
@given(st.text("ab", max_size=120), st.integers(2, 6), st.integers(1, 9))
def test_both_forms_name_the_same_runs(text: str, width: int, window: int) -> None:
    codes = letters([text]).codes
    top = passages._top(width)
    compiled, plain = (
        form(codes, width, window, top) for form in (passages._winnow.compiled, passages._winnow.fallback)
    )
    assert [part.tolist() for part in compiled] == [part.tolist() for part in plain]


@settings(max_examples=100, deadline=None)
@given(st.text("ab", min_size=1, max_size=30), st.text("ab", min_size=1, max_size=30), st.data())
def test_both_forms_reach_equally_far(text: str, other: str, data: st.DataObject) -> None:
    at, there = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(other)))
    arguments = letters([text]).codes, at, letters([other]).codes, there
    back, ahead = passages._reach.compiled(*arguments)
    assert (back, ahead) == passages._reach.fallback(*arguments)
    assert text[at - back : at + ahead] == other[there - back : there + ahead]
    longer = [(at - back - 1, there - back - 1), (at + ahead, there + ahead)]
    assert all(
        min(pair) < 0 or text[pair[0] : pair[0] + 1] != other[pair[1] : pair[1] + 1] or not text[pair[0] :]
        for pair in longer
    )


def test_every_place_of_a_passage_of_the_least_length_is_named() -> None:
    """Winnowing's guarantee: of any `minimum` characters in a row, one run inside is named."""
    source = random.Random(3)
    for minimum in (40, 200):
        text = "".join(chr(source.randrange(0x3041, 0x3096)) for _ in range(3000))
        width, window = passages.width_and_window(minimum)
        places = named_runs(letters([text]).codes, minimum)[1]
        assert all(((places >= at) & (places + width <= at + minimum)).any() for at in range(len(text) - minimum + 1))
        assert len(places) < 1.2 * len(text) * 2 / (window + 1)


def test_the_lowest_rank_keeps_the_passage() -> None:
    passage = "".join(chr(0x4E00 + number * 7) for number in range(80))
    texts = ["甲" + passage, "乙" + passage, passage + "丙"]
    found = spans(runs_of(texts, 50, [2, 1, 3]), ListTexts(texts), 50)
    assert {(document, first) for document, _, _, first in found.tolist()} == {(0, 1), (2, 1), (2, 0)}


def test_partitions_and_order_change_nothing() -> None:
    source = random.Random(9)
    texts = mosaic(source, 40)
    records = runs_of(texts, 40)
    whole = spans(records, ListTexts(texts), 40)
    shuffled = records[np.random.default_rng(0).permutation(len(records))]
    parts = np.concatenate([spans(shuffled[shuffled["hash"] % 5 == part], ListTexts(texts), 40) for part in range(5)])
    assert characters(parts, 40) == characters(whole, 40)


def test_a_ruled_line_of_a_million_characters() -> None:
    texts = ["-" * 1_000_000, "前" + "-" * 1_000_000, "-=" * 300_000]
    records = runs_of(texts, 200)
    assert len(records) < 100
    found = spans(records, ListTexts(texts), 200)
    assert characters(found, 3)[1] == set(range(1, 1_000_001))


def test_a_passage_of_very_many_documents() -> None:
    passage = "".join(chr(0x4E00 + number * 7) for number in range(60))
    source = random.Random(2)
    texts = ["".join(chr(source.randrange(0x3041, 0x3096)) for _ in range(60)) + passage for _ in range(500)]
    found = spans(runs_of(texts, 50), ListTexts(texts), 50)
    covered = characters(found, 500)
    assert not covered[0]
    assert all(each >= set(range(60, 120)) and len(each) < 66 for each in covered[1:])
    assert len(found) < 20 * 500


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        ("はC。これもD。次", "これもD。"),
        ("これもD。", "これもD。"),
        ("はC。これも", None),
        ("はC", None),
    ],
)
def test_cuts_are_narrowed_to_sentences(part: str, kept: str | None) -> None:
    text = "あれはC。これもD。次はE。"
    start = text.index(part)
    found = whole_sentences(text, start, start + len(part))
    assert (text[found[0] : found[1]] if found else None) == kept


def test_cuts_reach_the_ends_of_the_text() -> None:
    assert whole_sentences("題名 本文である", 0, 8) == (0, 8)
    assert whole_sentences("題。本文", 0, 3) == (0, 2)
    assert whole_sentences("「題。」本文", 1, 6) == (4, 6)
    assert whole_sentences("See 3.14 now. Then", 0, 14) == (0, 13)


def test_a_cut_leaves_no_gap() -> None:
    text = "一行目。\n\n二行目。\n\n三行目。"
    for line in ("一行目。", "二行目。", "三行目。"):
        edits = cuts(text, [(text.index(line), text.index(line) + len(line))])
        after = apply(text, edits)
        assert after == normalise(after)
        assert line not in after


def test_touching_cuts_are_one() -> None:
    assert merged([(5, 9), (0, 2), (2, 3), (6, 7)]) == [(0, 3), (5, 9)]
    assert cuts("あ。い。う。え", [(2, 4), (4, 6)]) == [Edit(2, 6, "")]
    text = "題\n\n一\n\n二\n\n終"
    edits = cuts(text, [(text.index("一"), text.index("一") + 1), (text.index("二"), text.index("二") + 1)])
    assert apply(text, edits) == "題\n\n終"
    assert all(one.end < other.start for one, other in itertools.pairwise(edits))


def test_sentences_of_hostile_text_take_linear_time(japanese: Callable[..., list[str]]) -> None:
    for unit in ("。", "。」", "!", ".", "\n", "」"):
        text = unit * (1_000_000 // len(unit))
        assert whole_sentences(text, 1, len(text) - 1) is None or len(text) > 0
