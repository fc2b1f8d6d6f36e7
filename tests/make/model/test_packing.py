from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.make.model import packing
from kiban.make.model.packing import Packed, Sequences, pack_corpus, token_dtype

from .conftest import byte_tokenizer, write_corpus

EOS, BOS = 256, 258


def byte_ids(text: str) -> list[int]:
    """What the byte tokenizer must give, computed without it."""
    from tokenizers.pre_tokenizers import ByteLevel

    place = {letter: n for n, letter in enumerate(sorted(ByteLevel.alphabet()))}
    # GPT-2's table: printable Latin-1 bytes stand for themselves, the others follow from U+0100.
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [place[letters[byte]] for byte in text.encode()]


def read(packed: Packed) -> list[int]:
    return np.fromfile(packed.path, token_dtype(packed.vocab_size)).tolist()


def test_documents_are_joined_in_order_with_eos(tmp_path: Path) -> None:
    texts = ["日本語。", "two\n", "", "x" * 50]
    packed = pack_corpus(write_corpus(tmp_path / "c", texts), byte_tokenizer(), 258, tmp_path / "s")
    expected = [token for text in texts for token in [*byte_ids(text), EOS]]
    assert read(packed) == expected
    assert (packed.documents, packed.tokens, packed.separators) == (4, len(expected), 4)
    assert packed.characters == sum(map(len, texts))
    assert packed.characters_per_token == packed.characters / sum(len(text.encode()) for text in texts)


def test_bos_begins_a_document_where_the_tokenizer_says_so(tmp_path: Path) -> None:
    packed = pack_corpus(write_corpus(tmp_path / "c", ["a", "b"]), byte_tokenizer(bos=True), 259, tmp_path / "s")
    assert read(packed) == [BOS, *byte_ids("a"), EOS, BOS, *byte_ids("b"), EOS]


def test_where_there_is_bos_every_sequence_begins_with_it_and_none_is_lost(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "c", ["あいうえお" * 5, "abc" * 9])
    with_bos = pack_corpus(corpus, byte_tokenizer(bos=True), 259, tmp_path / "s")
    sequences = Sequences(with_bos, 9, seed=0)
    rows = sequences.batch(range(sequences.per_epoch))
    assert (rows[:, 0] == BOS).all()
    stream = read(with_bos)
    targets = sorted(tuple(row) for row in rows[:, 1:].tolist())
    assert targets == sorted(tuple(stream[n * 9 + 1 : n * 9 + 10]) for n in range(sequences.per_epoch))


def test_a_control_token_spelt_in_a_document_stays_text(tmp_path: Path) -> None:
    packed = pack_corpus(write_corpus(tmp_path / "c", ["a<eos>b"], shards=1), byte_tokenizer(), 258, tmp_path / "s")
    assert read(packed) == [*byte_ids("a<eos>b"), EOS]


def test_a_document_longer_than_a_batch_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "BATCH_CHARACTERS", 10)
    text = "行一\n" * 7 + "あ" * 35 + "\nend"
    packed = pack_corpus(write_corpus(tmp_path / "c", [text], shards=1), byte_tokenizer(), 258, tmp_path / "s")
    assert read(packed) == [*byte_ids(text), EOS]


def test_an_interrupted_pass_goes_on_and_gives_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"文書 {n} " * (n % 7) for n in range(60)]
    corpus = write_corpus(tmp_path / "c", texts)
    whole = pack_corpus(corpus, byte_tokenizer(), 258, tmp_path / "whole")
    monkeypatch.setattr(packing, "BATCH_CHARACTERS", 40)
    monkeypatch.setattr(packing, "SAVE_SECONDS", 0.0)
    encode, calls = packing._Encoder.encode, []

    def breaks(self: Any, batch: list[str]) -> Any:
        calls.append(len(batch))
        if len(calls) in (4, 9):
            raise KeyboardInterrupt
        return encode(self, batch)

    monkeypatch.setattr(packing._Encoder, "encode", breaks)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pack_corpus(corpus, byte_tokenizer(), 258, tmp_path / "s")
        # Bytes that reached the disk after the last record of progress.
        with (tmp_path / "s" / "tokens.bin").open("ab") as file:
            file.write(b"torn!")
    packed = pack_corpus(corpus, byte_tokenizer(), 258, tmp_path / "s")
    assert read(packed) == read(whole)
    assert packed.documents == 60
    done = len(calls)
    assert pack_corpus(corpus, byte_tokenizer(), 258, tmp_path / "s") == packed
    assert len(calls) == done, "a finished file is not made again"


@given(
    tokens=st.integers(10, 400),
    seq_len=st.integers(8, 50),
    seed=st.integers(0, 2**63 - 1),
    vocab=st.sampled_from([300, 70_000]),
)
@settings(max_examples=50, deadline=None)
def test_every_token_but_the_first_is_predicted_once_per_epoch(
    tmp_path_factory: pytest.TempPathFactory, tokens: int, seq_len: int, seed: int, vocab: int
) -> None:
    path = tmp_path_factory.mktemp("t") / "tokens.bin"
    stream = np.arange(tokens)
    stream.astype(token_dtype(vocab)).tofile(path)
    packed = Packed(path, vocab, bos=None, documents=1, tokens=tokens, separators=1, characters=1, utf8_bytes=1)
    if tokens < seq_len + 1:
        with pytest.raises(BadInput, match=f"{tokens} tokens, fewer than one sequence"):
            Sequences(packed, seq_len, seed)
        return
    sequences = Sequences(packed, seq_len, seed)
    orders = []
    for epoch in range(2):
        rows = sequences.batch(range(epoch * sequences.per_epoch, (epoch + 1) * sequences.per_epoch))
        assert (np.diff(rows) == 1).all()
        predicted = np.sort(rows[:, 1:].ravel())
        assert predicted.tolist() == list(range(1, tokens - sequences.dropped_tokens))
        orders.append(rows[:, 0].tolist())
    assert sequences.dropped_tokens < seq_len
    if sequences.per_epoch > 8:
        assert orders[0] != orders[1]
    # A position means the same sequence whatever was read before it.
    again = Sequences(packed, seq_len, seed)
    last = 2 * sequences.per_epoch - 1
    assert again.batch(range(last, last + 1))[0, 0] == orders[1][-1]


def test_unigram_counts_are_those_of_the_stream(tmp_path: Path) -> None:
    packed = pack_corpus(write_corpus(tmp_path / "c", ["ああx", "x"]), byte_tokenizer(), 258, tmp_path / "s")
    counts = packed.unigram_counts()
    assert counts.dtype == np.int64
    assert counts.shape == (258,)
    assert counts[EOS] == 2
    assert counts[byte_ids("x")[0]] == 2
    assert counts.sum() == packed.tokens


def test_an_id_beyond_the_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="do not belong together"):
        pack_corpus(write_corpus(tmp_path / "c", ["a"]), byte_tokenizer(), 200, tmp_path / "s")
