"""Text comes out whole: every character once it is complete, nothing of a stop string."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from kiban.kit.errors import BadInput
from kiban.use.serving.detokenise import StopScanner, TextStream, TokenTable
from kiban.use.serving.loading import LoadedModel

TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("日本語 the▁�😀é\n")), max_size=40)


@pytest.fixture(params=["qwen3", "gemma3"])
def model(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def pieces(model: LoadedModel, ids: list[int]) -> list[str]:
    stream = TextStream(model.table)
    return [stream.feed(token) for token in ids]


@pytest.mark.parametrize("name", ["qwen3", "gemma3"])
def test_text_comes_back_as_it_was(name: str, request: pytest.FixtureRequest) -> None:
    model: LoadedModel = request.getfixturevalue(name)

    @settings(max_examples=150, deadline=None)
    @given(TEXT)
    def check(text: str) -> None:
        ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        expected = text.replace("▁", " ") if name == "gemma3" else text  # ▁ is what that tokenizer writes for a space
        assert "".join(pieces(model, ids)) == expected
        assert model.tokenizer.decode(ids, clean_up_tokenization_spaces=False) == expected

    check()


def test_any_tokens_equal_what_the_tokenizer_decodes(qwen3: LoadedModel) -> None:
    """Even bytes that are no text, except for a character that is not complete at the end."""

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.integers(0, qwen3.vocab_size - 1), max_size=30))
    def check(ids: list[int]) -> None:
        decoded = qwen3.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        text = "".join(pieces(qwen3, ids))
        assert decoded in (text, text + "\N{REPLACEMENT CHARACTER}")

    check()


def test_a_character_is_held_back_until_it_is_complete(model: LoadedModel) -> None:
    by_byte = {
        model.table.bytes_of(token): token for token in range(model.vocab_size) if len(model.table.bytes_of(token)) == 1
    }
    ids = [by_byte[bytes([byte])] for byte in "あ😀".encode()]
    assert pieces(model, ids) == ["", "", "あ", "", "", "", "😀"]


def test_a_replacement_character_the_model_wrote_is_shown_at_once(model: LoadedModel) -> None:
    ids = model.tokenizer("a\N{REPLACEMENT CHARACTER}", add_special_tokens=False)["input_ids"]
    assert "".join(pieces(model, ids)) == "a\N{REPLACEMENT CHARACTER}"


def test_bytes_that_cannot_be_a_character_do_not_block_the_stream(qwen3: LoadedModel) -> None:
    by_byte = {qwen3.table.bytes_of(token): token for token in range(qwen3.vocab_size)}
    assert pieces(qwen3, [by_byte[b"\xff"], by_byte[b"a"]]) == ["\N{REPLACEMENT CHARACTER}", "a"]
    assert pieces(qwen3, [by_byte[b"\xe3"], by_byte[b"a"]]) == ["", "\N{REPLACEMENT CHARACTER}a"]


def test_special_tokens_have_no_text_but_are_shown_in_logprobs(qwen3: LoadedModel) -> None:
    assert pieces(qwen3, [qwen3.tokenizer.eos_token_id]) == [""]
    assert qwen3.table.shown(qwen3.tokenizer.eos_token_id) == "<|endoftext|>"


def test_a_leading_space_is_kept(gemma3: LoadedModel) -> None:
    token = gemma3.tokenizer.convert_tokens_to_ids("▁the")
    assert pieces(gemma3, [token]) == [" the"]


def test_an_id_without_a_token_is_no_text(qwen3: LoadedModel) -> None:
    assert qwen3.table.bytes_of(10**6) == b""


def test_a_tokenizer_of_another_family_is_refused() -> None:
    backend = Tokenizer(models.WordPiece({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece()
    with pytest.raises(BadInput, match="neither byte-level nor sentencepiece-like"):
        TokenTable(PreTrainedTokenizerFast(tokenizer_object=backend))


def first_stop(text: str, stops: list[str]) -> int | None:
    """Where the text ends, by trying every prefix: the first one that ends with a stop string."""
    for end in range(len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            return end - max(map(len, ending))
    return None


@settings(max_examples=400)
@given(
    st.lists(st.text("ab日", max_size=4), max_size=12), st.lists(st.text("ab日", min_size=1, max_size=4), max_size=4)
)
def test_stop_strings_cut_the_text_however_it_is_chunked(chunks: list[str], stops: list[str]) -> None:
    scanner = StopScanner(stops)
    shown, stopped = "", False
    text = "".join(chunks)
    end = first_stop(text, stops)
    for chunk in chunks:
        scanned = scanner.feed(chunk)
        shown += scanned.text
        assert end is None or len(shown) <= end, "a part of a stop string was shown"
        if stopped := scanned.stopped:
            break
    if not stopped:
        shown += scanner.flush()
    assert stopped == (end is not None)
    assert shown == (text if end is None else text[:end])


def test_nothing_is_held_back_that_cannot_be_a_stop_string() -> None:
    scanner = StopScanner(["END"])
    assert scanner.feed("abc").text == "abc"
    assert scanner.feed("dE").text == "d"
    assert scanner.feed("x").text == "Ex"
