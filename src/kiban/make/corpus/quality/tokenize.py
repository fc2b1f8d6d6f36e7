"""Word tokenizers of profiles that judge by words: the ones that the originals use, never another in their place."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from kiban.kit.errors import BadInput

# What datatrove gives SudachiPy at a time, in bytes of UTF-8; it takes 49,149.
CHUNK_BYTES = 40_000
GUESS_LESS, STEP, RETREAT = 10, 10, 10


def unidic_words() -> Callable[[str], list[tuple[str, str]]]:
    """Surface and first part of speech of each word of a text, by fugashi with UniDic, as HojiChar has them.

    Raises:
        BadInput: fugashi or a UniDic is not installed.
    """
    missing = BadInput(
        "the rules nouns and word_repetition take words from fugashi with UniDic, which are not installed",
        where="quality.profile",
        hint='pip install "fugashi[unidic-lite]", or leave the rules out: limits: {nouns: null, word_repetition: null}',
    )
    try:
        fugashi: Any = importlib.import_module("fugashi")

        tagger = fugashi.Tagger("-Owakati")
    except (ImportError, RuntimeError):
        raise missing from None
    if "unidic" not in tagger.dictionary_info[0]["filename"]:
        raise missing

    def tokenize(text: str) -> list[tuple[str, str]]:
        return [(word.surface, word.feature.pos1) for word in tagger(text)]

    return tokenize


def sudachi_words() -> Callable[[str], list[str]]:
    """The words of a text by SudachiPy in mode A, blanks aside, as datatrove has them through spaCy.

    Raises:
        BadInput: SudachiPy or its dictionary is not installed.
    """
    try:
        sudachipy: Any = importlib.import_module("sudachipy")
        tokenizer = sudachipy.Dictionary().create(mode=sudachipy.SplitMode.A)
    except (ImportError, ValueError, RuntimeError):
        raise BadInput(
            "profile fineweb2-ja takes words from SudachiPy, and it or its dictionary is not installed",
            where="quality.profile",
            hint="pip install sudachipy sudachidict_core",
        ) from None

    def tokenize(text: str) -> list[str]:
        surfaces = (word.surface().strip() for chunk in chunks(text) for word in tokenizer.tokenize(chunk))
        return [surface for surface in surfaces if surface]

    return tokenize


def chunks(text: str) -> list[str]:
    """The text in the pieces that datatrove 0.10 tokenizes: as many letters as its search in steps of ten finds to
    stay within CHUNK_BYTES. Words are not respected, so that where it cuts matters to which words there are."""
    size = len(text.encode())
    if size <= CHUNK_BYTES:
        return [text] if text else []
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    letter_bytes = 1 + (codes > 0x7F).astype(np.int64) + (codes > 0x7FF) + (codes > 0xFFFF)
    ends = [0, *np.cumsum(letter_bytes).tolist()]
    guess = max(1, int(CHUNK_BYTES * (len(text) / size) - GUESS_LESS))
    pieces, start = [], 0
    while start < len(text):
        # A guess that is too long is shortened for good: the next piece begins its search from there.
        while ends[min(start + guess, len(text))] - ends[start] > CHUNK_BYTES:
            guess = max(1, guess - RETREAT)
        end = min(start + guess, len(text))
        after = guess
        while ends[end] - ends[start] < CHUNK_BYTES and end < len(text):
            after = min(len(text) - start, after + STEP)
            end = start + after
        if ends[end] - ends[start] > CHUNK_BYTES:
            end = start + after - STEP
        pieces.append(text[start:end])
        start = end
    return pieces
