from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kiban.make.corpus import mixing
from kiban.make.corpus.mixing import MixOrder, apportion, sequences_per_pass
from kiban.make.corpus.mixing_config import MixConfig


def drawn(order: MixOrder, positions: range) -> list[tuple[str, int]]:
    sources, sequences = order.at(positions)
    return [(order.names[source], int(index)) for source, index in zip(sources, sequences, strict=True)]


def config(**values: object) -> MixConfig:
    return MixConfig.model_validate(values, strict=False)


@given(st.integers(0, 10_000), st.lists(st.floats(0.001, 1000), min_size=1, max_size=8))
def test_parts_add_up_and_are_within_one_of_their_share(total: int, weights: list[float]) -> None:
    parts = apportion(total, [Fraction(each) for each in weights])
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(weight) * total / sum(map(Fraction, weights))) < 1


@given(
    available=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    weights=st.lists(st.floats(0.01, 10), min_size=4, max_size=4),
    total=st.integers(1, 300),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=60, deadline=None)
def test_shares_are_exact_to_a_sequence_and_epochs_are_whole(
    available: list[int], weights: list[float], total: int, seed: int
) -> None:
    names = [f"s{place}" for place in range(len(available))]
    have, share = dict(zip(names, available, strict=True)), dict(zip(names, weights, strict=False))
    order = MixOrder(config(weights=share), have, total, seed)
    found = drawn(order, range(total))
    by_source = Counter(name for name, _ in found)
    for name in names:
        assert abs(by_source[name] - total * share[name] / sum(share.values())) < 1 + 1e-9
        # No sequence comes again before all of the source have come, and all are its own.
        draws = [index for source, index in found if source == name]
        for start in range(0, len(draws), have[name]):
            epoch = draws[start : start + have[name]]
            assert len(set(epoch)) == len(epoch)
            assert set(epoch) <= set(range(have[name]))


def test_epochs_pass_over_each_source_as_often_as_they_say() -> None:
    have = {"web": 100, "manuals": 30, "faq": 7}
    mix = config(epochs={"web": 1, "manuals": 3, "faq": 2.5})
    total = sequences_per_pass(mix, have)
    assert total == 100 + 90 + 18  # 17.5 is 18 sequences of a whole
    times = Counter(drawn(MixOrder(mix, have, total, 3), range(total)))
    assert {times["web", index] for index in range(100)} == {1}
    assert {times["manuals", index] for index in range(30)} == {3}
    assert Counter(times["faq", index] for index in range(7)) == {3: 4, 2: 3}  # two passes and a half, as 18 of 7
    # Trained for twice as long it is twice as often, to a sequence.
    twice = Counter(name for name, _ in drawn(MixOrder(mix, have, 2 * total, 3), range(2 * total)))
    assert abs(twice["web"] - 200) <= 1
    assert abs(twice["faq"] - 35) <= 1


def test_phases_have_their_shares_and_go_on_where_the_one_before_stopped() -> None:
    have = {"web": 500, "manuals": 90}
    mix = config(
        phases=[
            {"share": 0.75, "weights": {"web": 9, "manuals": 1}},
            {"share": 0.25, "weights": {"manuals": 1}},
        ]
    )
    order = MixOrder(mix, have, 401, 5)
    found = drawn(order, range(401))
    first, second = found[:301], found[301:]  # 300.75 and 100.25
    assert Counter(name for name, _ in first) == {"web": 271, "manuals": 30}
    assert {name for name, _ in second} == {"manuals"}
    manuals = [index for name, index in found if name == "manuals"]
    assert len(set(manuals[:90])) == 90, "30 in the first phase and the other 60 in the second, before any comes again"
    # Sources are spread over a phase: no tenth of it is without the rarer one.
    assert all("manuals" in {name for name, _ in first[start : start + 60]} for start in range(0, 300, 60))
    stats = order.stats(8)
    assert stats["sources"]["manuals"] == {"tokens": 130 * 8, "epochs": round(130 / 90, 4)}  # type: ignore[index]
    assert [phase["tokens"] for phase in stats["phases"]] == [301 * 8, 100 * 8]  # type: ignore[attr-defined]


def test_any_position_is_found_without_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing, "BLOCK", 16)  # several blocks in a small training
    have = {"a": 13, "b": 50, "c": 9}
    mix = config(
        phases=[
            {"share": 0.6, "weights": {"a": 1, "b": 2}},
            {"share": 0.4, "epochs": {"b": 1, "c": 4}},
        ]
    )
    whole = drawn(MixOrder(mix, have, 333, 8), range(333))
    for position in (332, 0, 199, 200, 15, 16, 17, 201):
        assert drawn(MixOrder(mix, have, 333, 8), range(position, position + 1)) == [whole[position]]
    resumed = MixOrder(mix, have, 333, 8)
    assert drawn(resumed, range(150, 333)) == whole[150:]
    for position in (0, 1, 16, 200, 331, 333):
        counted = Counter(name for name, _ in whole[:position])
        assert resumed.drawn_before(position) == {name: counted[name] for name in ("a", "b", "c")}
    assert drawn(MixOrder(mix, have, 333, 9), range(333)) != whole, "another seed, another order"
    with pytest.raises(IndexError):
        resumed.at(range(333, 334))


def test_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    have, mix = {"a": 40, "b": 25}, config(weights={"a": 0.3, "b": 0.7})
    wide = drawn(MixOrder(mix, have, 500, 1), range(500))
    monkeypatch.setattr(mixing, "BLOCK", 7)
    assert drawn(MixOrder(mix, have, 500, 1), range(500)) == wide


def test_sources_that_are_not_named_are_not_drawn() -> None:
    order = MixOrder(config(weights={"a": 1}), {"a": 3, "b": 9}, 10, 1)
    assert {name for name, _ in drawn(order, range(10))} == {"a"}


def test_streams_are_drawn_independently() -> None:
    """Two sources of one length must not come in the same order, nor an epoch as the one before."""
    have = {"a": 64, "b": 64}
    found = drawn(MixOrder(config(epochs={"a": 2, "b": 2}), have, 256, 4), range(256))
    orders = [[index for name, index in found if name == source] for source in ("a", "b")]
    assert orders[0][:64] != orders[1][:64]
    assert orders[0][:64] != orders[0][64:]
    assert abs(np.corrcoef(orders[0][:64], orders[1][:64])[0, 1]) < 0.5


@pytest.mark.parametrize(
    ("given_values", "said"),
    [
        ({}, "give `weights` or `epochs`, or `phases`"),
        ({"weights": {"a": 1}, "epochs": {"a": 1}}, "not both"),
        ({"weights": {"a": 1}, "phases": [{"share": 1, "weights": {"a": 1}}]}, "or `phases`"),
        ({"phases": [{"share": 0.5, "weights": {"a": 1}}]}, "add up to 0.5"),
        ({"phases": [{"share": 1}]}, "needs `weights` or `epochs`"),
        ({"weights": {"a": 0}}, "greater than 0"),
        ({"weights": {}}, "at least 1"),
    ],
)
def test_a_mix_that_says_nothing_or_two_things_is_refused(given_values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        config(**given_values)


def test_a_source_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="`mix` names 'manual', and there is no such source"):
        config(weights={"manual": 1}).check_sources(["manuals"])
