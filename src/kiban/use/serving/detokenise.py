"""From tokens to text, a token at a time: no half characters, no part of a stop string.

Tokens are turned into the bytes they stand for, and the bytes into text by an incremental UTF-8 decoder. Decoding
growing lists of tokens and comparing the texts, the usual way, cannot tell a character that is not complete yet from
a model that really wrote U+FFFD, and loses the space with which a sentencepiece token may begin.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from kiban.kit.errors import BadInput

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
METASPACE = "▁"


class TokenTable:
    """The bytes each token stands for.

    Knows the two families that generating models use: byte-level BPE (GPT-2, Qwen, Llama 3) and sentencepiece with
    byte fallback (Llama 2, Gemma), by the decoder that the tokenizer itself names.

    Raises:
        BadInput: the tokenizer is of neither family.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        decoders = _decoder_types(json.loads(backend.to_str())["decoder"]) if backend is not None else set()
        if "ByteLevel" in decoders:
            self._bytes_of_char: dict[str, int] | None = _byte_level_alphabet()
        elif decoders & {"Metaspace", "Replace", "ByteFallback"}:
            self._bytes_of_char = None
        else:
            raise BadInput(
                "its tokenizer is neither byte-level nor sentencepiece-like",
                where=str(tokenizer.name_or_path),
                hint="the vLLM engine may serve it: --engine vllm",
            )
        assert backend is not None
        self._backend = backend
        added = backend.get_added_tokens_decoder()
        self._added = {token: entry.content.encode() for token, entry in added.items()}
        self.special = frozenset(token for token, entry in added.items() if entry.special)
        self._known: dict[int, bytes] = {}

    def bytes_of(self, token: int) -> bytes:
        """What a token adds to the text; special tokens as they are written; nothing for an id without a token."""
        if token not in self._known:
            self._known[token] = self._added[token] if token in self._added else self._decode(token)
        return self._known[token]

    def _decode(self, token: int) -> bytes:
        piece = self._backend.id_to_token(token)
        if piece is None:
            return b""
        if self._bytes_of_char is not None:
            if all(char in self._bytes_of_char for char in piece):
                return bytes(self._bytes_of_char[char] for char in piece)
            return str(piece).encode()
        if match := BYTE_TOKEN.fullmatch(piece):
            return bytes([int(match.group(1), 16)])
        return str(piece).replace(METASPACE, " ").encode()

    def shown(self, token: int) -> str:
        """A token as logprobs show it: text where it is text, `bytes:\\xe3\\x81` where it is part of a character."""
        data = self.bytes_of(token)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


class TextStream:
    """Text of a growing list of tokens. Special tokens have none.

    A character whose bytes are still coming is held back; bytes that cannot be a character come out as U+FFFD at
    once; bytes of a character that was never completed at the end are left out.
    """

    def __init__(self, table: TokenTable) -> None:
        self._table = table
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        if token in self._table.special:
            return ""
        return self._decoder.decode(self._table.bytes_of(token))


@dataclass(frozen=True)
class Scanned:
    """Text that may be shown now, and whether a stop string ended it."""

    text: str
    stopped: bool


class StopScanner:
    """Cuts a stream of text before the first stop string, holding back what could be the beginning of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""

    def feed(self, text: str) -> Scanned:
        if not self._stops:
            return Scanned(text, stopped=False)
        self._held += text
        # The stop string that is complete first wins: which one it is must not depend on how the text was cut.
        found = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            _, start = min(found)
            return Scanned(self._held[:start], stopped=True)
        keep = max(self._partial(stop) for stop in self._stops)
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return Scanned(shown, stopped=False)

    def _partial(self, stop: str) -> int:
        """Length of the longest beginning of `stop` that the held text ends with."""
        lengths = range(min(len(stop) - 1, len(self._held)), 0, -1)
        return next((length for length in lengths if self._held.endswith(stop[:length])), 0)

    def flush(self) -> str:
        """What was held back, once it is certain that no stop string follows."""
        held, self._held = self._held, ""
        return held


def _decoder_types(decoder: dict[str, Any] | None) -> set[str]:
    if decoder is None:
        return set()
    inner = [kind for each in decoder.get("decoders", ()) for kind in _decoder_types(each)]
    return {str(decoder["type"]), *inner}


def _byte_level_alphabet() -> dict[str, int]:
    """Character -> byte of byte-level BPE (Radford et al., 2019): printable Latin-1 stands for itself, the other
    bytes for the characters from U+0100 on, in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + at): byte for at, byte in enumerate(others)}
