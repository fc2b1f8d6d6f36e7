"""Every wrong field is named; what is harmless passes."""

from __future__ import annotations

from typing import Any

import pytest

from kiban.use.serving.errors import ApiError
from kiban.use.serving.schemas import ChatRequest, CompletionRequest, parse_request

HI = [{"role": "user", "content": "hi"}]


def error_of(schema: Any, **fields: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        parse_request({"model": "m", **fields}, schema)
    assert raised.value.status == 400
    return raised.value


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_p": 1.01}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 65}, "n"),
        ({"n": 64, "prompt": ["a"] * 5}, "n"),
        ({"seed": 2**63}, "seed"),
        ({"seed": 1.0}, "seed"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"stop": {"a": 1}}, "stop"),
        ({"stop": ""}, "stop"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": "1"}, "frequency_penalty"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": [[1, 2.5]]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": {"text": "a"}}, "prompt"),
        ({"prompt": ["a"] * 257}, "prompt"),
        ({"logprobs": 21}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"echo": 1}, "echo"),
        ({"best_of": 3, "n": 2}, "best_of"),
        ({"suffix": "end"}, "suffix"),
        ({"top_k": 5}, "top_k"),
        ({"ignore_eos": True}, "ignore_eos"),
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
    ],
)
def test_wrong_completion_fields_are_named(fields: dict[str, Any], param: str) -> None:
    error = error_of(CompletionRequest, **fields)
    assert error.param == param
    assert param.split(".")[0] in error.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [*HI, {"role": "user"}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content",
        ),
        ({"messages": HI, "max_tokens": 0}, "max_tokens"),
        ({"messages": HI, "max_completion_tokens": 0}, "max_completion_tokens"),
        ({"messages": HI, "logprobs": 3}, "logprobs"),
        ({"messages": HI, "top_logprobs": 3}, "top_logprobs"),
        ({"messages": HI, "logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"messages": HI, "tools": [{"type": "function"}]}, "tools"),
        ({"messages": HI, "response_format": {"type": "json_object"}}, "response_format"),
        ({"messages": HI, "reasoning_effort": "high"}, "reasoning_effort"),
    ],
)
def test_wrong_chat_fields_are_named(fields: dict[str, Any], param: str) -> None:
    assert error_of(ChatRequest, **fields).param == param


@pytest.mark.parametrize("data", [None, [], "x", 5, True])
def test_what_is_no_object_is_refused(data: Any) -> None:
    with pytest.raises(ApiError, match="expected a JSON object"):
        parse_request(data, CompletionRequest)


def test_nulls_are_defaults_and_harmless_fields_are_ignored() -> None:
    nothing = dict.fromkeys(
        (
            "n",
            "temperature",
            "top_p",
            "seed",
            "stop",
            "stream",
            "logit_bias",
            "max_tokens",
            "logprobs",
            "tools",
            "suffix",
        )
    )
    asked = parse_request({"model": "m", "user": "me", "metadata": {}, "store": True, **nothing}, CompletionRequest)
    assert (asked.choices, asked.stops, asked.prompt) == (1, (), [""])
    neutral = {"tools": [], "tool_choice": "none", "response_format": {"type": "text"}, "top_k": -1}
    assert parse_request({"model": "m", "messages": HI, **neutral}, ChatRequest).messages[0].content == "hi"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1], [2, 3]], [[1], [2, 3]]),
        ([[]], [[]]),
        (["a", [1]], ["a", [1]]),
    ],
)
def test_every_form_of_prompt(prompt: Any, expected: Any) -> None:
    assert parse_request({"model": "m", "prompt": prompt}, CompletionRequest).prompt == expected


def test_text_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    asked = parse_request({"model": "m", "messages": [{"role": "user", "content": parts}]}, ChatRequest)
    assert asked.messages[0].content == "ab"


def test_whole_numbers_are_fine_where_fractions_are() -> None:
    assert parse_request({"model": "m", "temperature": 1, "top_p": 0}, CompletionRequest).temperature == 1
