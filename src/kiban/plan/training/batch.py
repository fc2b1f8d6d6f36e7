"""The global batch where none is given."""

from __future__ import annotations

from kiban.plan.training.layout import Batch

SOURCE = "DeepSeek LLM (2024), section 3.1: B = 0.2920 C^0.3271 tokens"


def default_batch(training_flops: float, seq_len_tokens: int) -> Batch:
    """Sequences per step for a training compute of `training_flops`, as DeepSeek LLM (2024) fitted it.

    The published fit spans 1e17 to 2e19 FLOPs and was used to 1e24; it is a starting point, so a layout may round it.
    """
    tokens = 0.2920 * training_flops**0.3271
    return Batch(max(1, round(tokens / seq_len_tokens)), exact=False)
