"""What is saved is what transformers loads, with a Qwen3 model's config beside it or not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Qwen3Config

from kiban.kit.errors import BadInput
from kiban.make.tokenizer.files import copy_base_tokenizer, load_for_text, save_tokenizer

TEXT = "ｶﾞｽ か\u3099 Å ①\n  <|im_end|> it's 2026年　终わり"  # NFC or NFKC would change it


@pytest.fixture
def saved(learned: Tokenizer, tmp_path: Path) -> Path:
    save_tokenizer(learned, tmp_path)
    return tmp_path


@pytest.mark.parametrize("with_model", [False, True])
def test_transformers_reads_it_as_it_is(saved: Path, learned: Tokenizer, with_model: bool) -> None:
    if with_model:  # AutoTokenizer then looks at the model's type, and Qwen3's own class would normalise text
        Qwen3Config(vocab_size=1_024, num_hidden_layers=1).save_pretrained(saved)
    loaded = AutoTokenizer.from_pretrained(saved)
    assert loaded(TEXT, split_special_tokens=True)["input_ids"] == learned.encode(TEXT).ids
    assert loaded.decode(loaded(TEXT)["input_ids"]) == TEXT
    assert (loaded.eos_token, loaded.pad_token, loaded.bos_token) == ("<|endoftext|>", "<|pad|>", None)
    assert loaded("")["input_ids"] == []
    assert len(loaded) == learned.get_vocab_size()


def test_it_survives_being_saved_by_transformers(saved: Path, learned: Tokenizer, tmp_path: Path) -> None:
    again = tmp_path / "again"
    AutoTokenizer.from_pretrained(saved).save_pretrained(again)
    loaded = AutoTokenizer.from_pretrained(again)
    assert loaded.decode(loaded(TEXT)["input_ids"]) == TEXT
    assert loaded(TEXT, split_special_tokens=True)["input_ids"] == learned.encode(TEXT).ids
    assert loaded.chat_template


def test_the_chat_template_makes_chatml_with_control_tokens(saved: Path) -> None:
    loaded = AutoTokenizer.from_pretrained(saved)
    messages = [{"role": "system", "content": "簡潔に。"}, {"role": "user", "content": "こんにちは"}]
    text = loaded.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == (
        "<|im_start|>system\n簡潔に。<|im_end|>\n<|im_start|>user\nこんにちは<|im_end|>\n<|im_start|>assistant\n"
    )
    ids = loaded.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert ids.count(loaded.convert_tokens_to_ids("<|im_start|>")) == 3
    assert ids.count(loaded.convert_tokens_to_ids("<|im_end|>")) == 2


def test_documents_are_read_as_text(saved: Path) -> None:
    tokenizer = load_for_text(saved)
    assert tokenizer.token_to_id("<|im_end|>") not in tokenizer.encode("<|im_end|>").ids


def test_a_base_models_tokenizer_is_taken_over_as_it_is(saved: Path, tmp_path: Path) -> None:
    base, target = tmp_path / "base", tmp_path / "target"
    base.mkdir()
    target.mkdir()
    for file in saved.glob("*.json*"):
        shutil.copy(file, base)
    (base / "chat_template.jinja").write_text("{{ messages }}")
    (base / "tokenizer.model").write_bytes(b"\x00\xff")
    (base / "model.safetensors").write_bytes(b"weights")
    copy_base_tokenizer(base, target)
    assert {file.name: file.read_bytes() for file in target.iterdir()} == {
        file.name: file.read_bytes() for file in base.iterdir() if file.name != "model.safetensors"
    }


def test_a_base_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no tokenizer\.json"):
        copy_base_tokenizer(tmp_path, tmp_path)


def test_the_saved_files_are_plain_json(saved: Path) -> None:
    assert json.loads((saved / "tokenizer.json").read_bytes())["normalizer"] is None
    assert json.loads((saved / "tokenizer_config.json").read_bytes())["tokenizer_class"] == "PreTrainedTokenizerFast"
