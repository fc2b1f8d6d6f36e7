from __future__ import annotations

import json
from pathlib import Path

import pytest

from kiban.kit.errors import BadInput
from kiban.make.recipe import Shape, load_recipe, recipe_json_schema

RECIPE = """\
name: small
corpus:
  sources:
    - name: manuals
      path: documents
      owner: 潮見ヶ丘
      licence: CC0-1.0
      uses: [train]
model:
  shape:
    depth: 2
training:
  tokens: 1000
"""


def load_error(folder: Path, text: str, *overrides: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load_recipe(path, overrides)
    return str(caught.value).replace(str(folder), "DIR")


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("licence:", "license:", ":7", "did you mean 'licence'?"),
        ("uses: [train]", "uses: [trian]", ":8", "train"),
        ("uses: [train]", "uses: []", ":8", "at least 1 item"),
        ("      owner: 潮見ヶ丘\n", "", ":4", "'corpus.sources.0.owner' is missing"),
        ("tokens: 1000", "tokens: -5", ":13", "greater than 0"),
        ("tokens: 1000", "token: 1000", ":13", "did you mean 'tokens'?"),
        ("tokens: 1000", "tokens: 1000\n  epochs: 1", ":12", "not both or neither"),
        (
            "depth: 2",
            "depth: 2\n    num_attention_heads: 3",
            ":10",
            "128 is not divisible by num_attention_heads 3",
        ),
        (
            "depth: 2",
            "depth: 2\n    num_key_value_heads: 3",
            ":10",
            "is not divisible by num_key_value_heads 3",
        ),
        ("depth: 2", "depth: 2\n  base: {model: x, owner: x, licence: x}", ":9", "not both or neither"),
        ("model:", "tokenizer: {vocab_size: 200}\nmodel:", ":9", "256 bytes and the special tokens must fit"),
        ("name: small", "name: ../small", ":1", "name"),
        ("training:", "seed: -1\ntraining:", ":12", "seed"),
        ("path: documents", "path: documents\n      encoding: shift-jus", ":6", "no encoding 'shift-jus'"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, where: str, says: str) -> None:
    assert old in RECIPE
    line = load_error(tmp_path, RECIPE.replace(old, new, 1))
    assert line.startswith(f"DIR/recipe.yaml{where}:")
    assert says in line


def test_a_tokenizer_beside_a_base_model_is_refused(tmp_path: Path) -> None:
    text = RECIPE.replace("shape:\n    depth: 2", "base: {model: x, owner: x, licence: x}")
    assert "keeps its own" in load_error(tmp_path, text + "tokenizer: {}\n")


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 7, 12, 20, 32])
def test_the_dial_alone_gives_sizes_that_fit_together(depth: int) -> None:
    sizes = Shape(depth=depth).resolved()
    assert sizes["hidden_size"] == 64 * depth
    assert sizes["num_attention_heads"] * sizes["head_dim"] == sizes["hidden_size"]
    assert sizes["num_attention_heads"] % sizes["num_key_value_heads"] == 0
    assert sizes["intermediate_size"] % 64 == 0
    assert 2.6 < sizes["intermediate_size"] / sizes["hidden_size"] <= 3.0


@pytest.mark.parametrize("name", ["demo", "debian-ja", "aozora", "adapt-base"])
def test_the_shipped_recipes_are_valid(repo_root: Path, name: str) -> None:
    recipe, _ = load_recipe(repo_root / "recipes" / f"{name}.yaml")
    assert recipe.name == name


def test_the_shipped_schema_is_the_current_one(repo_root: Path) -> None:
    shipped = (repo_root / "recipes" / "recipe.schema.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == json.loads(recipe_json_schema()), (
        "run `kiban recipe schema -o recipes/recipe.schema.json`"
    )
