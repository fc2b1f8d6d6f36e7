"""Learning a byte-level vocabulary from text.

BPE as of Sennrich et al. (2016) on bytes as of Radford et al. (2019), or a Unigram language model (Kudo, 2018).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from kiban.make.recipe import TokenizerConfig

EOS, IM_START, IM_END, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"
# Their ids are their positions. The reserved ones are for whoever tunes the model later.
SPECIAL_TOKENS = (EOS, IM_START, IM_END, PAD, "<|reserved_0|>", "<|reserved_1|>")

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
# One digit or other number sign a piece, runs of punctuation, line breaks, spaces.
_NOT_LETTERS = r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

# How text is cut before merging: the pattern of Qwen2 (and Qwen3), which llama.cpp knows as "qwen2".
PATTERN = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{_NOT_LETTERS}"
PATTERN_NAME = "qwen2"
# How text is cut while learning: finer, letters end after a run of hiragana (about a bunsetsu), so that no token
# joins a particle to the next word and the pieces, which a trainer holds in memory, repeat. What is learned so is
# used with PATTERN, whose pieces are unions of these.
LEARNING_PATTERN = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?"
    rf"(?:[^\P{{L}}\p{{Hiragana}}]{{1,16}}\p{{Hiragana}}{{0,12}}|\p{{Hiragana}}{{1,12}})|{_NOT_LETTERS}"
)
MAX_TOKEN_BYTES = 48


def train(texts: Iterable[str], config: TokenizerConfig, scratch: Path) -> Tokenizer:
    """Learn a tokenizer from `texts`, read once; the same texts in the same order give the same bytes.

    Every one of the 256 bytes is a token, so any text can be written. Fewer tokens than `config.vocab_size` come
    out when the texts have no more to merge.
    """
    if config.algorithm == "bpe":
        tokenizer = _train_bpe(texts, config.vocab_size, LEARNING_PATTERN)
    else:
        tokenizer = _train_unigram(texts, config.vocab_size, scratch)
    tokenizer.pre_tokenizer = _pre_tokenizer(PATTERN)
    return tokenizer


def train_reference(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE as GPT-2 learned its own, pattern and all; the yardstick where no published one is there."""
    return _train_bpe(texts, vocab_size, pattern=None)


def _pre_tokenizer(pattern: str | None) -> pre_tokenizers.PreTokenizer:
    """Cut by `pattern` (None: GPT-2's), then spell every byte as one letter."""
    if pattern is None:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _alphabet() -> list[str]:
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _train_bpe(texts: Iterable[str], vocab_size: int, pattern: str | None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _pre_tokenizer(pattern)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=_alphabet(),
        max_token_length=MAX_TOKEN_BYTES,
        show_progress=False,
    )
    _interruptible(lambda: tokenizer.train_from_iterator(iter(texts), trainer))
    return tokenizer


def _train_unigram(texts: Iterable[str], vocab_size: int, scratch: Path) -> Tokenizer:
    """SentencePiece learns the pieces and their log-probabilities on text spelled in byte letters.

    `tokenizers`' own Unigram trainer gives other scores on every run. SentencePiece's byte fallback is not used:
    there a text that spells `<0x41>` comes back as `A`.
    """
    import sentencepiece

    spell = _pre_tokenizer(LEARNING_PATTERN)
    pieces: Counter[str] = Counter()
    for text in texts:
        pieces.update(piece for piece, _ in spell.pre_tokenize_str(text))
    table, prefix = scratch / "pieces.tsv", scratch / "unigram"
    if not pieces:
        return Tokenizer(models.Unigram())
    with table.open("w", encoding="utf-8") as file:
        file.writelines(f"{piece}\t{count}\n" for piece, count in sorted(pieces.items()))
    del pieces
    letters = _alphabet()
    _interruptible(
        lambda: sentencepiece.SentencePieceTrainer.train(
            input=str(table),
            input_format="tsv",
            model_prefix=str(prefix),
            model_type="unigram",
            vocab_size=vocab_size - len(SPECIAL_TOKENS) + 1,  # one of them is its unknown token, dropped below
            hard_vocab_limit=False,
            character_coverage=1.0,
            required_chars="".join(letters),
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_whitespace=False,
            split_by_number=False,
            split_by_unicode_script=False,
            max_sentencepiece_length=MAX_TOKEN_BYTES,
            num_threads=2,  # fixed: sums of floats depend on how the work is cut
            bos_id=-1,
            eos_id=-1,
            minloglevel=2,
        )
    )
    learned = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    scored = [(learned.id_to_piece(index), learned.get_score(index)) for index in range(1, learned.vocab_size())]
    lowest = min(score for _, score in scored) - 10
    missing = sorted(set(letters) - {piece for piece, _ in scored})
    # A byte the texts never have must not push the vocabulary past its size: the least likely pieces give way.
    keep = vocab_size - len(SPECIAL_TOKENS) - len(missing)
    if len(scored) > keep:
        byte_letters = set(letters)
        spare = sorted((score, piece) for piece, score in scored if piece not in byte_letters)
        gone = {piece for _, piece in spare[: len(scored) - keep]}
        scored = [(piece, score) for piece, score in scored if piece not in gone]
    vocabulary = [(token, 0.0) for token in SPECIAL_TOKENS] + scored + [(letter, lowest) for letter in missing]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=None, byte_fallback=False))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def _interruptible(work: Callable[[], object]) -> None:
    """Run native code that answers no signal in a thread, so that Ctrl-C and SIGTERM end the stage at once."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
    if failure:
        raise failure[0]
