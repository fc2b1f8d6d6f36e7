"""`kiban chat`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kiban.kit.errors import BadInput


@click.command()
@click.argument("model")
@click.option("--prompt", metavar="TEXT", help="Answer this and leave; text piped in does the same.")
@click.option("--temperature", type=click.FloatRange(0, 2), default=0.7, show_default=True, help="0: the likeliest.")
@click.option("--max-tokens", type=click.IntRange(min=1), default=512, show_default=True, help="Longest reply.")
@click.option("--seed", type=int, help="The same seed gives the same reply.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout; needs --prompt or piped text.")
@click.pass_obj
def chat(
    store_root: Path,
    model: str,
    prompt: str | None,
    temperature: float,
    max_tokens: int,
    seed: int | None,
    as_json: bool,
) -> None:
    """Chat with MODEL, which is named as for `kiban serve`.

    A model that was not tuned for chat continues the text of the conversation.
    """
    piped = prompt is None and not sys.stdin.isatty()
    if as_json and prompt is None and not piped:
        raise BadInput("--json answers one prompt", where="--json", hint="give --prompt TEXT or pipe text in")
    text = sys.stdin.buffer.read().decode("utf-8", "replace").removesuffix("\n") if piped else prompt
    if text is not None and not text.strip():
        raise BadInput("the prompt is empty", where="stdin" if piped else "--prompt")
    from kiban.use.locate import locate

    located = locate(model, store_root)
    from kiban.use.chat import ChatOptions, answer_once, converse  # torch comes with it, after what can go wrong

    options = ChatOptions(temperature, max_tokens, seed)
    with located.in_use():
        if text is None:
            converse(located, options)
        else:
            answer_once(located, options, text, as_json=as_json)
