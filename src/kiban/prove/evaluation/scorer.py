"""Log-likelihoods of tokens under a model: the one measurement that every score here is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kiban.make.model.runtime import usable_cores
from kiban.make.tokenizer.files import load_for_text

Floats = npt.NDArray[np.float64]

# A model's context is used up to here: longer windows cost more and change bits per byte little.
MAX_CONTEXT_TOKENS = 2_048
BATCH_TOKENS = 4_096
# Float32 logits of a chunk of tokens stay below 256 MB, whatever the vocabulary.
CHUNK_ELEMENTS = 2**26


@dataclass(frozen=True)
class Window:
    """One forward pass over a part of a sequence.

    Attributes:
        start: position in the sequence of the first token that the window predicts.
        first: position of the first one that no window before it has predicted.
        ids: the token before `start`, and the tokens from there on.
    """

    sequence: int
    start: int
    first: int
    ids: Sequence[int]


class Scorer:
    """A model with its tokenizer, in float32.

    bfloat16 moves bits per byte by 0.004% to 0.06% (a 270 M model on Japanese): as much as two models may differ by,
    for twice the speed on processors that have it.

    Attributes:
        context_tokens: inputs of one forward pass.
        prefix: the token before a document, as in training: BOS where the tokenizer uses it, else EOS.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        torch.set_num_threads(usable_cores())
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().to(self.device)
        longest = getattr(self.model.config, "max_position_embeddings", None) or MAX_CONTEXT_TOKENS
        self.context_tokens = min(longest, MAX_CONTEXT_TOKENS)
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        begins_with_bos = bos is not None and self.tokenizer("")["input_ids"][:1] == [bos]
        self.prefix = int(bos if begins_with_bos else eos)
        self._head = self.model.get_output_embeddings()
        self._backend = load_for_text(folder)

    def encode(self, text: str) -> list[int]:
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def encode_with_ends(self, text: str) -> tuple[list[int], list[int]]:
        """Token ids and, for each, the position in `text` behind its last character."""
        encoding = self._backend.encode(text, add_special_tokens=False)
        return list(encoding.ids), [end for _, end in encoding.offsets]

    def token_bits(self, sequences: Sequence[Sequence[int]]) -> list[Floats]:
        """-log2 p of every token of every sequence, each sequence beginning after `prefix`.

        A sequence longer than the context is read in windows that overlap by half: every token is predicted once,
        and all but those of the first window with at least half a context before them.
        """
        bits = [np.full(len(ids), np.nan) for ids in sequences]
        windows = [window for index, ids in enumerate(sequences) for window in self._windows(index, ids)]
        windows.sort(key=lambda window: len(window.ids), reverse=True)
        for batch in _batches(windows):
            for window, predicted in zip(batch, self._forward(batch), strict=True):
                end = window.start + len(window.ids) - 1
                bits[window.sequence][window.first : end] = predicted[window.first - window.start : end - window.start]
        return bits

    def _windows(self, index: int, ids: Sequence[int]) -> Iterator[Window]:
        whole = [self.prefix, *ids]
        scored = 0
        while scored < len(ids):
            start = max(0, scored - self.context_tokens // 2)
            end = min(start + self.context_tokens, len(ids))
            yield Window(index, start, scored, whole[start : end + 1])
            scored = end

    def _forward(self, windows: Sequence[Window]) -> Floats:
        """-log2 p of what each window predicts, [windows, longest window]; behind a window's end, of padding."""
        longest = max(len(window.ids) for window in windows)
        rows = [[*window.ids, *[self.prefix] * (longest - len(window.ids))] for window in windows]
        ids_BT = torch.tensor(rows, device=self.device)
        with torch.inference_mode():
            # Padding stands behind the text, where causal attention does not look: no mask is needed.
            decoder = self.model.get_decoder()
            hidden_BTH = decoder(input_ids=ids_BT[:, :-1], use_cache=False).last_hidden_state
            bits_BT: Floats = self._bits(hidden_BTH, ids_BT[:, 1:]).numpy()
        return bits_BT

    def _bits(self, hidden_BTH: Tensor, targets_BT: Tensor) -> Tensor:
        hidden_NH, targets_N = hidden_BTH.flatten(0, 1), targets_BT.flatten()
        chunk = max(1, CHUNK_ELEMENTS // self._head.weight.shape[0])
        nats = []
        for start in range(0, len(targets_N), chunk):
            logits_CV = self._head(hidden_NH[start : start + chunk])
            if softcap := getattr(self.model.config, "final_logit_softcapping", None):
                logits_CV = softcap * torch.tanh(logits_CV / softcap)
            nats.append(
                torch.nn.functional.cross_entropy(logits_CV, targets_N[start : start + chunk], reduction="none")
            )
        bits_BT: Tensor = (torch.cat(nats).double() / math.log(2)).reshape(targets_BT.shape)
        return bits_BT.cpu()


def _batches(windows: Sequence[Window]) -> list[list[Window]]:
    """Windows of like length together, at most BATCH_TOKENS with padding (a longer window goes alone)."""
    batches: list[list[Window]] = []
    for window in windows:
        if batches and (len(batches[-1]) + 1) * len(batches[-1][0].ids) <= BATCH_TOKENS:
            batches[-1].append(window)
        else:
            batches.append([window])
    return batches
