"""Choosing the next token of one sequence. Nothing here looks at any other sequence."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

# How many candidates are sorted before the whole vocabulary is, when top_p asks for an order.
SHORTLIST = 512
# What OpenAI's servers report instead of minus infinity, which JSON cannot say.
LOWEST_LOGPROB = -9999.0


class BrokenLogits(Exception):
    """The model computed something that is not a number."""


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are chosen, with the meaning these names have in OpenAI's API.

    Attributes:
        seed: the same seed and index give the same tokens; None draws anew each time.
        index: which of `n` choices this is; each has a random stream of its own.
        logprobs: how many most likely tokens to report with each token; None reports nothing.
        logit_bias: token id -> value added to its logit.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    index: int = 0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None


@dataclass(frozen=True)
class TokenLogprob:
    """A token and its log-probability (natural, of the unmodified model), with the likeliest alternatives."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """The random stream and token counts of one sequence."""

    def __init__(self, params: SamplingParams) -> None:
        self.params = params
        self._random = random.Random() if params.seed is None else random.Random(f"{params.seed}/{params.index}")
        self._counts: Counter[int] = Counter()

    def choose(self, logits_V: Tensor) -> tuple[int, TokenLogprob | None]:
        """The next token, and its log-probabilities if the parameters ask for them.

        Raises:
            BrokenLogits: NaN or infinity among the logits.
        """
        logits_V = logits_V.float()
        if not bool(torch.isfinite(logits_V).all()):
            raise BrokenLogits("the model's logits are not finite numbers")
        adjusted_V = self._adjusted(logits_V)
        temperature = self.params.temperature
        token = int(adjusted_V.argmax()) if temperature == 0 else self._draw(adjusted_V, temperature)
        self._counts[token] += 1
        if self.params.logprobs is None:
            return token, None
        return token, token_logprobs(logits_V[None], [token], self.params.logprobs)[0]

    def _adjusted(self, logits_V: Tensor) -> Tensor:
        """Bias, and penalties on the tokens generated so far (presence once, frequency per occurrence)."""
        params = self.params
        changes = {token: bias for token, bias in params.logit_bias.items() if token < len(logits_V)}
        if params.presence_penalty or params.frequency_penalty:
            for token, count in self._counts.items():
                penalty = params.presence_penalty + params.frequency_penalty * count
                changes[token] = changes.get(token, 0.0) - penalty
        if not changes:
            return logits_V
        adjusted_V = logits_V.clone()
        index = torch.tensor(list(changes), device=logits_V.device)
        adjusted_V[index] += torch.tensor(list(changes.values()), device=logits_V.device)
        return adjusted_V

    def _draw(self, logits_V: Tensor, temperature: float) -> int:
        """Inverse of the cumulative distribution at one uniform number, so a token costs one draw of the stream."""
        # Shifted before the division, in double: a tiny temperature must neither overflow nor become zero.
        scaled_V = logits_V.double()
        scaled_V -= scaled_V.max()
        scaled_V /= temperature
        probs_V = torch.softmax(scaled_V, dim=-1)
        if self.params.top_p == 1:
            return self._invert(probs_V)
        sorted_N, tokens_N = probs_V.topk(min(SHORTLIST, len(probs_V)))
        if float(sorted_N.sum()) < self.params.top_p:
            sorted_N, tokens_N = probs_V.sort(descending=True)
        # The smallest set of likeliest tokens that holds top_p of the probability (Holtzman et al., 2020).
        before_N = sorted_N.cumsum(0) - sorted_N
        kept = max(1, int((before_N < self.params.top_p).sum()))
        return int(tokens_N[self._invert(sorted_N[:kept])])

    def _invert(self, probs_N: Tensor) -> int:
        cumulative_N = probs_N.cumsum(0)
        point = self._random.random() * float(cumulative_N[-1])
        return min(int((cumulative_N <= point).sum()), int(probs_N.nonzero()[-1]))


def token_logprobs(logits_TV: Tensor, tokens: list[int], top: int) -> list[TokenLogprob]:
    """Log-probability of `tokens[t]` under `logits_TV[t]`, each with the `top` likeliest tokens."""
    logprobs_TV = torch.log_softmax(logits_TV.float(), dim=-1)
    chosen_T = logprobs_TV.gather(1, torch.tensor(tokens, device=logits_TV.device)[:, None])[:, 0].tolist()
    count = min(top, logprobs_TV.shape[1])
    values_TN, ids_TN = logprobs_TV.topk(count)
    return [
        TokenLogprob(token, _finite(chosen), tuple(zip(ids, map(_finite, values), strict=True)))
        for token, chosen, ids, values in zip(tokens, chosen_T, ids_TN.tolist(), values_TN.tolist(), strict=True)
    ]


def _finite(logprob: float) -> float:
    return max(logprob, LOWEST_LOGPROB)
