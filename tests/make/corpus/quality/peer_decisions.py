"""Run in an environment with the peers: texts on stdin (JSON array), where ours and theirs disagree on stdout.

Ours runs here too, in NumPy, since the rules that need a word tokenizer need the peers' packages.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kiban.make.corpus.letters import letters
from kiban.make.corpus.quality.config import QualityConfig
from kiban.make.corpus.quality.profile import Profile, load_profile


def main() -> None:
    texts = json.load(sys.stdin)
    texts += with_words(texts)
    scratch = Path(sys.argv[1])
    found = [*against_hojichar(texts), *against_llm_jp(texts, scratch), *against_datatrove(texts)]
    json.dump({"compared": compared, "disagreements": found}, sys.stdout, ensure_ascii=False)


def with_words(texts: list[str]) -> list[str]:
    """Some of the texts with words of HojiChar's lists put in, so that they touch each other and katakana."""
    import hojichar

    rng = random.Random(3)
    words = {file.stem: file.read_text().split("\n") for file in Path(hojichar.__path__[0], "dict").glob("*.txt")}
    made = []
    for name in sorted(words):
        for _ in range(20):
            text = rng.choice(texts)[:400]
            for _ in range(rng.choice((1, 3, 4, 5, 12, 20))):
                at = rng.randrange(len(text) + 1)
                around = rng.choice(
                    (("", ""), (" ", " "), (" ", "."), ("ア", ""), ("", "ー"), ("。", "、"), ("\n", "\n"))
                )
                word = rng.choice(words[name]) or "x"
                word = rng.choice((word, word, word.upper(), word.replace("s", "ſ")))
                text = text[:at] + around[0] + word + around[1] + text[at:]
            made.append(text)
    return made


compared: dict[str, list[int]] = {}  # rule -> how many texts pass and fail it


def count(rule: str, failed: bool) -> None:
    compared.setdefault(rule, [0, 0])[failed] += 1


def against_hojichar(texts: list[str]) -> list[Any]:
    from hojichar import Document
    from hojichar.filters import document_filters as filters

    theirs = {
        "kana_at_start": filters.AcceptJapanese(),
        "kuten_share": filters.DiscardRareKuten(),
        "short_lines": filters.DiscardTooShortLines(),
        "character_run": filters.SingleCharacterRepetitionFilter(),
        "ellipsis_lines": filters.DiscardTooManyEndingEllipsis(),
        "bulletin_board": filters.DiscardBBSComments(),
        "advertisement": filters.DiscardAds(),
        "adult": filters.DiscardAdultContentJa(),
        "discrimination": filters.DiscardDiscriminationContentJa(),
        "violence": filters.DiscardViolenceContentJa(),
        "adult_english": filters.DiscardAdultContentEn(),
        "special_tokens": filters.DiscardTooManySpecialToken(),
        "character_repetition": filters.CharRepetitionRatioFilter(),
        "nouns": filters.DiscardTooManyNouns(),
        "word_repetition": filters.WordRepetitionRatioFilter(),
    }
    profile = load_profile(QualityConfig(profile="hojichar"), Path())
    assert {rule.name for rule in profile.rules} == set(theirs)
    for text, ours in zip(texts, failed_rules(profile, texts), strict=True):
        for rule, peer in theirs.items():
            rejected = peer.apply(Document(text)).is_rejected
            count(f"hojichar.{rule}", rejected)
            if rejected != (rule in ours):
                yield ["hojichar", rule, text[:80], rejected]
    pattern = theirs["bulletin_board"].keyword_pat
    for text in texts:
        value = profile.explain(text).statistics["bulletin_board_hits"]
        if value != len(pattern.findall(text)):
            yield ["hojichar", "bulletin_board_hits", text[:80], value]


