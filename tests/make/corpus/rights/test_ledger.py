from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.make.corpus.rights.config import PolicyConfig
from kiban.make.corpus.rights.ledger import Ledger, Split, merged
from kiban.make.corpus.rights.policy import Policy

from .conftest import rights_of

RIGHTS = [
    rights_of(owner="A"),
    rights_of(owner="B", licence="GPL-2.0-only", flags=("crawler_denial",), expires="2026-03-31"),
    rights_of(owner="市役所", licence="house rules", agreement="A-1", trust=-3, personal_data="personal"),
]
documents = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["train", "heldout"]), st.integers(0, 100)), max_size=30
)


def added(rows: list[tuple[int, Split, int]]) -> tuple[Ledger, list[int]]:
    ledger = Ledger()
    return ledger, [ledger.add(RIGHTS[which], split, size, 3 * size) for which, split, size in rows]


@given(documents, st.integers(0, 30))
def test_parts_merged_in_order_are_the_whole(rows: list[tuple[int, Split, int]], cut: int) -> None:
    whole, ids = added(rows)
    (left, left_ids), (right, right_ids) = added(rows[:cut]), added(rows[cut:])
    right.refuse("docs", "expired", 2)
    left.refuse("docs", "expired")
    both = Ledger()
    moved = [both.merge(left), both.merge(right)]
    found = [int(moved[0][each]) for each in left_ids] + [int(moved[1][each]) for each in right_ids]
    assert found == ids
    assert both.rows == whole.rows == merged([left, right]).rows
    assert both.refused == {"docs": {"expired": 3}}
    assert moved[0].dtype == np.uint32


@given(documents)
def test_counts_are_those_of_the_documents(rows: list[tuple[int, Split, int]]) -> None:
    ledger, ids = added(rows)
    for number, row in enumerate(ledger.rows):
        mine = [(split, size) for (_, split, size), each in zip(rows, ids, strict=True) if each == number]
        for split in ("train", "heldout"):
            sizes = [size for where, size in mine if where == split]
            assert row.counts[split] == [len(sizes), sum(sizes), 3 * sum(sizes)]  # type: ignore[index]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    ledger, _ = added([(0, "train", 10), (1, "heldout", 20), (2, "train", 5), (0, "train", 1)])
    for name in ("one", "two"):
        ledger.write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert Ledger.read(tmp_path / "one").rows == ledger.rows
    ledger.refuse("docs", "expired")
    assert Ledger.from_json(json.loads(json.dumps(ledger.json()))) == ledger
    assert ledger.row_of(RIGHTS[2]) == Ledger.read(tmp_path / "one").row_of(RIGHTS[2]) == 2


def test_a_document_moves_to_the_other_split() -> None:
    ledger, ids = added([(0, "train", 10), (0, "train", 4)])
    ledger.move(ids[1], "train", "heldout", 4, 12)
    assert ledger.rows[0].counts == {"train": [1, 10, 30], "heldout": [1, 4, 12]}


def test_the_manifest_says_under_what_the_corpus_is() -> None:
    ledger, _ = added([(0, "train", 10), (1, "train", 20), (1, "heldout", 2), (2, "train", 5)])
    ledger.row_of(rights_of(owner="dropped later"))
    ledger.refuse("docs", "expired", 4)
    policy = Policy(PolicyConfig.model_validate({"as_of": "2026-01-01", "commercial_use": True}, strict=False))
    stats = ledger.stats(policy)
    assert stats["owners"] == 3
    assert stats["licences"]["GPL-2.0-only"] == {"documents": 2, "characters": 22, "bytes": 66}
    assert stats["flags"] == {"crawler_denial": {"documents": 2, "characters": 22, "bytes": 66}}
    assert stats["personal_data"]["personal"]["documents"] == 1
    assert stats["first_expiry"] == "2026-03-31"
    assert stats["refused"] == {"docs": {"expired": 4}}
    assert stats["whole"]["licence"].startswith("CC0-1.0 AND GPL-2.0-only AND LicenseRef-house-rules")
    assert stats["whole"]["unknown"] == [ledger.rows[2].rights.licence]
    json.dumps(stats, allow_nan=False)


def test_what_a_policy_forbids_is_found_in_a_ledger() -> None:
    ledger, _ = added([(0, "train", 1), (1, "train", 1), (2, "heldout", 1)])
    ledger.row_of(rights_of(uses=("rag",)))  # under which there is no document
    policy = Policy(PolicyConfig.model_validate({"forbid_flags": ["crawler_denial"]}, strict=False))
    assert [(row.rights.owner, refusal.rule) for row, refusal in ledger.violations(policy)] == [("B", "copyright_flag")]
    with pytest.raises(AssertionError):
        ledger.stats(policy)
