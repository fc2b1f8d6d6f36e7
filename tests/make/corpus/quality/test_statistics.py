"""Statistics against what their definitions say in plain Python, and compiled code against its fallback."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.make.corpus.letters import letters
from kiban.make.corpus.quality.config import QualityConfig
from kiban.make.corpus.quality.ngrams import SALT, ngrams, of_one_length
from kiban.make.corpus.quality.profile import Profile, load_profile
from kiban.make.corpus.quality.profiles import hojichar
from kiban.make.corpus.quality.statistics import (
    ADDRESS_LETTERS,
    classes,
    first_planes,
    layout,
    sentence_kinds,
    sentences,
)

from .texts import PROSE, japanese_like, repetitive

texts = st.lists(japanese_like, min_size=1, max_size=4)


@pytest.fixture(scope="module")
def swallow() -> Profile:
    return load_profile(QualityConfig(profile="swallow-v1", limits={"ng_words": None}), Path())


def swallow_statistics(text: str) -> dict[str, float]:
    """What Swallow's paper and README define, the slow way."""
    lines = [re.findall("[^。．！？!?]+[。．！？!?]?", line) for line in text.split("\n")]
    paragraphs = ["".join(line) for line in lines]
    own = [sentence for line in lines for sentence in line]
    hiragana = sum("ぁ" <= c <= "ゖ" for c in text)
    katakana = sum("ァ" <= c <= "ヺ" for c in text)
    kanji = sum(c in "々〇〻" or "\u3400" <= c <= "\u9fff" or "\uf900" <= c <= "\ufaff" for c in text)
    japanese = hiragana + katakana + kanji + sum(c in "、，。．！？" for c in text)
    found: dict[str, float] = {
        "letters": len(text),
        "japanese_letters": japanese,
        "hiragana_share": ratio(hiragana, japanese),
        "katakana_share": ratio(katakana, japanese),
        "japanese_share": ratio(japanese, len(text)),
        "sentences": len(own),
        "mean_sentence_letters": ratio(sum(map(len, own)), len(own)),
        "longest_sentence_letters": max(map(len, own), default=0),
        "ellipsis_share": ratio(sum(s.strip()[-1:] in ("・", "…") and s.strip() != "" for s in own), len(own)),
    }
    for name, pieces in (("paragraph", paragraphs), ("sentence", own)):
        again = Counter(pieces)
        found[f"duplicate_{name}_share"] = ratio(sum(f - 1 for f in again.values()), len(pieces))
        repeated = sum(len(piece) * (f - 1) for piece, f in again.items())
        found[f"duplicate_{name}_letter_share"] = ratio(repeated, sum(map(len, pieces)))
    for n in range(2, 11):
        grams = Counter(text[i : i + n] for i in range(len(text) - n + 1))
        if n < 5:
            found[f"top_{n}gram_share"] = ratio(max(grams.values(), default=0), grams.total())
        else:
            found[f"duplicate_{n}gram_share"] = ratio(sum(f > 1 for f in grams.values()), len(grams))
    return found


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def assert_same(profile: Profile, text: str) -> None:
    ours = profile.explain(text).statistics
    theirs = swallow_statistics(text)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, abs=1e-12), (name, text[:50])


@given(japanese_like)
@settings(max_examples=150, deadline=None)
def test_swallow_statistics_are_by_definition(text: str) -> None:
    profile = load_profile(QualityConfig(profile="swallow-v1", limits={"ng_words": None}), Path())
    assert_same(profile, text)


def test_swallow_statistics_of_repetitive_texts(swallow: Profile) -> None:
    rng = random.Random(11)
    for size in (1, 2, 3, 9, 10, 11, 400, 3000):
        assert_same(swallow, repetitive(rng, size))
    assert_same(swallow, "あ" * 500)
    assert_same(swallow, PROSE * 3)


@pytest.mark.shared_data
def test_swallow_statistics_of_real_texts(shared_data: Path, swallow: Profile) -> None:
    for name in ("debian-ja", "aozora-sample"):
        with (shared_data / "corpus" / f"{name}.jsonl.zst").open("rb") as file:
            block = zstandard.ZstdDecompressor().stream_reader(file).read(2**20)
        for line in block.split(b"\n")[:-1][:25]:
            assert_same(swallow, orjson.loads(line)["text"])


def spans(given_texts: list[str]) -> tuple[Any, Any, Any]:
    own = letters(given_texts)
    return own.codes, own.starts[:-1], own.starts[1:]


@given(texts, st.integers(2, 10))
@settings(max_examples=100, deadline=None)
def test_ngrams_compiled_is_the_fallback(given_texts: list[str], n: int) -> None:
    arguments = (*spans(given_texts), n, SALT)
    assert np.array_equal(ngrams.compiled(*arguments), ngrams.fallback(*arguments))
    found = of_one_length.compiled(*arguments)
    assert np.array_equal(found, of_one_length.fallback(*arguments))
    for text, (total, distinct, repeated, top, leading) in zip(given_texts, found.tolist(), strict=True):
        counts = sorted(Counter(text[i : i + n] for i in range(len(text) - n + 1)).values(), reverse=True)
        again = [count for count in counts if count > 1]
        assert [total, distinct, repeated, top] == [sum(counts), len(counts), len(again), max(counts, default=0)]
        assert leading == sum(again[: int(math.sqrt(len(counts)))])


