"""Our versions of the published rules against the originals, in an environment of their own, made once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import zstandard

from .texts import varied

PACKAGES = ("hojichar[all]==0.18.1", "datatrove==0.10.1", "spacy>=3.8,<3.9", "sudachipy==0.7.0", "regex", "loguru")
PACKAGES += ("sudachidict_core", "daachorse", "pydantic", "ruamel.yaml")


@pytest.fixture(scope="module")
def peers(repo_root: Path) -> Path:
    """Python of an environment with the originals."""
    folder = repo_root / ".benchmarks" / "quality_peers"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        made = subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"the originals cannot be installed: {made.stderr.strip().splitlines()[-1]}")
        (folder / "ready").touch()
    return python


def disagreements(python: Path, texts: list[str], root: Path, scratch: Path) -> dict[str, list[int]]:
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "KIBAN_NO_COMPILER": "1"}
    script = Path(__file__).with_name("peer_decisions.py")
    done = subprocess.run(
        [python, script, scratch], input=json.dumps(texts), env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["disagreements"] == []
    compared: dict[str, list[int]] = found["compared"]
    return compared


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_decisions_are_the_originals(peers: Path, repo_root: Path, tmp_path: Path) -> None:
    compared = disagreements(peers, varied(300), repo_root, tmp_path)
    one_sided = {rule for rule, counts in compared.items() if not all(counts)}
    assert not any(rule.startswith(("hojichar", "llm-jp")) for rule in one_sided), one_sided


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.timeout(1200)
def test_decisions_are_the_originals_on_real_texts(
    peers: Path, repo_root: Path, shared_data: Path, tmp_path: Path
) -> None:
    texts = []
    for name in ("debian-ja", "aozora-sample"):
        with (shared_data / "corpus" / f"{name}.jsonl.zst").open("rb") as file:
            block = zstandard.ZstdDecompressor().stream_reader(file).read(12 * 2**20)
        own = [orjson.loads(line)["text"] for line in block.split(b"\n")[:-1]]
        texts += [text for text in own if len(text) < 30_000][:: max(1, len(own) // 60)]
    compared = disagreements(peers, texts, repo_root, tmp_path)
    assert compared["fineweb2-ja.words_min"][0] > 50
