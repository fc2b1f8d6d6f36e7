from __future__ import annotations

import hashlib
import io
import itertools
import json
import random
import time
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.make.corpus.duplicates import clusters
from kiban.make.corpus.duplicates.clusters import EDGE, EXACT, MEMBER, Forest, copies, edges
from kiban.make.corpus.duplicates.minhash import band_hashes
from kiban.make.corpus.letters import letters

from .conftest import ListTexts, document, edited

NEVER = 2**62


def members_of(texts: list[str]) -> np.ndarray:  # type: ignore[type-arg]
    hashes = band_hashes(letters(texts), 5)
    records = np.empty(hashes.shape, MEMBER)
    records["hash"], records["document"] = hashes, np.arange(len(texts))[:, None]
    return records.ravel()


def strings(text: str) -> set[str]:
    kept = "".join(one.lower() for one in text if one.isalnum())
    return {kept[at : at + 5] for at in range(len(kept) - 4)} or ({kept} - {""})


def similarity(first: set[str], second: set[str]) -> float:
    return len(first & second) / len(first | second) if first and second else 0.0


def components(count: int, pairs: list[tuple[int, int]]) -> list[int]:
    """The lowest member of each one's component, by spreading it until nothing changes."""
    labels = list(range(count))
    changed = True
    while changed:
        changed = False
        for one, other in pairs:
            low = min(labels[one], labels[other])
            if labels[one] != low or labels[other] != low:
                labels[one] = labels[other] = low
                changed = True
    return labels


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 14))
def test_small_sets_are_joined_as_comparing_all_candidates_would(source: random.Random, count: int) -> None:
    texts = [document(source, 3)]
    while len(texts) < count:
        base = source.choice(texts)
        texts.append(
            edited(source, base, source.choice([0.0, 0.02, 0.1, 0.3])) if source.random() < 0.8 else document(source, 3)
        )
    hashes = band_hashes(letters(texts), 5)
    sets = [strings(text) for text in texts]
    expected = {
        (other, one): similarity(sets[one], sets[other])
        for one, other in itertools.combinations(range(count), 2)
        if (hashes[one] == hashes[other]).any() and similarity(sets[one], sets[other]) >= 0.8
    }
    found = edges(members_of(texts), ListTexts(texts), 0.8, 5, NEVER)
    pairs = [(int(edge["document"]), int(edge["other"])) for edge in found]
    assert set(pairs) <= set(expected)
    assert all(edge["similarity"] == np.float32(expected[pair]) for pair, edge in zip(pairs, found, strict=True))
    assert components(count, pairs) == components(count, list(expected))


@pytest.fixture(scope="module")
def injected() -> tuple[list[str], list[set[str]]]:
    """400 originals and an edited copy of each, at rates of 1 to 20%."""
    source = random.Random(11)
    originals = [document(source, source.randrange(12, 60)) for _ in range(400)]
    texts = originals + [edited(source, text, source.uniform(0.01, 0.2)) for text in originals]
    return texts, [strings(text) for text in texts]


def test_recall_and_precision_of_injected_near_duplicates(injected: tuple[list[str], list[set[str]]]) -> None:
    texts, sets = injected
    found = edges(members_of(texts), ListTexts(texts), 0.8, 5, NEVER)
    labels = components(len(texts), [(int(edge["document"]), int(edge["other"])) for edge in found])
    half = len(texts) // 2
    true = [number for number in range(half) if similarity(sets[number], sets[number + half]) >= 0.8]
    assert len(true) > 150
    assert len(true) < half - 50, "edits are to fall on both sides of the threshold"
    assert sum(labels[number] == labels[number + half] for number in true) >= 0.98 * len(true)
    joined = [(int(edge["document"]), int(edge["other"])) for edge in found]
    assert sum(similarity(sets[one], sets[other]) >= 0.8 for one, other in joined) >= 0.99 * len(joined)
    assert len(joined) > 150


