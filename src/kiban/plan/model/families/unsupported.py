"""Families that ModelShape cannot express, and what it lacks for each."""

from __future__ import annotations

from collections.abc import Mapping

_REASONS: Mapping[str, str] = {
    "state-space layers": "mamba mamba2 falcon_mamba",
    "layers of two kinds, state-space beside attention": (
        "jamba bamba zamba zamba2 falcon_h1 nemotron_h nemotron_h_omni granitemoehybrid plamo2 plamo3 hymba zaya"
    ),
    "convolution layers beside attention": "lfm2 lfm2_moe lfm3",
    "recurrent layers": "rwkv recurrent_gemma xlstm",
    "linear-attention layers": (
        "qwen3_next qwen3_5_text qwen3_5_moe_text qwen4_exp kimi_linear minimax olmo_hybrid bailing_hybrid"
    ),
    "an encoder and a decoder": (
        "t5 mt5 umt5 t5gemma t5gemma2 bart mbart pegasus m2m_100 marian led longt5 switch_transformers nllb_moe "
        "whisper encoder_decoder"
    ),
    "an encoder, which generates nothing": (
        "bert roberta xlm-roberta deberta deberta-v2 electra albert distilbert camembert modernbert eurobert ernie "
        "nomic_bert"
    ),
    "sparse attention with an indexer": "deepseek_v32 deepseek_v4 glm_moe_dsa glm5_next",
    "attention in chunks": "llama4 llama4_text",
    "embeddings or key-value caches of their own for single layers": "gemma3n gemma3n_text gemma4 gemma4_text",
    "two attentions in each layer": "longcat_flash",
    "layers of different sizes": "openelm deci nemotron-nas",
    "local attention by another pattern and partial biases": "gpt_neo",
    "cross-attention layers": "mllama mllama_text_model",
}
WHY: Mapping[str, str] = {family: reason for reason, families in _REASONS.items() for family in families.split()}
