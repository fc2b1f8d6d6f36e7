"""`kiban serve`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from kiban.kit.errors import BadInput


@click.command()
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 for the network; then use keys.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any free one.")
@click.option(
    "--api-key", "api_keys", multiple=True, metavar="KEY", help="Repeatable; or KIBAN_API_KEYS, separated by commas."
)
@click.option(
    "--max-batch", type=click.IntRange(min=1), default=8, show_default=True, help="Sequences generated at once."
)
@click.option(
    "--queue-limit",
    type=click.IntRange(min=0),
    default=64,
    show_default=True,
    help="Sequences that may wait; beyond: 429.",
)
@click.option(
    "--request-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds; beyond: 504.",
)
@click.option("--max-tokens-limit", type=click.IntRange(min=1), help="Tokens per answer; default: the context.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds that running requests get to finish at SIGTERM.",
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto: bf16 on a GPU, else fp32.",
)
@click.option("--name", help="What requests call the model; default: its name.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "transformers", "vllm"]),
    default="auto",
    show_default=True,
    help="auto: vLLM where it and a GPU are there.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line on stdout when ready.")
@click.pass_obj
def serve(
    store_root: Path,
    model: str,
    host: str,
    port: int,
    api_keys: tuple[str, ...],
    max_batch: int,
    queue_limit: int,
    request_timeout: float,
    max_tokens_limit: int | None,
    grace: float,
    dtype: str,
    name: str | None,
    engine: str,
    as_json: bool,
) -> int:
    """Serve MODEL over HTTP, OpenAI-compatible, with a chat page.

    MODEL is a recipe's name, recipe/stage, the first digits of a digest, an artifact's folder or any local
    transformers folder.
    """
    from dataclasses import replace

    from kiban.kit.addresses import claim_port
    from kiban.kit.store import Store
    from kiban.kit.withdrawals import warn_if_stale
    from kiban.use.locate import locate
    from kiban.use.serving import vllm
    from kiban.use.serving.options import ServeOptions

    keys = api_keys or tuple(filter(None, os.environ.get("KIBAN_API_KEYS", "").split(",")))
    if not all(key.strip() == key and key for key in keys):
        raise BadInput("an API key is empty or has blanks around it", where="--api-key")
    options = ServeOptions(
        host=host,
        port=port,
        keys=keys,
        max_batch=max_batch,
        queue_limit=queue_limit,
        request_timeout_s=request_timeout,
        max_tokens_limit=max_tokens_limit,
        grace_s=grace,
        dtype=dtype,  # type: ignore[arg-type]
        as_json=as_json,
    )
    located = locate(model, store_root)
    if located.store_root is not None:
        warn_if_stale(
            Store(located.store_root), located.digest, located.name, lambda said: click.echo(f"kiban: {said}", err=True)
        )
    if name:
        located = replace(located, name=name, aliases=())
    listener = claim_port(host, port)
    if engine == "vllm" or (engine == "auto" and vllm.available()):
        return vllm.serve_with_vllm(located, options, listener)
    from kiban.use.serving.server import serve as serve_here

    serve_here(located, options, listener)
    return 0
