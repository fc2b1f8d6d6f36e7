"""Every text in both languages, footnotes, and what the planner says put into Japanese."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from markupsafe import Markup

import kiban.plan.report
from kiban.plan.estimate import CONVENTIONS
from kiban.plan.quantity import Quantity
from kiban.plan.report.words import PLACEHOLDER, Notes, Writer, in_japanese, messages
from kiban.plan.training.constants import Constants
from kiban.plan.training.layout import RECOMPUTE, SCHEDULES
from kiban.plan.training.memory import CATEGORIES
from kiban.plan.training.search import DIMENSIONS
from kiban.plan.training.step import PARTS

FOLDER = Path(kiban.plan.report.__file__).parent
WIDE = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("render.py", "tables.py", "charts.py"))
TEMPLATE = (FOLDER / "templates" / "report.html.jinja").read_text(encoding="utf-8")


def test_every_text_is_in_both_languages_with_the_same_places() -> None:
    for key, by_language in messages().items():
        assert set(by_language) == {"ja", "en"}, key
        assert all(by_language.values()), key
        assert set(PLACEHOLDER.findall(by_language["ja"])) == set(PLACEHOLDER.findall(by_language["en"])), key


def test_no_name_stands_twice_in_the_file() -> None:
    names: list[str] = []
    json.loads(
        (FOLDER / "messages.json").read_text(encoding="utf-8"),
        object_pairs_hook=lambda pairs: names.extend(name for name, _ in pairs if name not in ("ja", "en")),
    )
    assert len(names) == len(set(names))


def test_every_text_is_used_somewhere() -> None:
    """By its whole name, or by the beginning that code completes."""
    code = WIDE + TEMPLATE + (FOLDER / "words.py").read_text(encoding="utf-8")
    code += (FOLDER / "numbers.py").read_text(encoding="utf-8")
    begun = [*re.findall(r'f"([a-z_]+(?:\.[a-z_]+)*\.)\{', code), "chart.", *(f"{each}." for each in DIMENSIONS)]
    listed = set(re.findall(r'"([a-z_]+(?:\.[a-z0-9_-]+)*)"', code))
    unused = [k for k in messages() if k not in listed and not any(k.startswith(each) for each in begun)]
    assert unused == []


@pytest.mark.parametrize(
    "keys",
    [
        [f"constant.{name}" for name in Constants.model_fields],
        [f"memory.{name}" for name in CATEGORIES],
        [f"step.part.{name}" for name in PARTS] + [f"step.part.{name}.means" for name in PARTS],
        [f"convention.{name}" for name in CONVENTIONS] + [f"convention.{name}.means" for name in CONVENTIONS],
        [f"word.{name}" for name in DIMENSIONS],
        [f"recompute.{name}" for name in RECOMPUTE] + [f"layout.recompute.{name}" for name in RECOMPUTE],
        [f"schedule.{name}" for name in SCHEDULES] + [f"layout.schedule.{name}" for name in SCHEDULES],
    ],
)
def test_whatever_the_planner_may_name_has_words(keys: list[str]) -> None:
    assert [key for key in keys if key not in messages()] == []


def test_footnotes_are_numbered_once_and_drawn_together() -> None:
    notes = Notes()
    w = Writer("en", notes)
    assert notes.numbers(["a", "b", "a", "c"]) == [1, 2, 3]
    assert ">1–3</a>" in w.cite("c", "a", "b")
    assert notes.numbers(["d", "e"]) == [4, 5]
    shown = re.findall(r"#note-en-(\d+)\">([^<]*)<", w.cite("a", "e"))
    assert shown == [("1", "1"), ("5", "5")]
    assert Writer("ja", notes).cite() == Markup()
    assert [number for number, _ in w.footnotes()] == [1, 2, 3, 4, 5]


def test_a_band_is_told_as_people_write_it() -> None:
    gpu_hours = Quantity(4_010_000, "GPU-hours", ("s",), 3_210_000, 5_690_000)
    yen = Quantity(2_540_000_000, "JPY", ("s",), 1_890_000_000, 12_600_000_000)
    ja, en = Writer("ja", Notes()), Writer("en", Notes())
    assert Markup(en.figure(gpu_hours)).striptags() == "4.0 (3.2–5.7) million GPU-hours"
    assert Markup(ja.figure(gpu_hours)).striptags() == "約400万GPU時間（320万〜570万GPU時間）"
    assert Markup(ja.figure(yen)).striptags() == "約25億円（19億〜130億円）"
    assert Markup(en.figure(yen)).striptags() == "2.5 (1.9–13) billion yen"
    assert 'value="4010000"' in en.figure(gpu_hours)
    days = Quantity(91.4 * 86400, "s", (), 74 * 86400, 112 * 86400)
    assert Markup(ja.figure(days)).striptags() == "約91日（74〜110日）"
    assert Markup(en.figure(Quantity(125, "s", (), 100, 150))).striptags() == "2.1 (1.7–2.5) minutes"
    co2 = Quantity(2_560_000, "kg CO2", (), 2e6, 3.6e6)
    assert Markup(en.figure(co2)).striptags() == "2,600 (2,000–3,600) t"
    assert Markup(ja.figure(Quantity(0.42, "kg CO2", (), 0.3, 0.6))).striptags() == "約0.42 kg（0.30〜0.60 kg）"


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        ("the plan", "計画に書かれた値"),
        (
            "the fastest per token of 78,494 layouts that fit, of 224,778 examined",
            "調べた224,778通りのうち、メモリに収まる78,494通りの中で1トークンあたり最も速いもの",
        ),
        (
            "626 yen per GPU-hour (502 to 1,724): median and middle 80% of 11 published prices, "
            "USD at 157 yen of 2026-03-01",
            "GPU 1時間あたり626円（502〜1,724円）: 公表価格11件の中央値と、中央の80%。1 USD = 157円（2026-03-01）",
        ),
        ("NVIDIA H100 Tensor Core GPU data sheet, NVIDIA, 2023", None),
        ("<b>the plan</b>", None),
    ],
)
def test_statements_in_japanese(english: str, japanese: str | None) -> None:
    assert in_japanese(english) == japanese