def test_order_and_partition_of_buckets_change_nothing(injected: tuple[list[str], list[set[str]]]) -> None:
    texts, _ = injected
    members = members_of(texts)
    whole = edges(members, ListTexts(texts), 0.8, 5, NEVER)
    shuffled = members[np.random.default_rng(0).permutation(len(members))]
    parts = [edges(shuffled[shuffled["hash"] % 7 == part], ListTexts(texts), 0.8, 5, NEVER) for part in range(7)]
    assert (np.unique(np.concatenate(parts)) == np.unique(whole)).all()


def test_many_pages_of_one_template() -> None:
    """No quadratic time, and every page is joined: each is read once and compared with few."""
    texts = [
        f"商品番号{number}の詳細ページです。ご注文は下のボタンからどうぞ。送料は全国一律でお届けは翌日です。" * 2
        for number in range(2000)
    ]
    counted = ListTexts(texts)
    members = np.empty(2000, MEMBER)
    members["hash"], members["document"] = 1, np.arange(2000)
    found = edges(members, counted, 0.6, 5, NEVER)
    assert len(set(components(2000, [(int(edge["document"]), int(edge["other"])) for edge in found]))) == 1
    assert counted.reads <= 2 * 2000


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 12), max_size=8), min_size=1, max_size=40),
    st.data(),
)
def test_both_forms_compare_alike_in_one_go_and_in_parts(sets: list[set[int]], data: st.DataObject) -> None:
    bucket = np.arange(len(sets)) * 3
    own = data.draw(st.integers(0, 3 * len(sets)))

    def of(document: int) -> np.ndarray:  # type: ignore[type-arg]
        return np.array(sorted(sets[document // 3]), np.uint64)

    results = []
    for form in ("compiled", "fallback"):
        for chunk in (1, 20, 10_000):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(clusters, "_compare", getattr(clusters._compare, form))
                patch.setattr(clusters, "CHUNK_SHINGLES", chunk)
                results.append(clusters._joined(bucket, of, 0.5, own).tolist())  # type: ignore[arg-type]
    assert all(result == results[0] for result in results)
    assert len(results[0]) <= clusters.REPRESENTATIVES * len(sets)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.randoms(use_true_random=False), st.floats(0.5, 1))
def test_similar_is_jaccard_from_the_threshold_on(
    first: int, second: int, source: random.Random, threshold: float
) -> None:
    one, other = ({source.randrange(60) for _ in range(size)} for size in (first, second))
    sets = [np.array(sorted(each), np.uint64) for each in (one, other)]
    exact = len(one & other) / len(one | other)
    for limit in (threshold, exact, np.nextafter(exact, 1)):
        assert clusters.similar(*sets, limit) == (exact if exact >= limit else 0)


def test_buckets_without_a_pair_of_ours_are_left_out() -> None:
    pairs = [(7, 4), (5, 1), (7, 2), (0, 1), (0, 2), (6, 8), (6, 9), (3, 9), (3, 0)]
    members = np.array(pairs, MEMBER)
    assert clusters.buckets(members, 8).tolist() == [(3, 0), (3, 9), (7, 2), (7, 4)]
    assert not len(clusters.buckets(members[:0], 8))


def test_a_bucket_of_strangers_is_not_quadratic() -> None:
    """The time for ten times as many documents, none like another, is about ten times as long."""
    seconds = []
    for count in (2_000, 2_000, 20_000):
        texts = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
        members = np.empty(count, MEMBER)
        members["hash"], members["document"] = 1, np.arange(count)
        started = time.process_time()
        assert not len(edges(members, ListTexts(texts), 0.9, 5, NEVER))
        seconds.append(time.process_time() - started)
    assert seconds[2] < 40 * seconds[1]


def test_known_documents_are_compared_only_with_ours() -> None:
    text = "東京の図書館では職員が資料を集めることにした。"
    texts = [text, text + "とても", text + "すごく", text + "とてもね"]
    members = members_of(texts)
    found = edges(members, ListTexts(texts), 0.6, 5, 2)
    pairs = {(int(edge["document"]), int(edge["other"])) for edge in found}
    assert {(1, 0), (2, 0), (3, 0)} <= pairs
    assert (3, 2) not in pairs
    assert not len(edges(members[members["document"] >= 2], ListTexts(texts), 0.6, 5, 2))


def test_documents_without_letters_are_like_none() -> None:
    texts = ["。。。", "!!!", ""]
    assert not len(edges(members_of(texts), ListTexts(texts), 0.5, 5, NEVER))


def test_of_copies_the_lowest_rank_stays_then_the_first() -> None:
    records = np.zeros(7, EXACT)
    records["document"] = [5, 1, 9, 2, 3, 7, 8]
    records["rank"] = [1, 2, 1, 0, 5, 5, -3]
    # Equal only in part: the first word is the same for all.
    records["sha256"][:, 3] = [1, 1, 1, 2, 2, 3, 4]
    records["sha256"][:, 0] = 7
    assert copies(records).tolist() == [(1, 5), (3, 2), (9, 5)]
    assert not len(copies(records[:0]))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.data())
def test_forest_against_plain_components(count: int, data: st.DataObject) -> None:
    node = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(node, node), max_size=40))
    ranks = np.array(data.draw(st.lists(st.integers(-2, 2), min_size=count, max_size=count)), np.int64)
    labels = components(count, pairs)
    best = {label: min((int(ranks[one]), one) for one in range(count) if labels[one] == label)[1] for label in labels}
    expected = [best[label] for label in labels]
    for form in ("compiled", "fallback"):
        forest = Forest(np.zeros(count, np.int64), np.zeros(count, np.int64), ranks, np.zeros(count, np.float32))
        with pytest.MonkeyPatch.context() as patch:
            for name in ("_connect", "_choose", "_survivors"):
                patch.setattr(clusters, name, getattr(getattr(clusters, name), form))
            half = len(pairs) // 2
            for part in (pairs[half:], pairs[:half]):
                ends = np.array(part, np.int64).reshape(-1, 2)
                forest.connect(ends[:, 0].copy(), ends[:, 1].copy(), np.full(len(part), 0.9, np.float32))
            forest.choose(block=4)
            assert forest.survivors(0, count).tolist() == expected
    touched = {one for pair in pairs for one in pair}
    assert [bool(value) for value in forest.similarity] == [one in touched for one in range(count)]


