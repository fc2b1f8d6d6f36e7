"""Any text comes back as it was; the same corpus gives the same tokenizer; no text becomes a control token."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, pre_tokenizers

from kiban.make.recipe import TokenizerConfig
from kiban.make.tokenizer.train import (
    LEARNING_PATTERN,
    MAX_TOKEN_BYTES,
    PATTERN,
    SPECIAL_TOKENS,
    _interruptible,
    train,
    train_reference,
)

# All of Unicode but surrogates, which no UTF-8 text holds; weighted towards what breaks tokenizers.
CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from(" \t\n\r\x00\x0b\u3000\u00a0\u200b\u200d\ufeff\ufe0f\u0301\u3099\U0010ffff\ufdd0"),
    st.sampled_from("あア亜々ー。、「１1٣Ａaſ"),
)
TEXTS = st.lists(
    st.one_of(
        st.text(CHARACTERS, max_size=30),
        st.sampled_from([*SPECIAL_TOKENS, "<0x41>", "<unk>", "▁", "Ġ", "👩‍👩‍👧‍👦", "か\u3099", "\r\n\r\n", "   "]),
    ),
    max_size=6,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
@example("")
@example(" ")
@example("  leading and trailing  ")
@example("\n\n\n")
@example("a\x00b")
@example("\U000e0001\u0378")  # a tag and an unassigned code point
@example("<|im_start|>system\n<|im_end|><|endoftext|>")
def test_any_text_comes_back_as_it_was(learned: Tokenizer, text: str) -> None:
    ids = learned.encode(text, add_special_tokens=False).ids
    assert learned.decode(ids, skip_special_tokens=False) == text
    learned.encode_special_tokens = False  # as a chat would be read
    try:
        ids = learned.encode(text, add_special_tokens=False).ids
        assert learned.decode(ids, skip_special_tokens=False) == text
    finally:
        learned.encode_special_tokens = True


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_no_text_becomes_a_control_token(learned: Tokenizer, text: str) -> None:
    ids = learned.encode(text + "<|im_end|>" + text, add_special_tokens=False).ids
    assert min(ids) >= len(SPECIAL_TOKENS)


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_a_corpus_full_of_control_tokens_teaches_none(algorithm: str, tmp_path: Path) -> None:
    hostile = ["".join(SPECIAL_TOKENS) * 50 + "作業手順を確認する。" * 20] * 20
    tokenizer = train(hostile, TokenizerConfig(algorithm=algorithm, vocab_size=600), tmp_path)  # type: ignore[arg-type]
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    tokenizer.encode_special_tokens = True
    assert min(tokenizer.encode("<|im_end|>").ids) >= len(SPECIAL_TOKENS)
    tokenizer.encode_special_tokens = False
    assert tokenizer.encode("<|im_end|>").ids == [tokenizer.token_to_id("<|im_end|>")]


@pytest.mark.parametrize("digits", ["20261121", "２０２６", "٣٤٥"])
def test_every_digit_is_a_piece_of_its_own(learned: Tokenizer, digits: str) -> None:
    encoded = learned.encode(digits)
    assert sorted(set(encoded.offsets)) == [(n, n + 1) for n in range(len(digits))]


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_the_same_texts_give_the_same_bytes(algorithm: str, texts: list[str], tmp_path: Path) -> None:
    config = TokenizerConfig(algorithm=algorithm, vocab_size=800)  # type: ignore[arg-type]
    first, second = (train(iter(texts[:40]), config, tmp_path).to_str() for _ in range(2))
    assert first == second


def test_the_vocabulary_is_as_large_as_asked_for(learned: Tokenizer) -> None:
    assert learned.get_vocab_size() == 1_000
    vocabulary = learned.get_vocab()
    assert sorted(vocabulary.values()) == list(range(1_000))
    assert set(pre_tokenizers.ByteLevel.alphabet()) <= set(vocabulary)


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
@pytest.mark.parametrize("vocab_size", [300, 5_000])
def test_a_tiny_corpus_gives_fewer_tokens_and_still_reads_all(algorithm: str, vocab_size: int, tmp_path: Path) -> None:
    config = TokenizerConfig(algorithm=algorithm, vocab_size=vocab_size)  # type: ignore[arg-type]
    tokenizer = train(["ポンプの点検", "ポンプの記録"], config, tmp_path)
    assert len(SPECIAL_TOKENS) + 256 <= tokenizer.get_vocab_size() <= min(vocab_size, 400)
    assert tokenizer.decode(tokenizer.encode("鯖 🐟\x00").ids) == "鯖 🐟\x00"


def test_no_token_is_longer_than_allowed(learned: Tokenizer) -> None:
    ordinary = set(learned.get_vocab()) - set(SPECIAL_TOKENS)
    assert max(map(len, ordinary)) <= MAX_TOKEN_BYTES


@settings(max_examples=300, deadline=None)
@given(TEXTS)
@example("基盤モデルを作成するためのデータ、２０２６年。")
@example("「彼は」と言った it's HTTPServer2")
def test_learning_cuts_within_the_pieces_that_encoding_cuts(text: str) -> None:
    def ends(pattern: str) -> set[int]:
        pieces = pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)
        assert "".join(piece for piece, _ in pieces) == text
        return {end for _, (_, end) in pieces}

    assert ends(PATTERN) <= ends(LEARNING_PATTERN)


def test_learning_ends_a_piece_where_a_word_follows_a_particle() -> None:
    pieces = pre_tokenizers.Split(Regex(LEARNING_PATTERN), "isolated").pre_tokenize_str("基盤モデルを作成する。")
    assert [piece for piece, _ in pieces] == ["基盤モデルを", "作成する", "。"]


def test_japanese_takes_fewer_tokens_than_under_gpt2_pattern(texts: list[str], tmp_path: Path) -> None:
    learn, rest = texts[::2], texts[1::2]
    ours = train(learn, TokenizerConfig(vocab_size=4_000), tmp_path)
    theirs = train_reference(learn, 4_000)
    assert _tokens(ours, rest) < _tokens(theirs, rest) < sum(len(text.encode()) for text in rest)


def _tokens(tokenizer: Tokenizer, texts: list[str]) -> int:
    return sum(len(found.ids) for found in tokenizer.encode_batch(texts))


def test_what_goes_wrong_while_reading_is_raised_where_training_was_called(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield "一つ目"
        raise OSError(28, "No space left on device")

    with pytest.raises(Exception, match="No space left"):
        train(broken(), TokenizerConfig(vocab_size=300), tmp_path)


def test_native_work_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    join = threading.Thread.join

    def interrupted(self: threading.Thread, timeout: float | None = None) -> None:
        join(self, 0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _interruptible(lambda: release.wait(60))
    release.set()
    assert time.monotonic() - started < 30
