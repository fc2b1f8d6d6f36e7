from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.make.corpus.letters import letters
from kiban.make.corpus.quality_model import features
from kiban.make.corpus.quality_model.config import QualityModelConfig
from kiban.make.corpus.quality_model.examples import Example, read_labelled, read_sides
from kiban.make.corpus.quality_model.measures import area_under_roc, at_threshold, lowest_threshold
from kiban.make.corpus.quality_model.model import QualityModel, train

SMALL = QualityModelConfig(buckets_log2=12, folds=4)
WORDS = {True: ["点検の手順は次のとおり。", "水圧を確かめて記録する。", "部品を交換した日を書く。"],
         False: ["激安セール開催中!!", "今すぐクリック→無料", "口コミ人気No.1通販"]}  # fmt: skip


def toy(many: int, seed: int = 0, overlap: float = 0.0) -> list[Example]:
    """`many` documents of each side; a share of each's sentences are of the other."""
    rng = random.Random(seed)
    examples = []
    for index in range(2 * many):
        good = index % 2 == 0
        sentences = [rng.choice(WORDS[good ^ (rng.random() < overlap)]) for _ in range(rng.randint(5, 9))]
        examples.append(Example(f"{index}番 " + "".join(sentences), good, f"toy:{index + 1}"))
    return examples


def test_it_learns_what_can_be_told_apart() -> None:
    model = train(toy(30), SMALL)
    assert model.report["held_out"]["area_under_roc"] == 1
    assert model.report["min_precision_reached"]
    unseen = toy(20, seed=7)
    scores = model.score(letters([example.text for example in unseen]))
    assert scores.dtype == np.float32
    assert ((scores >= model.threshold) == [example.good for example in unseen]).all()


def test_probabilities_are_those_of_new_documents_where_sides_overlap() -> None:
    model = train(toy(300, overlap=0.42), SMALL)
    unseen = toy(1000, seed=8, overlap=0.42)
    scores = model.score(letters([example.text for example in unseen]))
    good = np.array([example.good for example in unseen])
    assert model.report["held_out"]["accuracy_at_half"] > model.report["held_out"]["majority_accuracy"] + 0.05
    for inside in np.array_split(np.argsort(scores), 4):
        assert abs(good[inside].mean() - scores[inside].mean()) < 0.1
    # The held-out figures foretell what happens to new documents.
    chosen, now = model.report["chosen"], at_threshold(scores.astype(np.float64), good, model.threshold)
    assert abs(chosen["precision"]["value"] - now["precision"]["value"]) < 0.1


def test_what_cannot_be_told_apart_is_not_claimed_to_be() -> None:
    rng = random.Random(3)
    texts = ["".join(rng.choices("あいうえおかきくけこ", k=60)) for _ in range(80)]
    model = train([Example(text, index % 2 == 0, "x") for index, text in enumerate(texts)], SMALL)
    assert 0.25 < model.report["held_out"]["area_under_roc"] < 0.75
    scores = model.score(letters(texts))
    assert abs(float(scores.mean()) - 0.5) < 0.15


def test_the_same_examples_make_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    examples = toy(20, overlap=0.3)
    train(examples, SMALL).save(tmp_path / "a")
    train([*reversed(examples), examples[3]], SMALL).save(tmp_path / "b")
    train(examples, SMALL.model_copy(update={"seed": 2})).save(tmp_path / "c")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["model.json", "weights.npz"]
    assert (tmp_path / "a/weights.npz").read_bytes() == (tmp_path / "b/weights.npz").read_bytes()
    reports = [json.loads((tmp_path / name / "model.json").read_bytes()) for name in "abc"]
    assert reports[0]["report"].pop("examples") == {"good": 20, "bad": 20, "given": 40}
    assert reports[1]["report"].pop("examples") == {"good": 20, "bad": 20, "given": 41}
    assert reports[0] == reports[1]
    assert reports[0]["bias"] != reports[2]["bias"]


def test_a_model_that_was_saved_scores_as_before(tmp_path: Path) -> None:
    model = train(toy(20), SMALL)
    model.save(tmp_path)
    documents = letters(["水圧を記録する。", "", "無料クリック"])
    again = QualityModel.load(tmp_path)
    assert again.score(documents).tobytes() == model.score(documents).tobytes()
    assert (again.threshold, again.report, again.config) == (model.threshold, model.report, model.config)
    assert again.table() == model.table()
    assert "*" in model.table()


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no quality model"):
        QualityModel.load(tmp_path)
    train(toy(10), SMALL).save(tmp_path)
    whole = (tmp_path / "weights.npz").read_bytes()
    (tmp_path / "weights.npz").write_bytes(whole[:-30] + b"x" + whole[-29:])
    with pytest.raises(BadInput, match="not those that were saved"):
        QualityModel.load(tmp_path)
    description = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(description.replace('"format": 1', '"format": 9'))
    with pytest.raises(BadInput, match="format is 9"):
        QualityModel.load(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "not an object"),
        ('{"label": "good"}', "has no `text`"),
        ('{"text": 3, "label": "good"}', "not a string"),
        ('{"text": "x"}', "has no `label`"),
        ('{"text": "x", "label": "fine"}', "label"),
        ('{"text": "x", "label": 2}', "label"),
        ('{"text": " \\n", "label": "good"}', "empty"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"text": "よい", "label": "good"}\n\n' + line + "\n")
    with pytest.raises(BadInput, match=message) as error:
        read_labelled(path)
    assert error.value.where == f"{path}:3"


