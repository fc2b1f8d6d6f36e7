"""The recipe: everything that decides what is made, as strict data with units in the names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from kiban.kit.config import Origins, StrictModel, load_model
from kiban.kit.quantities import GpuHours, Yen
from kiban.make.corpus.config import CorpusConfig
from kiban.plan.model.counts import count_parameters
from kiban.plan.model.shape import ModelShape

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Precision = Literal["auto", "fp32", "bf16"]


# Special tokens (6) and the byte alphabet (256) must fit, and a vocabulary of bytes alone is no BPE.
MIN_VOCAB_SIZE = 300


class TokenizerConfig(StrictModel):
    algorithm: Literal["bpe", "unigram"] = "bpe"
    vocab_size: Annotated[int, Field(le=1_000_000)] = 8_192
    max_training_bytes: Positive = Field(64 * 2**20, description="text it learns from; spread over the corpus")

    @field_validator("vocab_size")
    @classmethod
    def _bytes_fit(cls, value: int) -> int:
        if value < MIN_VOCAB_SIZE:
            raise ValueError(
                f"{value} is too small: 256 bytes and the special tokens must fit, so at least {MIN_VOCAB_SIZE}"
            )
        return value


class Shape(StrictModel):
    """A Qwen3-style decoder. `depth` alone decides all; what is given overrides what it implies."""

    depth: Annotated[int, Field(ge=1, le=256)] = Field(description="number of layers; hidden size is 64 x depth")
    hidden_size: Positive | None = None
    num_attention_heads: Positive | None = None
    num_key_value_heads: Positive | None = None
    head_dim: Positive | None = None
    intermediate_size: Positive | None = None
    tie_word_embeddings: bool = True
    rope_theta: Annotated[float, Field(gt=0)] = 10_000.0
    max_position_embeddings: Positive | None = Field(None, description="default: training.seq_len_tokens")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        sizes = self.resolved()
        heads, kv_heads, head_dim = (
            sizes["num_attention_heads"],
            sizes["num_key_value_heads"],
            sizes["head_dim"],
        )
        if self.head_dim is None and sizes["hidden_size"] % heads:
            raise ValueError(f"hidden_size {sizes['hidden_size']} is not divisible by num_attention_heads {heads}")
        if heads % kv_heads:
            raise ValueError(f"num_attention_heads {heads} is not divisible by num_key_value_heads {kv_heads}")
        if head_dim % 2:
            raise ValueError(f"head_dim {head_dim} is odd; rotary embeddings turn pairs of dimensions")
        return self

    def resolved(self) -> dict[str, int]:
        """Every size, with what `depth` implies filled in.

        hidden 64 x depth and heads of 64 (nanochat's dial, 2025); SwiGLU at 8/3 of the hidden size rounded up to
        64 (Shazeer, 2020); grouped-query attention with one key-value head per two heads where that divides.
        """
        hidden = self.hidden_size or 64 * self.depth
        heads = self.num_attention_heads or max(1, hidden // (self.head_dim or 64))
        implied_kv_heads = heads // 2 if heads % 2 == 0 else heads
        return {
            "num_hidden_layers": self.depth,
            "hidden_size": hidden,
            "num_attention_heads": heads,
            "num_key_value_heads": self.num_key_value_heads or implied_kv_heads,
            "head_dim": self.head_dim or max(1, hidden // heads),
            "intermediate_size": self.intermediate_size or -(-hidden * 8 // 3 // 64) * 64,
        }

    def plan_shape(self, vocab_size: int) -> ModelShape:
        """The decoder that `make` builds of it, as `kiban plan` counts it; norms of queries and keys are Qwen3's."""
        fields = {"vocab_size": vocab_size, "tie_word_embeddings": self.tie_word_embeddings, "qk_norm": "head"}
        return ModelShape.model_validate(self.resolved() | fields)

    def parameters(self, vocab_size: int) -> dict[str, int]:
        """Parameters by structure, in all and of the token embeddings (both tables where they are not tied)."""
        count = count_parameters(self.plan_shape(vocab_size))
        return {"total": count.total, "embedding": count.embedding + count.head}


class Base(StrictModel):
    """An existing model that training goes on from, with its tokenizer."""

    model: str = Field(description="folder, .gguf file (relative to the recipe) or hub id")
    owner: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    revision: str | None = Field(None, description="of a hub model; pin it for a model that can be made again")


class ModelConfig(StrictModel):
    shape: Shape | None = Field(None, description="from scratch")
    base: Base | None = Field(None, description="continued pretraining")

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if (self.shape is None) == (self.base is None):
            raise ValueError("give either `shape` (from scratch) or `base` (an existing model), not both or neither")
        return self


class TrainingConfig(StrictModel):
    tokens: Positive | None = Field(None, description="training tokens; more than the corpus has means epochs")
    epochs: Annotated[float, Field(gt=0)] | None = None
    seq_len_tokens: Annotated[int, Field(ge=8)] = 512
    micro_batch_sequences: Positive = 8
    gradient_accumulation_steps: Positive = 1
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup_fraction: Fraction = 0.02
    decay_fraction: Fraction = Field(0.2, description="last share of the steps, over which the rate falls to zero")
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    freeze: tuple[Literal["embeddings"], ...] = Field(
        (), description="parts of a base model left as they are; its embeddings are most of a small model"
    )
    precision: Precision = Field("auto", description="auto: bf16 autocast where the processor or GPU has it")
    compile: bool = Field(False, description="torch.compile: faster steps after about a minute of compiling")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    checkpoint_every_seconds: Annotated[float, Field(gt=0)] = 60.0

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.tokens is None) == (self.epochs is None):
            raise ValueError("give either `tokens` or `epochs`, not both or neither")
        if self.warmup_fraction + self.decay_fraction > 1:
            raise ValueError("warmup_fraction and decay_fraction together exceed 1")
        return self


