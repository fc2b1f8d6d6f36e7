"""Leaves that differ, against a flat comparison of both values."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kiban.kit.differences import differences

KEYS = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(KEYS, inner, min_size=1), max_leaves=12)


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flat(value, f"{prefix}.{key}" if prefix else key)
    return leaves


@given(TREES, TREES)
def test_every_leaf_that_differs_and_no_other(old: Any, new: Any) -> None:
    found = differences(old, new)
    before, after = flat(old), flat(new)
    differing = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    named = {key for key, _, _ in found}
    # Where one side ends in a value and the other goes on, the shorter key stands for all below it.
    for key in differing:
        assert any(key == name or key.startswith(f"{name}.") or name == "" for name in named)
    for key, left, right in found:
        assert left != right
        assert any(leaf == key or leaf.startswith(f"{key}.") or key == "" for leaf in differing)


def test_lists_of_one_length_differ_item_by_item_and_others_as_a_whole() -> None:
    assert differences({"x": [1, {"y": 2}]}, {"x": [1, {"y": 3}]}) == [("x.1.y", 2, 3)]
    assert differences({"x": [1]}, {"x": [1, 2]}) == [("x", [1], [1, 2])]
    assert differences({"x": 1}, {}) == [("x", 1, None)]