def against_llm_jp(texts: list[str], scratch: Path) -> list[Any]:
    """LLM-jp's filters are HojiChar's, with matches counted; its lists are not published as a package."""
    import hojichar
    from hojichar import Document
    from hojichar.filters import document_filters as filters

    for name in ("adult", "discrimination", "violence"):
        words = (Path(hojichar.__path__[0]) / "dict" / f"{name}_keywords_ja.txt").read_text()
        (scratch / f"ja_{name}_keywords.txt").write_text(words)

    def counted(name: str) -> Callable[[str], bool]:
        pattern = filters.NgWordsFilterJa(scratch / f"ja_{name}_keywords.txt", ignore_confused=True).keyword_pat
        return lambda text: len(pattern.findall(text)) > 3

    kuten, ads = filters.DiscardRareKuten(250), filters.DiscardAds(max_allowed_num=10)
    theirs: dict[str, Callable[[str], bool]] = {
        "kuten_share": lambda text: kuten.apply(Document(text)).is_rejected,
        "advertisement": lambda text: ads.apply(Document(text)).is_rejected,
        **{name: counted(name) for name in ("adult", "discrimination", "violence")},
    }
    profile = load_profile(QualityConfig(profile="llm-jp", word_lists=str(scratch)), Path())
    for text, ours in zip(texts, failed_rules(profile, texts), strict=True):
        for rule, peer in theirs.items():
            rejected = peer(text)
            count(f"llm-jp.{rule}", rejected)
            if rejected != (rule in ours):
                yield ["llm-jp", rule, text[:80], rejected]


# datatrove's name of a reason -> ours
REASONS = {
    "dup_line_frac": "duplicate_lines",
    "line_punct_ratio": "line_punctuation",
    "empty": "line_punctuation",
    "char_dup_ratio": "duplicate_line_letters",
    "list_ratio": "new_lines",
    "gopher_short_doc": "words_min",
    "gopher_long_doc": "words_max",
    "gopher_below_avg_threshold": "mean_word_min",
    "gopher_above_avg_threshold": "mean_word_max",
    "gopher_too_many_hashes": "hashes",
    "gopher_too_many_ellipsis": "ellipses",
    "gopher_too_many_bullets": "bullet_lines",
    "gopher_too_many_end_ellipsis": "ellipsis_lines",
    "gopher_below_alpha_threshold": "alphabetic_words",
    "gopher_enough_stop_words": "stop_words",
    **{f"top_{n}_gram": f"top_{n}gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"duplicate_{n}gram" for n in range(5, 11)},
}


def against_datatrove(texts: list[str]) -> list[Any]:
    from datatrove.data import Document
    from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter

    language = "jpn_Jpan"
    theirs = [
        GopherRepetitionFilter(
            language=language,
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            dup_line_frac=0.328,
            top_n_grams=((2, 0.239), (3, 0.196), (4, 0.172)),
            dup_n_grams=((5, 0.243), (6, 0.225), (7, 0.207), (8, 0.19), (9, 0.175), (10, 0.159)),
        ),
        FineWebQualityFilter(
            language=language, short_line_thr=999, char_duplicates_ratio=0.1, line_punct_thr=0.096, new_line_ratio=0.13
        ),
        GopherQualityFilter(
            language=language,
            max_avg_word_length=6,
            min_avg_word_length=1,
            stop_words=list("のにをはたてがとで年し・月れさ"),
            max_non_alpha_words_ratio=0.759,
            min_stop_words=2,
        ),
    ]
    texts = [text for text in texts if text.strip()]  # it divides by the number of words
    profile = load_profile(QualityConfig(profile="fineweb2-ja"), Path())
    verdicts = profile.judge(texts, letters(texts))
    for text, ours, verdict in zip(texts, failed_rules(profile, texts), verdicts, strict=True):
        results = [each.filter(Document(text=text, id="")) for each in theirs]
        reasons = {REASONS[result[1]] for result in results if result is not True}
        for rule in profile.rules:
            if rule.name in reasons or not ours:
                count(f"fineweb2-ja.{rule.name}", rule.name in reasons)
        if not reasons <= ours or bool(reasons) != bool(ours) or bool(ours) != (verdict.decision == "drop"):
            yield ["fineweb2-ja", sorted(reasons), text[:80], sorted(ours)]


def failed_rules(profile: Profile, texts: list[str]) -> list[set[str]]:
    return [{check.rule for check in profile.explain(text).checks if check.failed} for text in texts]


if __name__ == "__main__":
    main()
