"""Continued pretraining of a real base model on real documents, by the shipped recipe with less of everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.base_model
@pytest.mark.shared_data
@pytest.mark.timeout(1500)
def test_continued_pretraining_lowers_heldout_bits_per_byte_and_the_card_shows_it(
    tmp_path: Path, repo_root: Path, base_model: Path, shared_data: Path
) -> None:
    less = {
        "training.tokens": "20480",
        "evaluation.bits_per_byte.max_documents": "24",
        "evaluation.samples.max_new_tokens": "16",
    }
    sets = [part for key, value in less.items() for part in ("--set", f"{key}={value}")]
    done = subprocess.run(
        [sys.executable, "-m", "kiban", "make", str(repo_root / "recipes" / "adapt-base.yaml"), "--json", *sets],
        cwd=tmp_path,
        env=os.environ | {"KIBAN_BASE_MODEL": str(base_model), "KIBAN_SHARED_DATA": str(shared_data)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    artifacts = json.loads(done.stdout)["artifacts"]
    assert list(artifacts) == ["corpus", "base", "tokenizer", "model", "evaluation", "card"]

    scored = json.loads(Path(artifacts["evaluation"]["path"], "evaluation.json").read_text())["bits_per_byte"]
    base = scored["baselines"]["base"]
    assert scored["value"] < base["value"]
    assert base["difference"]["ci95"][1] < 0, "better on the documents at large, not on a lucky few"

    html = Path(artifacts["card"]["path"], "card.html").read_text(encoding="utf-8")
    for figure in (scored["value"], base["value"]):
        assert f"{figure:.3f}" in html
    manifest = json.loads(Path(artifacts["model"]["path"], "manifest.json").read_text())
    assert {party["owner"] for party in manifest["parties"]} == {"Google", "Debian documentation authors"}