def test_edges_have_the_type_that_is_stored() -> None:
    assert edges(np.empty(0, MEMBER), ListTexts([]), 0.8, 5, NEVER).dtype == EDGE


@pytest.mark.slow
def test_a_hundred_thousand_pages_of_one_template() -> None:
    """Pages about as similar as the threshold, the worst case: the time grows with their number, not its square."""
    seconds = []
    for count in (1_000, 10_000, 100_000):
        texts = [
            f"商品番号{number}の詳細ページです。ご注文は下のボタンからどうぞ。送料は全国一律でお届けは翌日です。" * 2
            for number in range(count)
        ]
        members = members_of(texts)
        started = time.process_time()
        found = edges(members, ListTexts(texts), 0.8, 5, NEVER)
        seconds.append(time.process_time() - started)
        assert len(found) > count / 2
    assert seconds[2] < 30 * seconds[1]


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["debian-ja", "aozora-sample"])
def test_recall_and_precision_on_real_texts(name: str, shared_data: Path) -> None:
    with (shared_data / "corpus" / f"{name}.jsonl.zst").open("rb") as file:
        stream = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        originals = [json.loads(line)["text"][:6000] for line in itertools.islice(stream, 1200)]
    source = random.Random(12)
    texts = originals + [edited(source, text, source.uniform(0.01, 0.2)) for text in originals]
    sets = [strings(text) for text in texts]
    found = edges(members_of(texts), ListTexts(texts), 0.8, 5, NEVER)
    labels = components(len(texts), [(int(edge["document"]), int(edge["other"])) for edge in found])
    half = len(originals)
    true = [number for number in range(half) if similarity(sets[number], sets[number + half]) >= 0.8]
    assert len(true) > half / 4
    assert sum(labels[number] == labels[number + half] for number in true) >= 0.98 * len(true)
    joined = [(int(edge["document"]), int(edge["other"])) for edge in found]
    assert sum(similarity(sets[one], sets[other]) >= 0.8 for one, other in joined) >= 0.99 * len(joined)
