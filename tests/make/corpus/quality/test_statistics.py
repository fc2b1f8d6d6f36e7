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
from kiban.make.corpus.quality.ngrams import SALT, different, ngrams
from kiban.make.corpus.quality.profile import Profile, load_profile
from kiban.make.corpus.quality.statistics import classes, layout, sentence_kinds, sentences

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


@given(texts, st.integers(2, 10), st.sampled_from([0, 2, 5]))
@settings(max_examples=100, deadline=None)
def test_ngrams_compiled_is_the_fallback(given_texts: list[str], longest: int, leading: int) -> None:
    arguments = (*spans(given_texts), longest, leading, SALT)
    assert np.array_equal(ngrams.compiled(*arguments), ngrams.fallback(*arguments))
    arguments = (*spans(given_texts), longest, SALT)
    assert np.array_equal(different.compiled(*arguments), different.fallback(*arguments))


def test_ngrams_of_long_texts() -> None:
    """Tables of several sizes, and texts that share scratch space with longer ones."""
    rng = random.Random(2)
    given_texts = [repetitive(rng, size) for size in (5000, 3, 12_000, 0, 700)] + ["".join(map(chr, range(97, 9000)))]
    arguments = (*spans(given_texts), 10, 5, SALT)
    found = ngrams.compiled(*arguments)
    assert np.array_equal(found, ngrams.fallback(*arguments))
    assert np.array_equal(found, ngrams.compiled(*arguments[:-1], np.uint64(0x1234567)))
    assert np.array_equal(found[:, -1, 1], different.compiled(*spans(given_texts), 10, SALT))


@given(texts)
@settings(max_examples=100, deadline=None)
def test_counts_compiled_are_the_fallback(given_texts: list[str]) -> None:
    own = spans(given_texts)
    kinds = sentence_kinds()
    assert np.array_equal(classes.compiled(*own, kinds, 4), classes.fallback(*own, kinds, 4))
    assert np.array_equal(sentences.compiled(*own, kinds, SALT), sentences.fallback(*own, kinds, SALT))
    filled = spans([text for text in given_texts if text] or ["a"])
    assert np.array_equal(layout.compiled(*filled, 10), layout.fallback(*filled, 10))


def test_layout_counts_lines_runs_and_tokens() -> None:
    text = "短い行\n" + "x" * 60 + "\n\nこれは十文字より長い行である"
    assert layout(*spans([text, ""]), 10).tolist() == [[4, 2, 60, 60], [1, 1, 0, 0]]
    own = spans([text, ""])
    assert np.array_equal(layout.fallback(*own, 10), layout.compiled(*own, 10))


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
