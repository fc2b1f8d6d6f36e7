"""What proposals of the season are judged by: criteria with anchors in words, and tracks by size."""

from __future__ import annotations

from typing import Any

# key: weight, Japanese, English, the anchors of 1, 3 and 5 in both languages
_CRITERIA = {
    "performance": (
        3.0,
        ("性能と新規性", "Performance and novelty"),
        (
            ("既存モデルに及ばない見込み", "Likely to fall short of existing models"),
            ("同規模の既存モデルと並ぶ見込み", "Likely to match existing models of its size"),
            (
                "同規模で最良となる見込みが根拠とともに示されている",
                "Shown with evidence to become the best of its size",
            ),
        ),
    ),
    "feasibility": (
        2.0,
        ("実現可能性", "Feasibility"),
        (
            ("体制・データ・規模のいずれかが成り立たない", "Team, data or size do not hold together"),
            ("懸念はあるが実行できる", "Can be done, with concerns"),
            ("同等の学習の実績があり、計画に無理がない", "Has done the like before; the plan is sound"),
        ),
    ),
    "impact": (
        2.0,
        ("社会実装", "Use in society"),
        (
            ("利用者が見えない", "No users in sight"),
            ("利用者がいて検証の計画がある", "There are users, and a plan to test with them"),
            ("導入を約束した利用者がおり、費用も見積もられている", "Users have committed, and costs are known"),
        ),
    ),
    "openness": (
        1.0,
        ("公開度", "Openness"),
        (
            ("何も公開しない", "Nothing is published"),
            ("重みか報告の一部を公開する", "Weights or parts of the findings are published"),
            ("重み・コード・知見を誰もが使える形で公開する", "Weights, code and findings are there for all"),
        ),
    ),
}
RUBRIC: list[dict[str, Any]] = [
    {
        "key": key,
        "name_ja": names[0],
        "name_en": names[1],
        "weight": weight,
        "anchors": [
            {"score": score, "text_ja": ja, "text_en": en} for score, (ja, en) in zip((1, 3, 5), words, strict=True)
        ],
    }
    for key, (weight, names, words) in _CRITERIA.items()
]
TRACKS: dict[str, dict[str, Any]] = {
    "automatic": {
        "key": "automatic",
        "name_ja": "小規模（審査なし）",
        "name_en": "Small, without reviews",
        "kind": "automatic",
        "up_to_gpu_hours": 15_000,
    },
    "peer": {
        "key": "peer",
        "name_ja": "中規模（相互審査）",
        "name_en": "Middle, judged by peers",
        "kind": "peer",
        "up_to_gpu_hours": 90_000,
    },
    "panel": {"key": "panel", "name_ja": "審査会", "name_en": "Panel", "kind": "panel"},
}