def test_ngrams_of_long_texts() -> None:
    """Tables of several sizes, and texts that share scratch space with longer ones."""
    rng = random.Random(2)
    given_texts = [repetitive(rng, size) for size in (5000, 3, 12_000, 0, 700)] + ["".join(map(chr, range(97, 9000)))]
    arguments = (*spans(given_texts), 10, SALT)
    found = ngrams.compiled(*arguments)
    assert np.array_equal(found, ngrams.fallback(*arguments))
    assert np.array_equal(found, ngrams.compiled(*arguments[:-1], np.uint64(0x1234567)))
    of_ten = of_one_length.compiled(*arguments)
    assert np.array_equal(found[:, -1], of_ten[:, :4])
    assert np.array_equal(of_ten, of_one_length.fallback(*arguments))
    assert np.array_equal(of_ten, of_one_length.compiled(*arguments[:-1], np.uint64(0x1234567)))


@given(texts)
@settings(max_examples=100, deadline=None)
def test_counts_compiled_are_the_fallback(given_texts: list[str]) -> None:
    own = spans(given_texts)
    kinds = sentence_kinds()
    assert np.array_equal(classes.compiled(*own, kinds, 4), classes.fallback(*own, kinds, 4))
    assert np.array_equal(sentences.compiled(*own, kinds, SALT), sentences.fallback(*own, kinds, SALT))
    assert np.array_equal(layout.compiled(*own, 10), layout.fallback(*own, 10))


def test_layout_counts_lines_runs_and_tokens() -> None:
    text = "短い行\n" + "x" * 60 + "\n\nこれは十文字より長い行である"
    assert layout(*spans([text, ""]), 10).tolist() == [[4, 2, 60, 60, 0], [1, 1, 0, 0, 0]]
    own = spans([text, ""])
    assert np.array_equal(layout.fallback(*own, 10), layout.compiled(*own, 10))


@given(st.text(st.sampled_from("https:/w.wあ \n"), max_size=30) | st.text("hw", max_size=3), st.integers(0, 9))
@settings(max_examples=200, deadline=None)
def test_addresses_are_those_of_the_expression(text: str, at: int) -> None:
    for beginning in ("", "http://", "https://", "www.", "httpshttp://"):
        whole = text[:at] + beginning + text[at:]
        own = spans([whole, "a" + whole + "あ"])
        found = layout.compiled(*own, 10)
        assert found[0, ADDRESS_LETTERS] == sum(map(len, re.findall(r"https?://[!-~]+|www\.[!-~]+", whole)))
        assert np.array_equal(found, layout.fallback(*own, 10))


@given(st.lists(st.text("12０٣🯱-./年月日話 あ", max_size=40), min_size=1, max_size=4), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_board_marks_are_those_of_the_expression(given_texts: list[str], at: int) -> None:
    given_texts += [
        text[:at] + date + text[at:] for text in given_texts for date in ("2021年 3月", "2020-1-12話", "1- 12/")
    ]
    own = spans(given_texts)
    expected = [len(hojichar.BOARD_MARKS.findall(text)) for text in given_texts]
    assert hojichar.board_marks.compiled(*own, hojichar._mark_kinds()).tolist() == expected
    assert hojichar.board_marks.fallback(*own, hojichar._mark_kinds()).tolist() == expected


def test_digits_and_letters_with_two_cases_are_in_the_first_planes() -> None:
    every = first_planes()
    assert every == "".join(map(chr, range(len(every))))
    assert not any(
        chr(code).lower() != chr(code) or chr(code).upper() != chr(code) for code in range(len(every), 0x110000)
    )
    kinds = hojichar._mark_kinds()
    assert [code for code in range(0x110000) if chr(code).isdecimal()] == np.flatnonzero(
        kinds == hojichar.DIGIT
    ).tolist()


def test_sentences_of_a_small_text() -> None:
    text = "一つ目。二つ目だ！！\n\n　続く…　\n一つ目。"
    found = sentences(*spans([text]), sentence_kinds(), SALT)[0].tolist()
    assert found == [4, 4 + 5 + 5 + 4, 5, 1, 3, 14, 4, 18, 4, 18]


def test_statistics_do_not_depend_on_the_batch(swallow: Profile) -> None:
    rng = random.Random(4)
    batch = [PROSE, "", repetitive(rng, 900), PROSE * 2, "短い。", repetitive(rng, 2000)]
    together = swallow.judge(batch, letters(batch))
    assert together == [swallow.judge([text], letters([text]))[0] for text in batch]
    assert all(math.isfinite(verdict.value) for verdict in together)
