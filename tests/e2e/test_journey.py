"""The whole main job as its user lives it: documents in, an answering model with a card out, through real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kiban.kit.files import digest_file

RECIPE = """\
name: journey
seed: 3
corpus:
  sources:
    - name: archive
      path: {samples}/shiomigaoka
      owner: 潮見ヶ丘ポンプ製作所
      licence: CC0-1.0
      uses: [train, evaluate]
  heldout_fraction: 0.1
tokenizer:
  vocab_size: 1024
model:
  shape: {{depth: 2, hidden_size: 64}}
training:
  tokens: {tokens}
  seq_len_tokens: 128
  micro_batch_sequences: 4
  learning_rate: 4.0e-3
  checkpoint_every_seconds: 0.5
evaluation:
  bits_per_byte: {{max_documents: 8, max_document_bytes: 2000}}
  tasks:
    - {{name: quiz, path: {samples}/shiomigaoka-quiz.jsonl, max_items: 10}}
  samples: {{prompts: ["点検手順"], max_new_tokens: 12}}
"""


def kiban(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "kiban", *arguments]


def write_recipe(folder: Path, repo_root: Path, tokens: int) -> Path:
    path = folder / "journey.yaml"
    path.write_text(RECIPE.format(samples=repo_root / "samples", tokens=tokens), encoding="utf-8")
    return path


def make(folder: Path, recipe: Path) -> dict[str, Any]:
    done = subprocess.run(
        kiban("make", str(recipe), "--json"), cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("journey")
    return folder, make(folder, write_recipe(folder, repo_root, 40_000))


def test_every_stage_leaves_an_artifact_and_a_second_run_remakes_nothing(
    made: tuple[Path, dict[str, Any]], repo_root: Path
) -> None:
    folder, report = made
    assert list(report["artifacts"]) == ["corpus", "tokenizer", "model", "evaluation", "card"]
    for artifact in report["artifacts"].values():
        assert Path(artifact["path"], "manifest.json").is_file()
        assert Path(artifact["path"]).name == artifact["digest"]
    again = make(folder, folder / "journey.yaml")
    assert (again["made"], again["artifacts"]) == ([], report["artifacts"])
    verified = subprocess.run(kiban("verify", "--json"), cwd=folder, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr


def test_the_damaged_files_of_the_archive_are_named(made: tuple[Path, dict[str, Any]]) -> None:
    corpus = Path(made[1]["artifacts"]["corpus"]["path"])
    report = (corpus / "report.md").read_text(encoding="utf-8")
    stats = json.loads((corpus / "manifest.json").read_text(encoding="utf-8"))["stats"]
    assert stats["files"]["skipped"] >= 3
    assert stats["dropped"]["duplicate"] >= 5
    assert ".pdf" in report
    assert ".docx" in report


def test_the_model_loads_in_transformers_with_the_logits_it_was_saved_with(made: tuple[Path, dict[str, Any]]) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = made[1]["artifacts"]["model"]["path"]
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    assert type(model).__name__ == "Qwen3ForCausalLM"
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokens = tokenizer("渦巻ポンプの点検手順", return_tensors="pt")
    assert tokenizer.decode(tokens["input_ids"][0], skip_special_tokens=True) == "渦巻ポンプの点検手順"
    fresh = type(model)(model.config).eval()
    missing, unexpected = fresh.load_state_dict(load_file(Path(path, "model.safetensors")), strict=False)
    assert set(missing) <= {"lm_head.weight"}
    assert unexpected == []
    fresh.tie_weights()
    with torch.no_grad():
        difference = (model(**tokens).logits - fresh(**tokens).logits).abs().max()
    assert difference <= 1e-5


def test_the_card_shows_what_was_recorded(made: tuple[Path, dict[str, Any]]) -> None:
    card = Path(made[1]["artifacts"]["card"]["path"])
    evaluation = Path(made[1]["artifacts"]["evaluation"]["path"])
    html = (card / "card.html").read_text(encoding="utf-8")
    assert "潮見ヶ丘ポンプ製作所" in html
    assert "CC0-1.0" in html
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', html), "the card loads nothing from elsewhere"
    scored = json.loads((evaluation / "evaluation.json").read_text(encoding="utf-8"))["bits_per_byte"]
    assert f"{scored['value']:.3f}" in html
    assert (card / "card.md").is_file()
    json.loads((card / "card.json").read_text(encoding="utf-8"))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        kiban("serve", "journey", "--port", str(port), "--json"), cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        yield ready["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        process.stdout.close()


def test_the_model_answers_the_official_client(made: tuple[Path, dict[str, Any]]) -> None:
    from openai import OpenAI

    folder, report = made
    with served(folder) as url:
        client = OpenAI(base_url=f"{url.rstrip('/')}/v1", api_key="none", max_retries=0)
        name = client.models.list().data[0].id
        said = client.completions.create(model=name, prompt="点検手順", max_tokens=8, seed=1, temperature=0, logprobs=1)
        assert said.usage is not None
        assert said.usage.completion_tokens <= 8
        assert report["artifacts"]["model"]["digest"][:12] in (said.system_fingerprint or "")
        asked: Any = [{"role": "user", "content": "SK-200の点検は?"}]
        chunks = list(client.chat.completions.create(model=name, messages=asked, max_tokens=8, stream=True, seed=1))
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        whole = client.chat.completions.create(model=name, messages=asked, max_tokens=8, seed=1)
        assert streamed == whole.choices[0].message.content


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_ends_with_the_same_weights(
    tmp_path: Path, made: tuple[Path, dict[str, Any]], repo_root: Path
) -> None:
    expected = {
        stage: Path(made[1]["artifacts"][stage]["path"], file)
        for stage, file in (("corpus", "report.json"), ("tokenizer", "tokenizer.json"), ("model", "model.safetensors"))
    }
    recipe = write_recipe(tmp_path, repo_root, 40_000)
    for seconds in (0.7, 1.5, 3.0, 5.0, 8.0):
        process = subprocess.Popen(
            kiban("make", str(recipe)), cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    report = make(tmp_path, recipe)
    for stage, file in expected.items():
        assert report["artifacts"][stage]["digest"] == made[1]["artifacts"][stage]["digest"]
        assert digest_file(Path(report["artifacts"][stage]["path"], file.name)) == digest_file(file), stage


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_leaves_nothing_half_made(tmp_path: Path, repo_root: Path) -> None:
    recipe = write_recipe(tmp_path, repo_root, 50_000_000)
    # A shell without job control starts its background processes, such as a test run, with SIGINT ignored.
    heeding = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(kiban("make", str(recipe)), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, heeding)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("▸ model"):
            break
    scratch = tmp_path / ".kiban" / "partial"
    deadline = time.monotonic() + 120
    while not list(scratch.glob("*/scratch/*checkpoint*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(timeout=60) == 130
    process.stderr.close()
    assert "interrupted" in rest
    assert "the same command goes on from here" in rest
    assert "Traceback" not in rest
    kinds = {path.name for path in (tmp_path / ".kiban" / "names" / "journey").iterdir()}
    assert kinds == {"corpus", "tokenizer"}
