"""The files of a tokenizer: written for transformers and vLLM, taken over from a base model, read for plain text."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from kiban.kit.errors import BadInput
from kiban.kit.files import write_atomically, write_json
from kiban.make.model.base import copy_tokenizer
from kiban.make.tokenizer.train import EOS, PAD

# ChatML (OpenAI, 2023), the format of Qwen's models and many others.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write a new tokenizer so that `AutoTokenizer.from_pretrained(folder)` gives it with its chat template."""
    write_atomically(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    # The class is named as transformers 4 and 5 both know it. Qwen2Tokenizer, which a Qwen3 model would get
    # otherwise, normalises text (NFC) and so would not give it back as it was.
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": EOS,
        "pad_token": PAD,
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
    }
    write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "special_tokens_map.json", {"eos_token": EOS, "pad_token": PAD})
    write_atomically(folder / "chat_template.jinja", CHAT_TEMPLATE)


def copy_base_tokenizer(base: Path, folder: Path) -> None:
    """Take a base model's tokenizer over, byte for byte.

    Raises:
        BadInput: the base has no tokenizer.json.
    """
    if not (base / "tokenizer.json").is_file():
        raise BadInput(
            "the base model has no tokenizer.json",
            where=str(base),
            hint="load it with AutoTokenizer.from_pretrained and save it into the model's folder",
        )
    copy_tokenizer(base, folder)


def load_for_text(folder: Path) -> Tokenizer:
    """The tokenizer in `folder`, reading every text as text.

    As it is saved it turns `<|im_end|>` inside a text into the control token, which a chat template needs. Here such
    a string is spelled out like any other; training and evaluation read documents the same way, so no document can
    inject a control token. BOS and EOS are the caller's to add: encode with `add_special_tokens=False`.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
