"""Tokens per second of `kiban serve` with 8 concurrent requests over transformers answering them one at a time.

Ours is the real server, in a process of its own, asked over HTTP by 8 threads at once; the peer is `generate` of the
same transformers model (KV cache, SDPA, greedy), in a process of its own, one request after another. Same weights,
prompts of 8 to 64 tokens, and number of new tokens (the end of text is forbidden to both); float32; both have all
processors. Rounds are interleaved; the ratio is of medians. Also measured: the same requests to our server one after
another, and transformers' own continuous batching, which has no per-request sampling parameters, seeds or
alternatives' log-probabilities.

The default model is a random decoder of about 5 M parameters; `--model FOLDER` takes any transformers folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from shared.machine import machine

BAR = 2.0
REQUESTS = 8
VOCABULARY, CONTEXT = 8_192, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer tokens and rounds; about a minute")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--model", type=Path, help="a transformers folder in place of the random model")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        run_peer(options.model, options.tokens)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.model or random_model(Path(scratch) / "model")
        result = compare(
            folder, tokens=32 if options.quick else 96, rounds=3 if options.quick else 7, quiet=options.json
        )
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


def compare(folder: Path, *, tokens: int, rounds: int, quiet: bool) -> dict[str, Any]:
    server = start(
        [sys.executable, "-m", "kiban", "serve", str(folder), "--port", "0", "--json", "--engine", "transformers"]
    )
    peer = start([sys.executable, __file__, "--peer", "--model", str(folder), "--tokens", str(tokens)])
    assert server.stdout is not None
    assert peer.stdout is not None
    ready = json.loads(server.stdout.readline())
    known = json.loads(peer.stdout.readline())

    def ask_peer(what: str) -> float:
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdin.write(what + "\n")
        peer.stdin.flush()
        return float(peer.stdout.readline())

    contenders: dict[str, Callable[[], float]] = {
        "ours": lambda: ask_server(ready, known["eos"], tokens, threads=REQUESTS),
        "peer": lambda: ask_peer("generate"),
        "ours_sequential": lambda: ask_server(ready, known["eos"], tokens, threads=1),
        "transformers_continuous_batching": lambda: ask_peer("batch"),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    try:
        for measure in contenders.values():
            measure()  # the first run of each is slower
        for _ in range(rounds):
            for name, measure in contenders.items():
                speeds[name].append(measure())
                if not quiet:
                    print(f"{name}: {speeds[name][-1]:,.1f} tokens/s", file=sys.stderr, flush=True)
    finally:
        for process in (server, peer):
            process.kill()
            process.wait()
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    ratios = [ours / other for ours, other in zip(speeds["ours"], speeds["peer"], strict=True)]
    ratio = medians["ours"] / medians["peer"]
    return {
        "name": "serve_throughput",
        "unit": "tokens/s",
        "ours": round(medians["ours"], 1),
        "peer": round(medians["peer"], 1),
        "ratio": round(ratio, 3),
        "bar": BAR,
        "ok": ratio >= BAR,
        "n": rounds,
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
        "ours_sequential": round(medians["ours_sequential"], 1),
        "transformers_continuous_batching": round(medians["transformers_continuous_batching"], 1),
        "requests": REQUESTS,
        "tokens_per_request": tokens,
        "parameters": known["parameters"],
        "machine": machine("torch", "transformers"),
    }


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def ask_server(ready: dict[str, Any], eos: list[int], tokens: int, *, threads: int) -> float:
    import httpx

    bias = {str(token): -100 for token in eos}
    bodies = [
        {"model": ready["model"], "prompt": prompt, "max_tokens": tokens, "temperature": 0, "logit_bias": bias}
        for prompt in prompts()
    ]
    with httpx.Client(base_url=ready["url"], timeout=600) as client, ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        answers = list(pool.map(lambda body: client.post("/v1/completions", json=body).json(), bodies))
        seconds = time.perf_counter() - started
    generated = sum(answer["usage"]["completion_tokens"] for answer in answers)
    assert generated == tokens * REQUESTS
    return generated / seconds


def run_peer(folder: Path, tokens: int) -> None:
    """Answer each line on stdin, `generate` or `batch`, with tokens per second."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    eos = model.generation_config.eos_token_id
    eos = eos if isinstance(eos, list) else [] if eos is None else [eos]
    config = GenerationConfig(
        max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, eos_token_id=eos or None, pad_token_id=0
    )
    # Continuous batching drops min_new_tokens; an end of text that never comes serves it instead.
    batched = GenerationConfig(max_new_tokens=tokens, do_sample=False, eos_token_id=2**30, pad_token_id=0)

    def generate() -> None:
        with torch.inference_mode():
            for prompt in prompts():
                ids = torch.tensor([prompt])
                made = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
                assert made.shape[1] == len(prompt) + tokens

    def batch() -> None:
        made = model.generate_batch(prompts(), generation_config=batched, persistent_manager=True)
        assert all(len(each.generated_tokens) == tokens for each in made.values())

    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(json.dumps({"eos": eos, "parameters": parameters}), flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        (generate if line.strip() == "generate" else batch)()
        print(tokens * REQUESTS / (time.perf_counter() - started), flush=True)


def prompts() -> list[list[int]]:
    import random

    chosen = random.Random(0)
    return [[chosen.randrange(300, VOCABULARY) for _ in range(8 * (1 + at))] for at in range(REQUESTS)]


def random_model(folder: Path) -> Path:
    """A decoder of kiban's default shape and a byte-level tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from kiban.make.model.shape import build_config, build_model
    from kiban.make.recipe import Shape

    build_model(build_config(Shape(depth=4), VOCABULARY, CONTEXT, bos=None, eos=1, pad=0), seed=1).save_pretrained(
        folder
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: at for at, piece in enumerate(["<pad>", "<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>").save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
