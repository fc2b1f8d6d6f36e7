"""Requests of the OpenAI API: which fields are understood, and what each may be."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from kiban.use.serving.errors import ApiError, bad_value

MAX_STOPS = 4
MAX_CHOICES = 64
MAX_SEQUENCES = 256
MAX_COMPLETION_LOGPROBS = 20
MAX_TOP_LOGPROBS = 20

Penalty = Annotated[float, Field(ge=-2, le=2)]

# Fields that would change the answer and are not supported, with the values that ask for nothing.
REFUSED: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "suffix": ("",),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "reasoning_effort": (),
    "verbosity": ("medium",),
    # Well-known extensions of other servers.
    "top_k": (-1, 0),
    "min_p": (0, 0.0),
    "repetition_penalty": (1, 1.0),
    "min_tokens": (0,),
    "use_beam_search": (False,),
    "guided_json": (),
    "guided_regex": (),
    "guided_choice": (),
    "guided_grammar": (),
    "structured_outputs": (),
    "prompt_logprobs": (),
    "ignore_eos": (False,),
    "stop_token_ids": ([],),
    "chat_template": (),
    "continue_final_message": (False,),
}


class StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    include_usage: bool | None = None


class GenerationRequest(BaseModel):
    """What completions and chat completions share. Unknown fields are ignored, as OpenAI's servers do; a null is
    the default."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    model: str
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    stop: Any = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @field_validator("stop")
    @classmethod
    def _stops(cls, value: Any) -> tuple[str, ...]:
        stops = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
            raise ValueError("expected a string or a list of strings")
        if len(stops) > MAX_STOPS:
            raise ValueError(f"at most {MAX_STOPS} stop strings")
        if "" in stops:
            raise ValueError("a stop string cannot be empty")
        return tuple(stops)

    @field_validator("logit_bias")
    @classmethod
    def _token_ids(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if value and not all(key.isascii() and key.isdigit() and len(key) < 10 for key in value):
            raise ValueError("expected token ids as keys")
        return value

    @model_validator(mode="after")
    def _options_of_a_stream(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options: only allowed with stream: true")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        return tuple(self.stop or ())

    @property
    def choices(self) -> int:
        return self.n or 1

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


class CompletionRequest(GenerationRequest):
    """POST /v1/completions."""

    prompt: Any = Field("", validate_default=True)
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=MAX_COMPLETION_LOGPROBS)] | None = None
    echo: bool | None = None
    best_of: Annotated[int, Field(ge=1)] | None = None

    @field_validator("prompt")
    @classmethod
    def _prompts(cls, value: Any) -> list[str | list[int]]:
        """One prompt or several, each a string or token ids, as a list of prompts."""
        if value is None or isinstance(value, str):
            return [value or ""]
        if not isinstance(value, list) or not value:
            raise ValueError("expected a string, a list of strings, a list of token ids or a list of such lists")
        prompts: list[Any] = [value] if all(_is_id(item) for item in value) else value
        if len(prompts) > MAX_SEQUENCES:
            raise ValueError(f"at most {MAX_SEQUENCES} prompts")
        for prompt in prompts:
            if not isinstance(prompt, str) and not (isinstance(prompt, list) and all(_is_id(item) for item in prompt)):
                raise ValueError("expected a string, a list of strings, a list of token ids or a list of such lists")
        return prompts

    @model_validator(mode="after")
    def _choices_fit(self) -> Self:
        if self.best_of is not None and self.best_of != self.choices:
            raise ValueError("best_of: not supported unless it equals n")
        if len(self.prompt) * self.choices > MAX_SEQUENCES:
            raise ValueError(f"n: {len(self.prompt)} prompts times n exceeds {MAX_SEQUENCES} sequences")
        return self


class Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: Any = None

    @field_validator("content", mode="before")
    @classmethod
    def _text(cls, value: Any) -> str:
        """A string, or text parts joined into one."""
        if isinstance(value, str):
            return value
        texts = []
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                raise ValueError('expected a string, or a list of parts {"type": "text", "text": "…"}')
            texts.append(part["text"])
        return "".join(texts)

    @model_validator(mode="after")
    def _content_is_given(self) -> Self:
        if self.content is None:
            raise ValueError("content: missing")
        return self


class ChatRequest(GenerationRequest):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None

    @model_validator(mode="after")
    def _logprobs_agree(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs: only allowed with logprobs: true")
        return self


R = TypeVar("R", bound=GenerationRequest)


def parse_request(data: Any, schema: type[R]) -> R:
    """Check a decoded JSON body.

    Raises:
        ApiError: 400, naming the first field at fault.
    """
    if not isinstance(data, dict):
        raise bad_value(None, "expected a JSON object")
    for name, neutral in REFUSED.items():
        value = data.get(name)
        if value is not None and not any(value == each and type(value) is type(each) for each in neutral):
            raise bad_value(name, f"{name} is not supported by this server", code="unsupported_parameter")
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise _explain(error) from None


def _explain(error: ValidationError) -> ApiError:
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    param = ""
    for part in problem["loc"]:
        param += f"[{part}]" if isinstance(part, int) else f".{part}" if param else str(part)
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        # A validator over the whole object names its field itself, before a colon.
        field, colon, rest = message.partition(": ")
        if colon and field.isidentifier():
            param, message = f"{param}.{field}" if param else field, rest
    return bad_value(param or None, f"{param}: {message}" if param else message)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
