"""From what a request says to the tokens a model reads."""

from __future__ import annotations

from jinja2 import TemplateError

from kiban.use.serving.errors import bad_value, context_length_exceeded
from kiban.use.serving.loading import LoadedModel
from kiban.use.serving.schemas import Message


def encode_text(model: LoadedModel, text: str, *, control_tokens: bool = True) -> list[int]:
    """Tokens of a plain prompt, with what the tokenizer puts before every text. An empty prompt is the beginning of
    a document.

    Args:
        control_tokens: the name of one in the text, such as `<|im_end|>`, stands for it; else it is text.

    Raises:
        ApiError: 400 for an empty prompt where the tokenizer has no token for the beginning.
    """
    with model.tokenizing:
        ids: list[int] = model.tokenizer(text, split_special_tokens=not control_tokens)["input_ids"]
    if ids:
        return ids
    beginning = model.tokenizer.bos_token_id
    if beginning is None:
        # Documents follow one another in training, so the end of one is the beginning of the next.
        beginning = model.tokenizer.eos_token_id
    if beginning is None:
        raise bad_value("prompt", "prompt: this model needs at least one token to begin with")
    return [beginning]


def encode_ids(model: LoadedModel, ids: list[int]) -> list[int]:
    """Token ids as given; an empty list is an empty text.

    Raises:
        ApiError: 400 for ids outside the vocabulary.
    """
    for token in ids:
        if not 0 <= token < model.vocab_size:
            raise bad_value("prompt", f"prompt: {token} is no token id; they run from 0 to {model.vocab_size - 1}")
    return ids or encode_text(model, "")


def encode_chat(model: LoadedModel, messages: list[Message]) -> list[int]:
    """Tokens of a conversation, ready for the assistant's turn. What is said in it cannot contain control tokens.

    Raises:
        ApiError: 400 when the model's template refuses the conversation, such as two user turns in a row.
    """
    if not model.uses_chat_template:
        return encode_text(model, continuation(messages), control_tokens=False)
    turns = [
        {"role": "system" if message.role == "developer" else message.role, "content": message.content}
        for message in messages
    ]
    try:
        with model.tokenizing:
            ids = model.tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, return_dict=False, sanitize_control_tokens=True
            )
    except (TemplateError, ValueError) as error:  # ValueError: a control token that cannot be spelled out
        raise bad_value("messages", f"messages: the model's chat template refuses them: {error}") from None
    assert isinstance(ids, list)
    return ids


def continuation(messages: list[Message]) -> str:
    """The conversation as one text that the model goes on writing, for a model that was never taught to chat.

    A turn of the assistant continues the text before it directly, as it did when it was generated; every other turn
    begins on a new line.
    """
    text = ""
    for message in messages:
        text += message.content if message.role == "assistant" or not text else "\n" + message.content
    return text


def answer_tokens(
    model: LoadedModel, prompt_tokens: int, asked: int | None, *, limit: int | None, default: int | None, param: str
) -> int:
    """How many tokens may be generated.

    Args:
        asked: the request's max_tokens.
        limit: the server's --max-tokens-limit.
        default: when nothing is asked for; None is as many as fit.
        param: the field that holds the prompt, for the error.

    Raises:
        ApiError: 400 when the limit or the context is exceeded.
    """
    room = model.context_tokens - prompt_tokens
    if asked is not None:
        if limit is not None and asked > limit:
            raise bad_value("max_tokens", f"max_tokens: this server generates at most {limit} tokens per answer")
        if asked > room:
            raise context_length_exceeded(param, prompt_tokens, asked, model.context_tokens)
        return asked
    if room < 1:
        raise context_length_exceeded(param, prompt_tokens, 1, model.context_tokens)
    return min(value for value in (room, limit, default) if value is not None)
