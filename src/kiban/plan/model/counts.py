"""Parameters and floating-point operations of a shape, from its structure alone.

A multiply and an add are two operations. Operations of matrix products and of attention are counted; norms,
activations and softmax, well under 1% of them, are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kiban.plan.model.shape import ModelShape

# How attention's operations are counted: over every pair of tokens, as most published figures and torch's counter do,
# or over the pairs that a causal mask lets through.
AttentionConvention = Literal["full", "causal"]


@dataclass(frozen=True)
class ParameterCount:
    """Parameters by part; each part counted once where it is shared.

    Attributes:
        embedding: token (and learned position) tables.
        head: output matrix, 0 where it is tied to the token table.
        attention, feed_forward, shared_experts, routed_experts, router, norms: of all layers.
        active_routed_experts: of the routed experts, those that one token meets.
    """

    embedding: int
    head: int
    attention: int
    feed_forward: int
    shared_experts: int
    routed_experts: int
    router: int
    norms: int
    active_routed_experts: int

    @property
    def total(self) -> int:
        return self.active - self.active_routed_experts + self.routed_experts

    @property
    def active(self) -> int:
        """Those that take part in one token's forward pass, the token table included."""
        return (
            self.embedding
            + self.head
            + self.attention
            + self.feed_forward
            + self.shared_experts
            + self.active_routed_experts
            + self.router
            + self.norms
        )

    def by_part(self) -> dict[str, int]:
        parts = (
            "embedding",
            "head",
            "attention",
            "feed_forward",
            "shared_experts",
            "routed_experts",
            "router",
            "norms",
        )
        return {part: getattr(self, part) for part in parts}


def count_parameters(shape: ModelShape) -> ParameterCount:
    """Every parameter of the language model; multi-token-prediction layers are counted by `mtp_parameters`."""
    hidden, layers = shape.hidden_size, shape.num_hidden_layers
    norm = _norm(shape, hidden)
    table = shape.vocab_size * hidden
    return ParameterCount(
        embedding=table + shape.learned_positions * hidden,
        head=(0 if shape.tie_word_embeddings else table) + (shape.vocab_size if shape.lm_head_bias else 0),
        attention=layers * attention_parameters(shape),
        feed_forward=shape.dense_layers * dense_ffn_parameters(shape),
        shared_experts=shape.moe_layers * shared_expert_parameters(shape),
        routed_experts=shape.moe_layers * shape.num_experts * expert_parameters(shape),
        active_routed_experts=shape.moe_layers * shape.num_experts_per_tok * expert_parameters(shape),
        router=shape.moe_layers * router_parameters(shape),
        norms=layers * shape.norms_per_layer * norm + norm * (shape.final_norm + shape.embedding_norm),
    )


def attention_parameters(shape: ModelShape) -> int:
    """Of one layer's attention, its own norms and biases included."""
    return attention_weights(shape) + _attention_rest(shape)


def attention_weights(shape: ModelShape) -> int:
    """Elements of one layer's attention matrices."""
    hidden, heads = shape.hidden_size, shape.num_attention_heads
    if not shape.is_latent:
        return hidden * (heads + shape.kv_heads) * (shape.qk_dim + shape.v_dim)
    assert shape.kv_lora_rank is not None
    assert shape.qk_nope_head_dim is not None
    assert shape.qk_rope_head_dim is not None
    rank = shape.q_lora_rank
    queries = heads * shape.qk_dim * (rank or hidden) + (hidden * rank if rank else 0)
    down = hidden * (shape.kv_lora_rank + shape.qk_rope_head_dim)
    up = shape.kv_lora_rank * heads * (shape.qk_nope_head_dim + shape.v_dim)
    return queries + down + up + heads * shape.v_dim * hidden


def _attention_rest(shape: ModelShape) -> int:
    heads, kv_heads = shape.num_attention_heads, shape.kv_heads
    rest = heads if shape.attention_sinks else 0
    if shape.is_latent:
        assert shape.kv_lora_rank is not None
        assert shape.qk_rope_head_dim is not None
        rest += shape.kv_lora_rank + (shape.q_lora_rank or 0)
        if shape.attention_bias != "none":
            rest += (shape.q_lora_rank or 0) + shape.kv_lora_rank + shape.qk_rope_head_dim + shape.hidden_size
        return rest
    if shape.qk_norm == "head":
        rest += 2 * _norm(shape, shape.qk_dim)
    elif shape.qk_norm == "full":
        rest += _norm(shape, heads * shape.qk_dim) + _norm(shape, kv_heads * shape.qk_dim)
    if shape.attention_bias != "none":
        rest += heads * shape.qk_dim + kv_heads * (shape.qk_dim + shape.v_dim)
    if shape.attention_bias == "all":
        rest += shape.hidden_size
    return rest


def dense_ffn_parameters(shape: ModelShape) -> int:
    return _ffn(shape, shape.intermediate_size or 0, shape.ffn_bias) + shape.activation_parameters


def expert_parameters(shape: ModelShape) -> int:
    """Of one routed expert."""
    return _ffn(shape, shape.moe_intermediate_size or 0, shape.expert_bias)


def shared_expert_parameters(shape: ModelShape) -> int:
    """Of one layer's shared experts, with their gate."""
    width = shape.shared_expert_intermediate_size
    return _ffn(shape, width, shape.ffn_bias) + (shape.hidden_size if shape.shared_expert_gate else 0) if width else 0


def router_parameters(shape: ModelShape) -> int:
    """Of one layer's router."""
    return shape.num_experts * (shape.hidden_size + shape.router_bias)


