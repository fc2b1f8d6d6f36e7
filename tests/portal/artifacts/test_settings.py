from __future__ import annotations

import pytest

from kiban.portal.artifacts.settings import MOST_CHARACTERS, differences, plain, tree_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/sato/data/manuals.jsonl", "…/manuals.jsonl"),
        ("../samples/quiz.jsonl", "…/quiz.jsonl"),
        ("~/models/base", "…/base"),
        ("/home/sato/my data/a b.txt", "…/a b.txt"),
        ("C:\\Users\\sato\\a.txt", "…/a.txt"),
        ("file:///srv/data/x.parquet", "…/x.parquet"),
        ("read from '/srv/data/x.parquet', twice", "read from '…/x.parquet', twice"),
        ("https://example.jp/a/b", "https://example.jp/a/b"),
        ("tokyotech-llm/Swallow", "tokyotech-llm/Swallow"),
        ("6 N + 12 / 4", "6 N + 12 / 4"),
        ("a\x1b[31m", "a␛[31m"),
    ],
)
def test_folders_of_the_machine_are_not_told(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_tree_has_a_bound() -> None:
    many = {f"k{number}": number for number in range(1000)}
    tree = tree_of({"first": {"x" * 2000: "y" * 2000}, "many": many})
    assert len(tree.children[0].children[0].name) == MOST_CHARACTERS + 1
    assert len(tree.children[1].children) + tree.children[1].left_out == 1000
    assert tree.children[1].left_out > 500
    nested: dict[str, object] = {}
    for _ in range(100):
        nested = {"deeper": nested}
    assert tree_of(nested).children


def test_settings_that_differ_by_their_dotted_names() -> None:
    one = {"shape": {"depth": 4, "width": 8}, "lr": 1e-3, "only": None}
    other = {"shape": {"depth": 2, "width": 8}, "lr": 1e-3}
    assert [(each.name, each.one, each.other) for each in differences(one, other)] == [
        ("shape.depth", "4", "2"),
        ("only", "null", None),
    ]
