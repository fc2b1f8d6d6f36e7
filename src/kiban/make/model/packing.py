"""Documents to one file of token ids, and that file to training sequences.

Documents are joined in corpus order, each ended by EOS (and begun by BOS where the tokenizer does so), and cut every
`seq_len_tokens`. They are not shuffled before: neighbours of one source in one sequence do no harm (Shi et al., 2023,
even seek related neighbours), and the order of the sequences is shuffled anew in every epoch. A sequence is one token
longer than it is said to be, which overlaps with the next: so every token but the first is predicted once per epoch.
Where the tokenizer uses BOS, it stands in for the overlapping token: a model that has always seen BOS first does badly
without it (Gemma 3 270M lost 50% more per token, and training only taught it to do without).

Which source each stretch of tokens is from is noted beside, for recipes that mix sources (mixed_sequences.py).

Attention sees the whole sequence, also across the end of a document. Masking it by document would start here: the
ends of documents are the EOS tokens of the sequence.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from kiban.kit.errors import BadInput
from kiban.kit.files import fsync, write_json
from kiban.kit.progress import progress
from kiban.make.corpus.reader import Document, read_documents

Ids = npt.NDArray[np.int64]

BATCH_CHARACTERS = 1_000_000
SAVE_SECONDS = 5.0


@dataclass(frozen=True)
class Packed:
    """A finished token file and what went into it.

    Attributes:
        tokens: in the file, separators included.
        characters, utf8_bytes: of the documents' text.
        bos: the id that begins every sequence, or None where the tokenizer has no such habit.
        sources: in the order of their first document.
        runs: how many stretches of one source each the file is made of.
    """

    path: Path
    vocab_size: int
    bos: int | None
    documents: int
    tokens: int
    separators: int
    characters: int
    utf8_bytes: int
    sources: tuple[str, ...] = ()
    runs: int = 0

    @property
    def characters_per_token(self) -> float:
        """Of the text alone, without the separators."""
        return self.characters / max(self.tokens - self.separators, 1)

    def unigram_counts(self) -> Ids:
        """How often each token id occurs, int64 [vocab_size]."""
        counts = np.zeros(self.vocab_size, np.int64)
        dtype = token_dtype(self.vocab_size)
        with self.path.open("rb") as file:
            while block := file.read(2**22 * dtype.itemsize):
                counts += np.bincount(np.frombuffer(block, dtype), minlength=self.vocab_size)
        return counts

    def read_runs(self) -> Ids:
        """The stretches of the file in order, int64 [runs, 2]: place in `sources`, tokens. Neighbours may be alike."""
        return np.fromfile(_runs_path(self.path), np.int64, 2 * self.runs).reshape(-1, 2)


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    return np.dtype(np.uint16 if vocab_size <= 2**16 else np.uint32)


def pack_corpus(corpus: Path, tokenizer: Any, vocab_size: int, folder: Path) -> Packed:
    """Write the token ids of the corpus's training documents to `folder`, or go on from what is there.

    Args:
        tokenizer: a fast tokenizer of transformers with an EOS token.
        vocab_size: rows of the model's embedding table; no id reaches it.
        folder: where the file and its progress are kept; memory use does not depend on the corpus's size.

    Raises:
        BadInput: the tokenizer has no EOS, or names ids that the model has no row for.
    """
    if tokenizer.eos_token_id is None:
        raise BadInput("the tokenizer has no EOS token, so nothing would separate documents")
    folder.mkdir(parents=True, exist_ok=True)
    path, state_path = folder / "tokens.bin", folder / "tokens.json"
    state = _state(state_path, path)
    done = bool(state.pop("done", False))
    encoder = _Encoder(tokenizer, vocab_size)
    packed = Packed(path, vocab_size, encoder.bos, **(state or dict.fromkeys(_COUNTED, 0)))
    if done:
        return packed
    dtype = token_dtype(vocab_size)
    with (
        path.open("ab") as file,
        _runs_path(path).open("ab") as runs_file,
        progress("tokenizing", None, "tokens", done=packed.tokens) as shown,
    ):
        # What was written after the last record of progress is written again.
        for each, size in ((file, packed.tokens * dtype.itemsize), (runs_file, packed.runs * RUN_BYTES)):
            each.truncate(size)
            each.seek(0, os.SEEK_END)
        saved = time.monotonic()
        for documents in _batches(islice(read_documents(corpus, "train"), packed.documents, None)):
            batch = [document.text for document in documents]
            ids, lengths = encoder.encode(batch)
            file.write(ids.astype(dtype).tobytes())
            sources, runs = _runs(documents, lengths, packed.sources)
            runs_file.write(runs.tobytes())
            packed = replace(
                packed,
                documents=packed.documents + len(batch),
                tokens=packed.tokens + len(ids),
                separators=packed.separators + len(batch) * encoder.separators,
                characters=packed.characters + sum(map(len, batch)),
                utf8_bytes=packed.utf8_bytes + sum(len(text.encode()) for text in batch),
                sources=sources,
                runs=packed.runs + len(runs),
            )
            shown.advance(len(ids))
            if time.monotonic() - saved > SAVE_SECONDS:
                _sync(file, runs_file)
                _save(state_path, packed, done=False)
                saved = time.monotonic()
        _sync(file, runs_file)
    fsync(folder)
    _save(state_path, packed, done=True)
    return packed


_COUNTED = ("documents", "tokens", "separators", "characters", "utf8_bytes")
RUN_BYTES = 16


def _state(state_path: Path, path: Path) -> dict[str, Any]:
    """What an earlier attempt noted of itself; nothing where its files are not all there."""
    if not (state_path.exists() and path.exists() and _runs_path(path).exists()):
        return {}
    state: dict[str, Any] = json.loads(state_path.read_bytes())
    return {**state, "sources": tuple(state["sources"])}


def _save(path: Path, packed: Packed, *, done: bool) -> None:
    values = asdict(packed)
    write_json(path, {key: values[key] for key in (*_COUNTED, "sources", "runs")} | {"done": done})


def _sync(*files: BinaryIO) -> None:
    for file in files:
        file.flush()
        os.fsync(file.fileno())


def _runs_path(path: Path) -> Path:
    return path.with_suffix(".runs")


def _runs(documents: Sequence[Document], lengths: Sequence[int], known: tuple[str, ...]) -> tuple[tuple[str, ...], Ids]:
    """Stretches of one source each in a batch of documents, int64 [n, 2], and the sources known with theirs."""
    places = {name: place for place, name in enumerate(known)}
    runs: list[list[int]] = []
    for document, length in zip(documents, lengths, strict=True):
        place = places.setdefault(document.source, len(places))
        if runs and runs[-1][0] == place:
            runs[-1][1] += length
        else:
            runs.append([place, length])
    return tuple(places), np.array(runs, np.int64).reshape(-1, 2)


class _Encoder:
    def __init__(self, tokenizer: Any, vocab_size: int) -> None:
        self.backend = tokenizer.backend_tokenizer
        self.backend.no_truncation()
        self.backend.no_padding()
        # A document that spells a control token, say <|im_end|>, is a text about it and must not act as one.
        self.backend.encode_special_tokens = True
        bos = tokenizer.bos_token_id
        begins_with_bos = bos is not None and tokenizer("")["input_ids"][:1] == [bos]
        self.bos: int | None = bos if begins_with_bos else None
        self.before = [bos] if begins_with_bos else []
        self.after = [tokenizer.eos_token_id]
        self.separators = len(self.before) + len(self.after)
        self.vocab_size = vocab_size

    def encode(self, texts: Sequence[str]) -> tuple[Ids, list[int]]:
        """The ids of all texts one after the other, separators included, and how many are of each."""
        pieces = [list(_pieces(text)) for text in texts]
        encoded = iter(
            self.backend.encode_batch_fast([piece for parts in pieces for piece in parts], add_special_tokens=False)
        )
        ids: list[int] = []
        lengths = []
        for parts in pieces:
            start = len(ids)
            ids += self.before
            for _ in parts:
                ids += next(encoded).ids
            ids += self.after
            lengths.append(len(ids) - start)
        array = np.array(ids, np.int64)
        if len(array) and array.max() >= self.vocab_size:
            raise BadInput(
                f"the tokenizer makes id {array.max()}, and the model knows ids below {self.vocab_size}: "
                "the two do not belong together"
            )
        return array, lengths


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _pieces(text: str) -> Iterator[str]:
    """A very long document in parts, cut after a line where there is one: encoding takes memory per token."""
    start = 0
    while len(text) - start > BATCH_CHARACTERS:
        limit = start + BATCH_CHARACTERS
        end = text.rfind("\n", start, limit) + 1 or limit
        yield text[start:end]
        start = end
    yield text[start:] if start else text


class Order(Protocol):
    """Training sequences in the order they are trained on, as the training loop takes them."""

    def batch(self, positions: range) -> Ids:
        """Token ids [len(positions), seq_len + 1] of positions counted through all epochs."""

    def tokens_by_source(self, position: int) -> dict[str, int] | None:
        """Source -> tokens trained on at the positions before; None where sequences are not told apart by source."""


class Sequences:
    """Training sequences of a packed corpus, in an order that position and seed alone decide.

    Sequences are read with pread, not mapped: mapped pages would count as this process's memory until the whole
    corpus was in it.

    Raises:
        BadInput: the corpus has fewer tokens than one sequence.
    """

    def __init__(self, packed: Packed, seq_len_tokens: int, seed: int) -> None:
        self.seq_len, self.seed, self.bos = seq_len_tokens, seed, packed.bos
        self.dtype = token_dtype(packed.vocab_size)
        self.per_epoch = max(packed.tokens - 1, 0) // seq_len_tokens
        if self.per_epoch == 0:
            raise BadInput(
                f"the training split has {packed.tokens} tokens, fewer than one sequence of {seq_len_tokens} + 1",
                where="training.seq_len_tokens",
                hint="add documents, or take shorter sequences",
            )
        self.dropped_tokens = packed.tokens - 1 - self.per_epoch * seq_len_tokens
        self._file = packed.path.open("rb")
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def close(self) -> None:
        self._file.close()

    def batch(self, positions: range) -> Ids:
        """Token ids [len(positions), seq_len + 1] of positions counted through all epochs."""
        size = self.dtype.itemsize
        rows = np.empty((len(positions), self.seq_len + 1), np.int64)
        for row, position in enumerate(positions):
            offset = int(self._index(position)) * self.seq_len * size
            block = os.pread(self._file.fileno(), (self.seq_len + 1) * size, offset)
            rows[row] = np.frombuffer(block, self.dtype)
        if self.bos is not None:
            rows[:, 0] = self.bos
        return rows

    def tokens_by_source(self, position: int) -> dict[str, int] | None:
        return None  # a sequence may hold the end of one source and the beginning of the next

    def _index(self, position: int) -> np.int64:
        epoch, place = divmod(position, self.per_epoch)
        if epoch != self._epoch:
            # Philox takes a key and a counter, so an epoch's order needs no earlier one's.
            generator = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, 0, epoch]))
            self._epoch, self._order = epoch, generator.permutation(self.per_epoch)
        index: np.int64 = self._order[place]
        return index
