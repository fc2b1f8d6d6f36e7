"""Mixed sequences: each source's tokens, whole, and the training loop over them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.make.corpus.mixing_config import MixConfig
from kiban.make.corpus.reader import SCHEMA
from kiban.make.model import packing
from kiban.make.model.loop import train
from kiban.make.model.metrics import read_metrics
from kiban.make.model.mixed_sequences import MixedSequences
from kiban.make.model.packing import Packed, Sequences, pack_corpus, token_dtype
from kiban.make.model.runtime import Peak, Runtime
from kiban.make.model.schedule import training_length
from kiban.make.model.shape import build_config, build_model
from kiban.make.recipe import TrainingConfig

from .conftest import TINY, TRAINING, byte_tokenizer

RUNTIME, PEAK = Runtime("cpu", "fp32", 1), Peak(1e12, "made up")


def corpus_of(folder: Path, documents: list[tuple[str, str]]) -> Path:
    """A corpus of (source, text), two shards, in this order."""
    (folder / "train").mkdir(parents=True)
    half = len(documents) // 2
    for shard, part in enumerate((documents[:half], documents[half:])):
        rows = [
            {"id": f"{shard}-{n}", "source": source, "sha256": hashlib.sha256(text.encode()).digest(), "text": text}
            for n, (source, text) in enumerate(part)
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / "train" / f"{shard:05}.parquet")
    return folder


def token_file(folder: Path, runs: list[tuple[int, int]], sources: tuple[str, ...]) -> Packed:
    """Tokens that tell their source (thousands) and their place in it."""
    folder.mkdir(exist_ok=True)
    seen = dict.fromkeys(range(len(sources)), 0)
    ids: list[int] = []
    for source, count in runs:
        ids += range(1_000 * source + seen[source], 1_000 * source + seen[source] + count)
        seen[source] += count
    path = folder / "tokens.bin"
    np.array(ids, token_dtype(60_000)).tofile(path)
    np.array(runs, np.int64).tofile(path.with_suffix(".runs"))
    return Packed(path, 60_000, None, len(runs), len(ids), 1, 1, 1, sources, len(runs))


def mix(**values: Any) -> MixConfig:
    return MixConfig.model_validate(values, strict=False)


def test_packing_notes_which_tokens_are_of_which_source(tmp_path: Path) -> None:
    documents = [("b", "いろは"), ("b", "x"), ("a", "yy"), ("b", ""), ("c", "にほへと" * 3), ("a", "z")]
    packed = pack_corpus(corpus_of(tmp_path / "c", documents), byte_tokenizer(), 258, tmp_path / "s")
    assert packed.sources == ("b", "a", "c")
    expected = [("b", 9 + 1 + 1 + 1), ("a", 3), ("b", 1), ("c", 37), ("a", 2)]  # UTF-8 bytes and an EOS each
    assert [(packed.sources[place], tokens) for place, tokens in packed.read_runs().tolist()] == expected
    assert packed.read_runs()[:, 1].sum() == packed.tokens


def test_an_interrupted_pass_notes_the_same_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [(f"s{n // 5 % 3}", f"文書 {n} " * (n % 7)) for n in range(60)]
    corpus = corpus_of(tmp_path / "c", documents)
    monkeypatch.setattr(packing, "BATCH_CHARACTERS", 40)
    whole = pack_corpus(corpus, byte_tokenizer(), 258, tmp_path / "whole")
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
        with (tmp_path / "s" / "tokens.runs").open("ab") as file:
            file.write(b"torn!")
    again = pack_corpus(corpus, byte_tokenizer(), 258, tmp_path / "s")
    assert again.sources == whole.sources == ("s0", "s1", "s2")
    assert again.read_runs().tolist() == whole.read_runs().tolist()
    assert again.path.read_bytes() == whole.path.read_bytes()


@given(
    runs=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=12),
    seq_len=st.integers(2, 9),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=60, deadline=None)
def test_every_token_of_a_source_but_its_first_is_predicted_once_per_epoch(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, int]], seq_len: int, seed: int
) -> None:
    packed = token_file(tmp_path_factory.mktemp("t"), runs, ("a", "b", "c"))
    totals = {name: sum(n for source, n in runs if source == place) for place, name in enumerate(packed.sources)}
    usable = {name: (total - 1) // seq_len for name, total in totals.items() if total > seq_len}
    if len(usable) < 3:
        wanted = mix(epochs=dict.fromkeys(totals, 1))
        with pytest.raises(BadInput, match="fewer than one sequence"):
            MixedSequences(packed, seq_len, seed, wanted)
        if not usable:
            return
    sequences = MixedSequences(packed, seq_len, seed, mix(epochs=dict.fromkeys(usable, 2)))
    sequences.begin(sequences.per_epoch)
    rows = sequences.batch(range(sequences.per_epoch))
    assert len(rows) == 2 * sum(usable.values())
    assert (np.diff(rows) == 1).all(), "a sequence is of one source, in its own order"
    for place, (name, total) in enumerate(totals.items()):
        predicted = sorted((rows[rows[:, 0] // 1_000 == place][:, 1:] - 1_000 * place).ravel().tolist())
        assert predicted == sorted([*range(1, usable.get(name, 0) * seq_len + 1)] * 2)
        assert total <= 360
    assert sequences.tokens_by_source(len(rows)) == {name: 2 * n * seq_len for name, n in usable.items()}


def test_bos_begins_each_sequence_where_the_tokenizer_says_so(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c", [("a", "あいうえお" * 5), ("b", "abc" * 9)])
    packed = pack_corpus(corpus, byte_tokenizer(bos=True), 259, tmp_path / "s")
    sequences = MixedSequences(packed, 9, 0, mix(weights={"a": 1, "b": 1}))
    sequences.begin(6)
    assert (sequences.batch(range(6))[:, 0] == 258).all()


def test_too_short_a_source_is_named_with_what_to_do(tmp_path: Path) -> None:
    packed = token_file(tmp_path, [(0, 50), (1, 5)], ("a", "b"))
    with pytest.raises(BadInput, match=r"source 'b' has 5 tokens for training.*leave it out of the mix"):
        MixedSequences(packed, 8, 0, mix(weights={"a": 1, "b": 1}))
    with pytest.raises(BadInput, match="source 'c' has 0 tokens"):
        MixedSequences(packed, 8, 0, mix(weights={"a": 1, "c": 1}))


def test_training_shows_tokens_by_source_and_goes_on_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = token_file(tmp_path / "t", [(0, 700), (1, 300), (0, 200)], ("web", "manuals"))
    wanted = mix(phases=[{"share": 0.5, "weights": {"web": 3, "manuals": 1}}, {"share": 0.5, "epochs": {"manuals": 1}}])
    values = TRAINING.model_dump() | {"epochs": None, "tokens": 32 * 40, "checkpoint_every_seconds": 1e-9}
    config = TrainingConfig.model_validate(values)

    def run(folder: Path) -> Any:
        folder.mkdir(exist_ok=True)
        model = build_model(build_config(TINY, 2_000, 64, bos=None, eos=1, pad=None), seed=0)
        sequences = MixedSequences(packed, 32, 5, wanted)
        length = training_length(config, sequences.per_epoch)
        sequences.begin(length.sequences)
        train(model, sequences, length, config, 5, RUNTIME, PEAK, folder)
        return model

    whole = run(tmp_path / "whole")
    batch = MixedSequences.batch

    def breaks(self: MixedSequences, positions: range) -> Any:
        if positions.start == 24:
            raise MemoryError
        return batch(self, positions)

    monkeypatch.setattr(MixedSequences, "batch", breaks)
    with pytest.raises(MemoryError):
        run(tmp_path / "broken")
    monkeypatch.setattr(MixedSequences, "batch", batch)
    resumed = run(tmp_path / "broken")
    for name, parameter in whole.state_dict().items():
        assert torch.equal(parameter, resumed.state_dict()[name]), name
    metrics = read_metrics(tmp_path / "broken" / "metrics.jsonl")
    told = [(each.loss, each.tokens_by_source) for each in metrics]
    assert told == [(each.loss, each.tokens_by_source) for each in read_metrics(tmp_path / "whole" / "metrics.jsonl")]
    for each in metrics:
        assert each.tokens_by_source is not None
        assert sum(each.tokens_by_source.values()) == each.tokens
    assert metrics[-1].tokens_by_source == {"web": 15 * 32, "manuals": 25 * 32}
    assert metrics[4].tokens_by_source == metrics[-1].tokens_by_source | {"manuals": 5 * 32}


def test_without_a_mix_a_step_says_nothing_of_sources(tmp_path: Path) -> None:
    packed = token_file(tmp_path, [(0, 300)], ("a",))
    sequences = Sequences(packed, 32, 5)
    config = TrainingConfig.model_validate(TRAINING.model_dump())
    model = build_model(build_config(TINY, 2_000, 64, bos=None, eos=1, pad=None), seed=0)
    length = training_length(config, sequences.per_epoch)
    train(model, sequences, length, config, 5, RUNTIME, PEAK, tmp_path)
    assert b"tokens_by_source" not in (tmp_path / "metrics.jsonl").read_bytes()
