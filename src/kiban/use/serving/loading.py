"""Load a transformers folder for serving, and prove on a few tokens that it is computed rightly."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from kiban.kit.errors import BadInput
from kiban.use.serving.detokenise import TokenTable
from kiban.use.serving.options import Dtype
from kiban.use.serving.packed import pack_linears
from kiban.use.serving.slots import ATTENTION, SequenceCache, Slots, UnsupportedAttention

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
KNOWN_LAYERS = {"full_attention", "sliding_attention"}
# Share of the memory that is free after loading which may hold keys and values.
CACHE_SHARE = 0.5
# The self-check: tokens read at once, tokens decoded singly, largest allowed difference of logits as a share of
# the largest logit.
CHECK_READ, CHECK_DECODED = 20, 4
CHECK_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 5e-2}


class LoadedModel:
    """A model and tokenizer ready to generate.

    Attributes:
        context_tokens: longest prompt and answer together.
        cache_tokens: tokens of all running sequences together that fit into memory.
        eos_ids: tokens that end a text.
        vocab_size: number of logits.
        uses_chat_template: conversations go through the tokenizer's template; else they are continued as text.
        tokenizing: hold it to use the tokenizer, which keeps the settings of a call in itself.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, *, tuned_for_chat: bool
    ) -> None:
        self._model = model
        self.tokenizer = tokenizer
        self.tokenizing = threading.Lock()
        self.uses_chat_template = tuned_for_chat and bool(tokenizer.chat_template)
        self.table = TokenTable(tokenizer)
        self.device = model.device
        text_config = model.config.get_text_config()
        self.vocab_size: int = model.get_input_embeddings().num_embeddings
        self.eos_ids = _eos_ids(model, tokenizer)
        if len(tokenizer) > self.vocab_size:
            raise BadInput(
                f"its tokenizer has {len(tokenizer)} tokens but the model only {self.vocab_size}", where=str(folder)
            )
        bytes_per_token = self._switch_attention(folder)
        self.cache_tokens = max(1, int(_free_bytes(self.device) * CACHE_SHARE) // bytes_per_token)
        self.context_tokens: int = min(int(text_config.max_position_embeddings), self.cache_tokens)

    def forward(
        self, tokens_BT: Sequence[Sequence[int]], starts_B: Sequence[int], slots: Slots, *, all_logits: bool = False
    ) -> Tensor:
        """Logits (B, T or 1, V) of tokens at positions `starts_B` and on; rows in `slots` extend their caches."""
        ids = torch.tensor(tokens_BT, device=self.device)
        starts = torch.tensor(starts_B, device=self.device)[:, None]
        positions = starts + torch.arange(ids.shape[1], device=self.device)[None, :]
        logits: Tensor = self._model(
            input_ids=ids,
            position_ids=positions,
            use_cache=False,
            slots=slots,
            logits_to_keep=0 if all_logits else 1,
        ).logits
        return logits

    def _switch_attention(self, folder: Path) -> int:
        """Go over to `slot_attention` and packed weights, if they compute what transformers' own code computes.

        Returns:
            Bytes of keys and values per token.

        Raises:
            BadInput: they do not, so this engine cannot serve this architecture.
        """
        kind = type(self._model).__name__
        refused = f"the built-in engine cannot serve {kind}"
        layers = set(getattr(self._model.config.get_text_config(), "layer_types", None) or ())
        if layers - KNOWN_LAYERS:
            raise BadInput(
                f"{refused}: it has {', '.join(sorted(layers - KNOWN_LAYERS))} layers",
                where=str(folder),
                hint="try --engine vllm",
            )
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(self.vocab_size, (CHECK_READ + CHECK_DECODED,), generator=generator).tolist()
        with torch.inference_mode():
            expected_TV = self._model(input_ids=torch.tensor([tokens], device=self.device), use_cache=False).logits[0]
            cache = SequenceCache(len(tokens))
            try:
                self._model.set_attn_implementation(ATTENTION)
                if self.device.type == "cpu":
                    pack_linears(self._model)
                got = [self.forward([tokens[:CHECK_READ]], [0], {0: cache}, all_logits=True)[0]]
                cache.commit(CHECK_READ)
                for at in range(CHECK_READ, len(tokens)):
                    got.append(self.forward([[tokens[at]]], [at], {0: cache})[0])
                    cache.commit(1)
            except (UnsupportedAttention, ValueError, TypeError) as error:
                raise BadInput(f"{refused}: {error}", where=str(folder), hint="try --engine vllm") from None
            difference = float((torch.cat(got) - expected_TV).abs().max() / expected_TV.abs().max())
        if not difference <= CHECK_TOLERANCE.get(self._model.dtype, 5e-2):
            raise BadInput(
                f"{refused}: on {len(tokens)} tokens its logits differ by {difference:.2g} from transformers' own",
                where=str(folder),
                hint="try --engine vllm",
            )
        return cache.bytes_per_token()


def load(folder: Path, *, dtype: Dtype = "auto", device: str = "auto", tuned_for_chat: bool = True) -> LoadedModel:
    """Load and check a model.

    Args:
        dtype: auto is bf16 on a GPU and fp32 on CPU.
        device: auto is the GPU if there is one.
        tuned_for_chat: use the tokenizer's chat template, if it has one.

    Raises:
        BadInput: files are damaged or missing, weights are missing, or the architecture cannot be served.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    chosen = DTYPES["bf16" if device != "cpu" else "fp32"] if dtype == "auto" else DTYPES[dtype]
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, info = AutoModelForCausalLM.from_pretrained(
            folder, dtype=chosen, attn_implementation="sdpa", local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, ImportError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BadInput(f"the model cannot be loaded: {reason}", where=str(folder)) from None
    _check_weights(info, folder)
    loaded = LoadedModel(model.to(device).eval(), tokenizer, folder, tuned_for_chat=tuned_for_chat)
    if loaded.context_tokens < model.config.get_text_config().max_position_embeddings:
        print(f"kiban: memory holds a context of {loaded.context_tokens} tokens only", file=sys.stderr, flush=True)
    return loaded


def _check_weights(info: dict[str, Any], folder: Path) -> None:
    """transformers fills missing weights with random numbers and goes on; a served model must not."""
    if missing := sorted(info["missing_keys"]):
        raise BadInput(f"{len(missing)} of its weights are missing, first {missing[0]}", where=str(folder))


def _eos_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    ids: set[int] = set()
    for value in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        ids |= set(value) if isinstance(value, list | tuple) else {value} if value is not None else set()
    return frozenset(ids)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
