"""The vLLM engine: its own OpenAI server on the same folder, behind the same flags. Needs a GPU and vLLM."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from types import FrameType

import httpx

from kiban.kit.addresses import address_url
from kiban.kit.errors import BadInput
from kiban.use.locate import Located
from kiban.use.serving.options import ServeOptions

DTYPES = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16"}


def available() -> bool:
    """Whether vLLM is installed and there is a GPU for it."""
    if importlib.util.find_spec("vllm") is None:
        return False
    import torch

    return torch.cuda.is_available()


def command(located: Located, options: ServeOptions) -> list[str]:
    """The command line of vLLM's server for these options. A single key is not on it; see `environment`."""
    line = ["vllm", "serve", str(located.folder), "--served-model-name", located.name, *located.aliases]
    line += ["--host", options.host, "--port", str(options.port), "--dtype", DTYPES[options.dtype]]
    line += ["--max-num-seqs", str(options.max_batch)]
    if options.max_tokens_limit is not None:
        line += ["--override-generation-config", json.dumps({"max_new_tokens": options.max_tokens_limit})]
    if len(options.keys) > 1:
        line += ["--api-key", *options.keys]
    return line


def environment(options: ServeOptions, base: Mapping[str, str]) -> dict[str, str]:
    """A single key goes to vLLM by its environment, where other users of the machine cannot read it."""
    return {**base, "VLLM_API_KEY": options.keys[0]} if len(options.keys) == 1 else dict(base)


def serve_with_vllm(located: Located, options: ServeOptions, listener: socket.socket) -> int:
    """Run vLLM's server until it or we are told to stop; returns its exit status (0 after SIGTERM or SIGINT).

    Raises:
        BadInput: vLLM is not there, or there is no GPU.
    """
    if not available():
        raise BadInput(
            "the vLLM engine needs a GPU and the package vllm", where="--engine vllm", hint="pip install vllm"
        )
    with listener:  # vLLM claims the port itself; ours has shown that it is free
        url = address_url(listener)
        options = replace(options, port=listener.getsockname()[1])
    print("kiban: vLLM has no --queue-limit, --request-timeout, /card and chat page", file=sys.stderr, flush=True)
    with located.in_use():
        process = subprocess.Popen(command(located, options), env=environment(options, os.environ), stdout=sys.stderr)
        stopped = threading.Event()

        def forward(number: int, frame: FrameType | None) -> None:
            stopped.set()
            process.send_signal(number)

        before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            if options.as_json:
                _announce_when_ready(process, located, url)
            status = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return 0 if stopped.is_set() else status


def _announce_when_ready(process: subprocess.Popen[bytes], located: Located, url: str) -> None:
    while process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                ready = {"url": url, "model": located.name, "digest": located.digest, "pid": process.pid}
                print(json.dumps(ready, ensure_ascii=False), flush=True)
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
