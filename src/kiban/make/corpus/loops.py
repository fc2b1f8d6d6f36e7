"""Compile every loop that some recipe's corpus needs, where that was not done on this machine: `make loops`.

A corpus that takes every step is made of a few texts; what Numba compiles for it is kept on disk.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from kiban.make.corpus.quality.profile import compile_loops
from kiban.make.corpus.stage import run
from kiban.make.recipe import Recipe
from kiban.make.stage import StageContext

MENU = "トップ | ＴＯＰ | 製品 | お問い合わせ\n"
WORDS = (
    "弁",
    "蓋",
    "軸",
    "管",
    "圧力",
    "水位",
    "温度",
    "記録",
    "交換",
    "点検",
    "部品",
    "工具",
    "油",
    "継手",
    "電源",
    "表示",
)


def _prose(seed: int, sentences: int) -> str:
    words = [[WORDS[factor * seed % 16] for factor in (place, place + 1, place * place)] for place in range(sentences)]
    return "".join(f"{one}の{other}を{place}回ずつ{third}する。" for place, (one, other, third) in enumerate(words))


# A menu on every page, two that are nearly the same, and a passage that stands in others too.
TEXTS = [
    MENU + _prose(3, 60),
    MENU + _prose(3, 60) + "以上。",
    *(MENU + _prose(7, 40) + _prose(seed, 60) for seed in (11, 13, 17)),
]


def main() -> None:
    compile_loops()  # of quality profiles that the recipe does not have
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("texts", "files", "scratch"):
            (folder / part).mkdir()
        for number, text in enumerate(TEXTS):
            (folder / "texts" / f"{number}.txt").write_text(text, encoding="utf-8")
        (folder / "task.jsonl").write_text(json.dumps({"question": _prose(5, 9)}), encoding="utf-8")
        source = {"name": "texts", "path": "texts", "owner": "-", "licence": "MIT", "uses": ("train",)}
        corpus: dict[str, Any] = {
            "sources": (source,),
            "filters": {"min_characters": 1},
            "repair": {"variants": "unify"},
            "quality": {"profile": "kiban", "on_rephrase": "keep"},
            "protected": ({"name": "task", "path": "task.jsonl", "fields": ("question",)},),
            "privacy": {},
            "duplicates": {"passages": {}, "boilerplate": {}},
        }
        recipe = Recipe.model_validate(
            {"name": "loops", "corpus": corpus, "model": {"shape": {"depth": 1}}, "training": {"tokens": 1}}
        )
        run(StageContext("corpus", recipe, folder, {}, folder / "files", folder / "scratch", 1, workers=1))


if __name__ == "__main__":
    main()
