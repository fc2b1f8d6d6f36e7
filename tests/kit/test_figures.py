"""Headline figures: read from stats where they are, left out where they are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiban.kit.figures import headline, short_count
from kiban.kit.store import Artifact, Store

Put = Callable[..., Artifact]


@pytest.mark.parametrize(
    ("stage", "stats", "japanese", "english"),
    [
        ("corpus", {"train": {"characters": 1_234_567}}, "123万文字", "1.23 M characters"),
        ("tokenizer", {"vocab_size": 4096}, "語彙 4,096", "vocabulary 4,096"),
        ("model", {"parameters": {"total": 5_243_904}}, "524万パラメータ", "5.24 M parameters"),
        ("model", {}, None, None),
        ("corpus", {"train": {}}, None, None),
        ("card", {"missing": 3}, None, None),
    ],
)
def test_headline(
    tmp_path: Path, put_artifact: Put, stage: str, stats: dict[str, Any], japanese: str | None, english: str | None
) -> None:
    manifest = put_artifact(Store(tmp_path / "store"), f"demo/{stage}", stats=stats).manifest
    assert (headline(manifest, "ja"), headline(manifest, "en")) == (japanese, english)


def test_a_base_model_is_headed_as_a_model(tmp_path: Path, put_artifact: Put) -> None:
    stats = {"parameters": {"total": 270_000_000}}
    made = put_artifact(Store(tmp_path / "store"), "demo/base", kind="model", stats=stats)
    assert headline(made.manifest) == "270 M parameters"


@pytest.mark.parametrize(
    ("count", "japanese"),
    [(0, "0"), (9_999, "9,999"), (10_000, "1万"), (99_950_000, "9,995万"), (1e8, "1億"), (3e12, "3兆")],
)
def test_japanese_counts_step_at_ten_thousands(count: float, japanese: str) -> None:
    assert short_count(count, "ja") == japanese
