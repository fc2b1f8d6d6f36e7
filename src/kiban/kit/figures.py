"""The one figure that says most about an artifact, and counts as Japanese and English readers write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from kiban.kit.manifest import Manifest
from kiban.kit.units import format_count

Language = Literal["ja", "en"]

STAGE_WORDS: Mapping[str, Mapping[Language, str]] = {
    "source": {"ja": "資料", "en": "source"},
    "task": {"ja": "評価課題", "en": "task"},
    "base": {"ja": "元のモデル", "en": "base"},
    "corpus": {"ja": "コーパス", "en": "corpus"},
    "tokenizer": {"ja": "トークナイザー", "en": "tokenizer"},
    "model": {"ja": "モデル", "en": "model"},
    "evaluation": {"ja": "評価", "en": "evaluation"},
    "card": {"ja": "モデルカード", "en": "card"},
}


def stage_word(stage: str, language: Language) -> str:
    """A stage's or input's name in `language`; one that kiban does not know stays as it is."""
    return STAGE_WORDS[stage][language] if stage in STAGE_WORDS else stage


def short_count(count: float, language: Language) -> str:
    """1_234_567 -> '1.23 M' or '123万': three significant digits, in the reader's own large units."""
    if language == "en":
        return format_count(count)
    for limit, unit in ((1e12, "兆"), (1e8, "億"), (1e4, "万")):
        if abs(count) >= limit:
            scaled = count / limit
            return f"{scaled:,.0f}{unit}" if abs(scaled) >= 100 else f"{scaled:.3g}{unit}"
    return f"{count:,g}"


def headline(manifest: Manifest, language: Language = "en") -> str | None:
    """The one figure to show beside an artifact, read from its stats; None where they do not hold it."""
    say = _HEADLINES.get(manifest.stage) or _HEADLINES.get(manifest.kind)
    return say(manifest.stats, language) if say else None


def look_up(tree: Any, *keys: str) -> Any:
    """The value at nested keys of JSON objects, or None."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _corpus(stats: Mapping[str, Any], language: Language) -> str | None:
    characters = look_up(stats, "train", "characters")
    if characters is None:
        return None
    return f"{short_count(characters, language)}{'文字' if language == 'ja' else ' characters'}"


def _tokenizer(stats: Mapping[str, Any], language: Language) -> str | None:
    size = look_up(stats, "vocab_size")
    return None if size is None else f"{'語彙' if language == 'ja' else 'vocabulary'} {size:,}"


def _model(stats: Mapping[str, Any], language: Language) -> str | None:
    parameters = look_up(stats, "parameters")
    total = parameters if isinstance(parameters, int) else look_up(parameters, "total")
    if total is None:
        return None
    return f"{short_count(total, language)}{'パラメータ' if language == 'ja' else ' parameters'}"


def _evaluation(stats: Mapping[str, Any], language: Language) -> str | None:
    value = look_up(stats, "bits_per_byte")
    if isinstance(value, Mapping):
        value = value.get("value")
    if value is None:
        return None
    return f"{value:.3f} {'ビット/バイト' if language == 'ja' else 'bits/byte'}"


_HEADLINES: Mapping[str, Callable[[Mapping[str, Any], Language], str | None]] = {
    "corpus": _corpus,
    "tokenizer": _tokenizer,
    "model": _model,
    "evaluation": _evaluation,
}
