"""A decoder's structure: every size that decides what it costs, under transformers' names for them.

One shape covers dense and mixture-of-experts layers, multi-head, grouped-query and multi-head latent attention, gated
and plain feed-forward networks, tied and untied embeddings, and the biases and norms that an exact count needs.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kiban.kit.config import StrictModel
from kiban.kit.quantities import Tokens

# No model is near it; beyond, arithmetic would overflow before anyone could be told that it is a slip.
MOST = 10**8
Size = Annotated[Tokens, Field(gt=0, le=MOST)]
Whole = Annotated[Tokens, Field(ge=0, le=MOST)]


class ModelShape(StrictModel):
    """Sizes of a decoder. What is not given takes the most common choice."""

    name: str = Field("", description="what reports call it")
    hidden_size: Size
    num_hidden_layers: Size
    vocab_size: Size
    tie_word_embeddings: bool = False

    # attention
    num_attention_heads: Size
    num_key_value_heads: Size | None = Field(None, description="default: as many as heads (multi-head attention)")
    head_dim: Size | None = Field(None, description="default: hidden_size / num_attention_heads")
    kv_lora_rank: Size | None = Field(None, description="given: multi-head latent attention (DeepSeek-V2, 2024)")
    q_lora_rank: Size | None = Field(None, description="of latent attention; not given: queries are not compressed")
    qk_nope_head_dim: Size | None = None
    qk_rope_head_dim: Size | None = None
    v_head_dim: Size | None = Field(None, description="of latent attention")
    sliding_window: Size | None = Field(None, description="tokens that a sliding-window layer sees")
    sliding_window_layers: Whole = Field(0, description="how many of the layers slide")
    attention_bias: Literal["none", "qkv", "all"] = "none"
    qk_norm: Literal["none", "head", "full"] = Field("none", description="norm of queries and keys, per head or whole")

    # feed-forward
    intermediate_size: Size | None = Field(None, description="of the dense layers")
    gated_ffn: bool = Field(True, description="SwiGLU and its like: three matrices instead of two")
    ffn_bias: bool = False
    activation_parameters: Whole = Field(0, description="learned numbers in a dense layer's activation (xIELU: 2)")

    # mixture of experts
    num_experts: Whole = Field(0, description="routed experts of a layer")
    num_experts_per_tok: Whole = 0
    moe_intermediate_size: Size | None = Field(None, description="of one routed expert")
    shared_expert_intermediate_size: Whole = Field(0, description="of all shared experts together")
    shared_expert_gate: bool = Field(False, description="a sigmoid gate before the shared expert (Qwen2-MoE)")
    num_dense_layers: Whole = Field(
        0, description="layers with a dense feed-forward network before or among the others"
    )
    router_bias: bool = Field(False, description="a bias that is a parameter; a balancing buffer is none")
    expert_bias: bool = False

    # norms and the rest
    norm: Literal["rmsnorm", "layernorm", "none"] = Field("rmsnorm", description="none: without weights (OLMo, 2024)")
    norm_bias: bool | None = Field(None, description="default: with layernorm")
    norms_per_layer: Annotated[int, Field(ge=0, le=4)] = 2
    final_norm: bool = True
    embedding_norm: bool = Field(False, description="a norm after the token embeddings (BLOOM)")
    learned_positions: Whole = Field(0, description="rows of a learned position table; 0: rotary, ALiBi or none")
    lm_head_bias: bool = False
    attention_sinks: bool = Field(False, description="one learned logit per head (gpt-oss)")
    mtp_layers: Whole = Field(0, description="extra layers that predict further tokens in training (DeepSeek-V3)")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        heads, kv_heads = self.num_attention_heads, self.num_key_value_heads or self.num_attention_heads
        if self.kv_lora_rank is not None:
            for name in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"):
                if getattr(self, name) is None:
                    raise ValueError(f"latent attention (kv_lora_rank) needs {name}")
        elif self.head_dim is None and self.hidden_size % heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not divisible by num_attention_heads {heads}")
        if heads % kv_heads:
            raise ValueError(f"num_attention_heads {heads} is not divisible by num_key_value_heads {kv_heads}")
        if self.sliding_window_layers and self.sliding_window is None:
            raise ValueError("sliding_window_layers needs sliding_window")
        if self.sliding_window_layers > self.num_hidden_layers:
            raise ValueError(
                f"sliding_window_layers {self.sliding_window_layers} exceeds num_hidden_layers {self.num_hidden_layers}"
            )
        return self

    @model_validator(mode="after")
    def _experts_fit_together(self) -> Self:
        if not self.num_experts:
            if self.intermediate_size is None:
                raise ValueError("intermediate_size is missing")
            if self.num_experts_per_tok or self.moe_intermediate_size or self.shared_expert_intermediate_size:
                raise ValueError("sizes of experts are given, but num_experts is not")
            return self
        if self.moe_intermediate_size is None:
            raise ValueError("num_experts needs moe_intermediate_size")
        if not 0 < self.num_experts_per_tok <= self.num_experts:
            raise ValueError(
                f"num_experts_per_tok {self.num_experts_per_tok} must lie between 1 and num_experts {self.num_experts}"
            )
        if self.num_dense_layers > self.num_hidden_layers:
            raise ValueError(
                f"num_dense_layers {self.num_dense_layers} exceeds num_hidden_layers {self.num_hidden_layers}"
            )
        if self.num_dense_layers and self.intermediate_size is None:
            raise ValueError("num_dense_layers needs intermediate_size")
        return self

    @property
    def is_latent(self) -> bool:
        """Whether attention is multi-head latent attention."""
        return self.kv_lora_rank is not None

    @property
    def kv_heads(self) -> int:
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def qk_dim(self) -> int:
        """Of one head's queries and keys."""
        if self.is_latent:
            assert self.qk_nope_head_dim is not None
            assert self.qk_rope_head_dim is not None
            return self.qk_nope_head_dim + self.qk_rope_head_dim
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def v_dim(self) -> int:
        """Of one head's values."""
        if self.is_latent:
            assert self.v_head_dim is not None
            return self.v_head_dim
        return self.qk_dim

    @property
    def moe_layers(self) -> int:
        return self.num_hidden_layers - self.num_dense_layers if self.num_experts else 0

    @property
    def dense_layers(self) -> int:
        return self.num_hidden_layers - self.moe_layers

    @property
    def has_norm_bias(self) -> bool:
        return self.norm == "layernorm" if self.norm_bias is None else self.norm_bias

    def cache_elements_per_token(self) -> int:
        """Numbers the key-value cache holds per token of a sequence, over all layers (windows not considered)."""
        if self.is_latent:
            assert self.kv_lora_rank is not None
            assert self.qk_rope_head_dim is not None
            return self.num_hidden_layers * (self.kv_lora_rank + self.qk_rope_head_dim)
        return self.num_hidden_layers * self.kv_heads * (self.qk_dim + self.v_dim)
