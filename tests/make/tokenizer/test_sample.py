"""A sample is even, the same everywhere, and as large as asked for; blocks lose nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.make.tokenizer import sample
from kiban.make.tokenizer.sample import BLOCK_CHARACTERS, blocks, corpus_bytes, sample_blocks

from .conftest import write_corpus


@given(st.lists(st.text("あa\n", max_size=400), max_size=8).map("".join), st.integers(1, 50))
def test_blocks_joined_are_the_text(text: str, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "BLOCK_CHARACTERS", limit)
        found = list(blocks(text))
    assert "".join(found) == text
    assert all(0 < len(block) <= limit for block in found)


def test_blocks_end_with_a_line_where_there_is_one() -> None:
    text = ("あ" * 99 + "\n") * 500
    found = list(blocks(text))
    assert len(found) == 4
    assert all(block.endswith("\n") for block in found)
    assert max(map(len, found)) <= BLOCK_CHARACTERS


def test_a_corpus_that_fits_is_taken_whole(tmp_path: Path) -> None:
    texts = [f"文書{n}\n" * 50 for n in range(10)]
    corpus = write_corpus(tmp_path, texts)
    total = corpus_bytes(corpus, "train")
    assert total == sum(len(text.encode()) for text in texts)
    assert corpus_bytes(corpus, "heldout") == 0
    assert "".join(block.text for block in sample_blocks(corpus, "train", total, total)) == "".join(texts)


def test_a_larger_corpus_is_sampled_evenly_over_documents_of_any_size(tmp_path: Path) -> None:
    # One document is as large as all others together; whole documents would give half of the text or none of it.
    texts = [("長い文書の行です。" * 10 + "\n") * 100_000, *[f"短い文書{n}です。\n" * 100 for n in range(10_000)]]
    corpus = write_corpus(tmp_path, texts)
    total = corpus_bytes(corpus, "train")
    first = list(sample_blocks(corpus, "train", total // 5, total))
    assert first == list(sample_blocks(corpus, "train", total // 5, total))
    long, short = (
        sum(len(block.text.encode()) for block in first if ("長い" in block.text) is flag) for flag in (True, False)
    )
    sizes = [len(texts[0].encode()), total - len(texts[0].encode())]
    for drawn, size in zip((long, short), sizes, strict=True):
        assert drawn / size == pytest.approx(0.2, abs=0.03)
    smaller = {block.text for block in sample_blocks(corpus, "train", total // 10, total)}
    assert smaller < {block.text for block in first}, "a larger limit only adds text"