def mtp_parameters(shape: ModelShape) -> int:
    """Of the multi-token-prediction layers: a whole layer, a projection of 2 x hidden to hidden, two norms each.

    They share the token table and the output matrix with the model (DeepSeek-V3, 2024, section 2.2).
    """
    if not shape.mtp_layers:
        return 0
    hidden = shape.hidden_size
    ffn = dense_ffn_parameters(shape)
    if shape.num_experts:
        experts = shape.num_experts * expert_parameters(shape)
        ffn = shared_expert_parameters(shape) + experts + router_parameters(shape)
    layer = attention_parameters(shape) + ffn + shape.norms_per_layer * _norm(shape, hidden)
    return shape.mtp_layers * (layer + 2 * hidden * hidden + 3 * _norm(shape, hidden))


def _ffn(shape: ModelShape, width: int, bias: bool) -> int:
    inward = 2 if shape.gated_ffn else 1
    weights = (inward + 1) * shape.hidden_size * width
    return weights + (inward * width + shape.hidden_size if bias else 0)


def _norm(shape: ModelShape, size: int) -> int:
    return 0 if shape.norm == "none" else size * (2 if shape.has_norm_bias else 1)


def matmul_weights(shape: ModelShape) -> int:
    """Elements of the matrices that one token is multiplied with: layers, router and output matrix; no lookup.

    Multi-token prediction adds its layers and one more pass through the output matrix each.
    """
    hidden = shape.hidden_size
    inward = 2 if shape.gated_ffn else 1
    width = (inward + 1) * hidden
    gate = hidden if shape.shared_expert_gate else 0
    dense = width * (shape.intermediate_size or 0)
    sparse = (
        width * (shape.num_experts_per_tok * (shape.moe_intermediate_size or 0) + shape.shared_expert_intermediate_size)
        + gate
        + hidden * shape.num_experts
    )
    head = shape.vocab_size * hidden
    layers = shape.num_hidden_layers * attention_weights(shape)
    layers += shape.dense_layers * dense + shape.moe_layers * sparse
    extra = attention_weights(shape) + (sparse if shape.num_experts else dense) + 2 * hidden * hidden + head
    return layers + head + shape.mtp_layers * extra


def attention_flops_per_token(shape: ModelShape, seq_len_tokens: int, convention: AttentionConvention) -> float:
    """Forward operations of scores and weighted values per token, over all layers.

    `full` counts every pair of tokens inside a window's reach; `causal` the pairs before and at each token.
    """
    per_pair = 2 * shape.num_attention_heads * (shape.qk_dim + shape.v_dim)
    whole = shape.num_hidden_layers + shape.mtp_layers - shape.sliding_window_layers
    window = min(shape.sliding_window or seq_len_tokens, seq_len_tokens)
    if convention == "full":
        return float(per_pair * (whole * seq_len_tokens + shape.sliding_window_layers * window))
    seen_whole = (seq_len_tokens + 1) / 2
    # The first `window` tokens see fewer than a window.
    seen_window = window - window * (window - 1) / 2 / seq_len_tokens
    return per_pair * (whole * seen_whole + shape.sliding_window_layers * seen_window)


@dataclass(frozen=True)
class TrainingFlops:
    """Operations to train on one token under the conventions that published figures use.

    Attributes:
        six_n: 6 x active parameters (Kaplan et al., 2020), embeddings included, attention not.
        with_attention: 6 x weights of matrix products + 3 x attention over all pairs (PaLM, 2022, appendix B).
        with_causal_attention: the same with the pairs a causal mask lets through; what the hardware has to do.
    """

    six_n: float
    with_attention: float
    with_causal_attention: float


def training_flops_per_token(shape: ModelShape, seq_len_tokens: int) -> TrainingFlops:
    products = 6.0 * matmul_weights(shape)
    return TrainingFlops(
        six_n=6.0 * count_parameters(shape).active,
        with_attention=products + 3 * attention_flops_per_token(shape, seq_len_tokens, "full"),
        with_causal_attention=products + 3 * attention_flops_per_token(shape, seq_len_tokens, "causal"),
    )


def forward_flops_per_token(shape: ModelShape, context_tokens: int, convention: AttentionConvention = "full") -> float:
    """Operations of one forward pass per token, without multi-token prediction.

    For generating one token after `context_tokens` others, take the `full` convention.
    """
    plain = shape.model_copy(update={"mtp_layers": 0})
    return 2.0 * matmul_weights(plain) + attention_flops_per_token(plain, context_tokens, convention)


def hardware_flops_per_token(
    shape: ModelShape, seq_len_tokens: int, recompute: str, convention: AttentionConvention = "full"
) -> float:
    """Training operations with what is computed again: layers, feed-forward networks or latent projections.

    By default attention counts every pair of tokens (Korthikanti et al., 2022, appendix A).
    """
    counted = training_flops_per_token(shape, seq_len_tokens)
    flops = counted.with_attention if convention == "full" else counted.with_causal_attention
    if recompute == "full":
        head = 2.0 * shape.vocab_size * shape.hidden_size
        return flops + forward_flops_per_token(shape, seq_len_tokens, convention) - head
    if recompute in ("selective", "mlp") and shape.is_latent:
        assert shape.kv_lora_rank is not None
        assert shape.qk_nope_head_dim is not None
        up = shape.kv_lora_rank * (shape.qk_nope_head_dim + shape.v_dim)
        up += (shape.q_lora_rank or shape.hidden_size) * shape.qk_dim
        flops += 2.0 * shape.num_hidden_layers * shape.num_attention_heads * up
    if recompute == "mlp":
        head = shape.vocab_size * shape.hidden_size
        layers = matmul_weights(shape.model_copy(update={"mtp_layers": 0})) - head
        flops += 2.0 * (layers - shape.num_hidden_layers * attention_weights(shape))
    return flops
