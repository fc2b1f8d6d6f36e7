"""The command line that is built for vLLM; the engine itself needs a GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kiban.kit.addresses import claim_port
from kiban.kit.errors import BadInput
from kiban.use.locate import Located
from kiban.use.serving import vllm
from kiban.use.serving.options import ServeOptions

LOCATED = Located(Path("/store/artifacts/abc"), "demo", ("demo/model",), "ab" * 32, None)
OPTIONS = ServeOptions(
    host="0.0.0.0",
    port=8123,
    keys=(),
    max_batch=16,
    queue_limit=64,
    request_timeout_s=600,
    max_tokens_limit=None,
    grace_s=30,
    dtype="auto",
    as_json=False,
)


def test_the_options_become_vllms_own() -> None:
    assert vllm.command(LOCATED, OPTIONS) == [
        *("vllm", "serve", "/store/artifacts/abc", "--served-model-name", "demo", "demo/model"),
        *("--host", "0.0.0.0", "--port", "8123", "--dtype", "auto", "--max-num-seqs", "16"),
    ]
    line = vllm.command(LOCATED, replace(OPTIONS, dtype="bf16", max_tokens_limit=100))
    assert line[line.index("--dtype") + 1] == "bfloat16"
    assert line[line.index("--override-generation-config") + 1] == '{"max_new_tokens": 100}'


def test_one_key_is_not_on_the_command_line_where_others_could_read_it() -> None:
    options = replace(OPTIONS, keys=("secret",))
    assert "secret" not in vllm.command(LOCATED, options)
    assert vllm.environment(options, {"PATH": "/bin"}) == {"PATH": "/bin", "VLLM_API_KEY": "secret"}


def test_several_keys_are_all_passed() -> None:
    options = replace(OPTIONS, keys=("one", "two"))
    assert vllm.command(LOCATED, options)[-3:] == ["--api-key", "one", "two"]
    assert vllm.environment(options, {}) == {}


def test_it_is_refused_where_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "available", lambda: False)
    with pytest.raises(BadInput, match="needs a GPU and the package vllm"):
        vllm.serve_with_vllm(LOCATED, OPTIONS, claim_port("127.0.0.1", 0))