def test_labels_may_be_written_in_several_ways(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    labels = ['"good"', "true", "1", '"bad"', "false", "0"]
    path.write_text("".join(f'{{"text": "文１\u2028", "label": {label}}}\n' for label in labels))
    found = read_labelled(path)
    assert [example.good for example in found] == [True] * 3 + [False] * 3
    assert {example.text for example in found} == {"文1"}


def test_sides_may_be_folders_or_files(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good/b.txt").write_text("二")
    (tmp_path / "good/a.txt").write_text("一")
    (tmp_path / "bad.jsonl").write_text('{"text": "三"}\n')
    found = read_sides(tmp_path / "good", tmp_path / "bad.jsonl")
    assert [(example.text, example.good) for example in found] == [("一", True), ("二", True), ("三", False)]
    (tmp_path / "good/c.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="UTF-8") as error:
        read_sides(tmp_path / "good", tmp_path / "bad.jsonl")
    assert error.value.where == str(tmp_path / "good/c.txt")
    with pytest.raises(BadInput, match="cannot read"):
        read_sides(tmp_path / "none", tmp_path / "bad.jsonl")


def test_examples_that_teach_nothing_are_refused() -> None:
    with pytest.raises(BadInput, match="0 different examples are bad"):
        train([example for example in toy(20) if example.good], SMALL)
    with pytest.raises(BadInput, match="0 different examples are good"):
        train([], SMALL)
    with pytest.raises(BadInput, match="toy:1") as error:
        train([*toy(20), Example(toy(20)[0].text, False, "again:9")], SMALL)
    assert error.value.where == "again:9"


def slow_ngrams(text: str, shape: features.NGrams) -> Counter[str]:
    text = text[: shape.max_characters]
    lengths = range(shape.shortest, shape.longest + 1)
    return Counter(text[i : i + n] for n in lengths for i in range(len(text) - n + 1))


@settings(deadline=None)
@given(
    st.lists(st.text(st.sampled_from("あいう漢字a \U0001f600"), max_size=30), min_size=1, max_size=4),
    st.sampled_from([(1, 1), (1, 3), (2, 4), (4, 4)]),
    st.integers(0, 2**31),
)
def test_compiled_loops_and_their_fallbacks_agree(texts: list[str], lengths: tuple[int, int], seed: int) -> None:
    shape = features.NGrams(*lengths, 20, 25)
    documents = letters(texts)
    weights = np.random.default_rng(seed).integers(-(2**30), 2**30, 1 << 20, dtype=np.int32)
    arguments = (documents.codes, documents.starts, shape)
    found = [form(*arguments, weights) for form in (features.sums.compiled, features.sums.fallback)]
    counted = [form(*arguments) for form in (features.counts.compiled, features.counts.fallback)]
    for ours, theirs in ((found[0], found[1]), (counted[0], counted[1])):
        assert [array.tolist() for array in ours] == [array.tolist() for array in theirs]
    rows, buckets, counts = counted[0]
    for index, text in enumerate(texts):
        slow = slow_ngrams(text, shape)
        own = slice(rows[index], rows[index + 1])
        assert found[0][1][index] == sum(slow.values())
        assert sorted(counts[own].tolist()) == sorted(slow.values())  # with so many buckets, none is shared
        assert found[0][0][index] == (weights[buckets[own]].astype(np.int64) * counts[own]).sum()


def test_measures() -> None:
    scores, good = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, True, False, True, False])
    assert area_under_roc(scores, good) == pytest.approx(5 / 6)
    assert lowest_threshold(scores, good, 0.75) == 0.6
    assert lowest_threshold(scores, good, 0.9) == 0.8
    assert lowest_threshold(scores, ~good, 0.9) is None
    assert lowest_threshold(np.array([0.5, 0.5]), np.array([True, False]), 0.9) is None
    row = at_threshold(scores, good, 0.7)
    assert (row["kept"], row["kept_good"], row["precision"]["value"], row["recall"]["value"]) == (3, 2, 0.6667, 0.6667)
    assert at_threshold(scores, good, 1.0)["precision"] is None


@pytest.mark.slow
@pytest.mark.shared_data
def test_it_tells_real_documents_from_damaged_ones(shared_data: Path) -> None:
    import orjson
    import zstandard

    with (shared_data / "corpus" / "debian-ja.jsonl.zst").open("rb") as file:
        rows = zstandard.ZstdDecompressor().stream_reader(file).read(20_000_000).splitlines()[:-1]
    rng = random.Random(1)
    texts = [text for row in rng.sample(rows, 400) if len(text := orjson.loads(row)["text"][:3000]) > 500][:200]
    examples = []
    for index, text in enumerate(texts):
        damaged = text
        if index % 4 == 0:
            damaged = "".join(rng.sample(text, len(text)))
        elif index % 4 == 1:
            pieces = [text[i : i + 4] for i in range(0, len(text), 4)]
            damaged = "".join(rng.sample(pieces, len(pieces)))
        examples.append(Example(damaged, index % 4 > 1, str(index)))
    held_out = train(examples, QualityModelConfig()).report["held_out"]
    assert held_out["area_under_roc"] > 0.9
    assert held_out["accuracy_at_half"] > held_out["majority_accuracy"] + 0.25
