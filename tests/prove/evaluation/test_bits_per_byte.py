from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kiban.make.recipe import BitsPerByteConfig
from kiban.prove.evaluation.bits_per_byte import (
    GROUP_DOCUMENTS,
    choose_documents,
    read_lines,
    score_documents,
    summarise,
    unigram_bits,
)
from kiban.prove.evaluation.scorer import Scorer

from .conftest import TEXTS, write_corpus

CONFIG = BitsPerByteConfig(max_documents=20, max_document_bytes=100, resamples=200)


def test_a_model_without_preference_needs_log2_of_its_vocabulary_per_token(
    tmp_path: Path, uniform_folder: Path
) -> None:
    documents = choose_documents(write_corpus(tmp_path / "corpus", TEXTS), CONFIG)
    scorer = Scorer(uniform_folder)
    scores = score_documents(documents, scorer, "model", tmp_path)
    tokens = sum(len(scorer.encode(document.text)) for document in documents)
    found = summarise(documents, [score.bits for score in scores], {}, CONFIG, seed=1)
    expected = math.log2(len(scorer.tokenizer)) * tokens / sum(len(document.text.encode()) for document in documents)
    assert found["value"] == pytest.approx(expected, abs=1e-5)
    assert found["ci95"][0] <= found["value"] <= found["ci95"][1]
    assert found["n_documents"] == 20


def test_documents_are_the_same_sample_whatever_the_limit_and_cut_between_characters(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", TEXTS)
    few = choose_documents(corpus, BitsPerByteConfig(max_documents=5, max_document_bytes=100))
    many = choose_documents(corpus, BitsPerByteConfig(max_documents=30, max_document_bytes=100))
    assert many[:5] == few
    for document in many:
        assert len(document.text.encode()) == document.bytes
        assert 98 <= document.bytes <= 100
        assert any(text.startswith(document.text) for text in TEXTS)


def test_unigram_bits_follow_the_counts(tmp_path: Path, model_folder: Path) -> None:
    scorer = Scorer(model_folder)
    documents = choose_documents(write_corpus(tmp_path / "corpus", TEXTS[:1]), CONFIG)
    counts = np.load(model_folder / "unigram.npy")
    expected = -sum(
        math.log2((counts[token] + 1) / (counts.sum() + len(counts))) for token in scorer.encode(documents[0].text)
    )
    assert unigram_bits(documents, scorer, counts) == [pytest.approx(expected)]


def test_a_killed_scoring_goes_on_and_ends_with_the_same_scores(tmp_path: Path, model_folder: Path) -> None:
    documents = choose_documents(write_corpus(tmp_path / "corpus", TEXTS), CONFIG)
    scorer = Scorer(model_folder)
    (tmp_path / "whole").mkdir()
    whole = score_documents(documents, scorer, "model", tmp_path / "whole")
    lines = (tmp_path / "whole" / "documents-model.jsonl").read_text().splitlines(keepends=True)
    torn = "".join(lines[:GROUP_DOCUMENTS]) + lines[GROUP_DOCUMENTS][:9]
    (tmp_path / "documents-model.jsonl").write_text(torn)
    resumed = score_documents(documents, scorer, "model", tmp_path)
    assert [score.bits for score in resumed] == pytest.approx([score.bits for score in whole])
    assert len(read_lines(tmp_path / "documents-model.jsonl")) == len(documents)
    assert json.loads(lines[0])["tokens"] == whole[0].tokens