class BitsPerByteConfig(StrictModel):
    max_documents: Positive = Field(500, description="held-out documents scored, the first by hash")
    max_document_bytes: Positive = Field(16_384, description="a longer document is scored up to here")
    resamples: Annotated[int, Field(ge=100)] = Field(2_000, description="of the bootstrap over documents")


class TaskConfig(StrictModel):
    name: str = Field(pattern=r"^[\w.-]+$")
    path: str = Field(description="JSONL of {id, prompt, choices, answer}; relative to the recipe")
    max_items: Positive | None = None


class SamplesConfig(StrictModel):
    prompts: tuple[str, ...] = ()
    max_new_tokens: Positive = 80
    temperature: Annotated[float, Field(ge=0)] = 0.8
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95


class EvaluationConfig(StrictModel):
    bits_per_byte: BitsPerByteConfig = BitsPerByteConfig()
    tasks: tuple[TaskConfig, ...] = ()
    samples: SamplesConfig = SamplesConfig()


class CardConfig(StrictModel):
    title: str | None = Field(None, description="default: the recipe's name")
    intended_use: str | None = None
    out_of_scope: str | None = None
    limits: tuple[str, ...] = Field((), description="known limits, in the maker's words")
    contact: str | None = None


class BudgetConfig(StrictModel):
    """What training may take; it decides whether it starts, not what comes out, and so remakes nothing."""

    yen: Annotated[Yen, Field(gt=0)] | None = None
    gpu_hours: Annotated[GpuHours, Field(gt=0)] | None = Field(None, description="a processor takes none")
    hours: Annotated[float, Field(gt=0)] | None = Field(None, description="from the start of training to its end")
    kwh: Annotated[float, Field(gt=0)] | None = Field(None, description="of the machine, not of the building")
    price_yen_per_hour: Annotated[float, Field(gt=0)] | None = Field(
        None, description="of the machine or GPU; default: published prices of the GPU, or a processor's electricity"
    )


class Recipe(StrictModel):
    """From documents to a served, evaluated model."""

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", description="names what is made: `kiban serve NAME`")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    corpus: CorpusConfig
    tokenizer: TokenizerConfig | None = Field(None, description="not given with a base model, which brings its own")
    model: ModelConfig
    training: TrainingConfig
    evaluation: EvaluationConfig = EvaluationConfig()
    card: CardConfig = CardConfig()
    budget: BudgetConfig = BudgetConfig()

    @model_validator(mode="after")
    def _tokenizer_fits_start(self) -> Self:
        if self.model.base and self.tokenizer:
            raise ValueError("`tokenizer` cannot be given with `model.base`: a base model keeps its own")
        if self.training.freeze and not self.model.base:
            raise ValueError("`training.freeze` needs `model.base`: a new model has nothing worth keeping as it is")
        return self

    @model_validator(mode="after")
    def _sequences_fit_positions(self) -> Self:
        longest = self.model.shape.max_position_embeddings if self.model.shape else None
        if longest is not None and self.training.seq_len_tokens > longest:
            raise ValueError(
                f"training.seq_len_tokens {self.training.seq_len_tokens} exceeds "
                f"model.shape.max_position_embeddings {longest}"
            )
        return self

    @property
    def start(self) -> Literal["scratch", "base"]:
        return "base" if self.model.base else "scratch"


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> tuple[Recipe, Origins]:
    """Read and check a recipe.

    Raises:
        BadInput: with file and line, or the override, of the first problem.
    """
    return load_model(path, Recipe, overrides)


def recipe_json_schema() -> str:
    """JSON Schema (2020-12) of a recipe, for editors."""
    schema: dict[str, Any] = Recipe.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "kiban recipe"
    return json.dumps(schema, ensure_ascii=False, indent=2)
