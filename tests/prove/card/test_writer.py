"""Messages are whole in both languages; figures are written as readers of each write them; nothing escapes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kiban.kit.text import visible_text
from kiban.prove.card.contents import Estimate
from kiban.prove.card.facts import Fact, Ref
from kiban.prove.card.writer import PLACEHOLDER, Html, Markdown, Writer, escape_markdown, messages

JA, EN = Writer("ja", Html()), Writer("en", Html())


def test_every_message_is_in_both_languages_with_the_same_places() -> None:
    for key, texts in messages().items():
        assert set(texts) == {"ja", "en"}, key
        assert all(text.strip() for text in texts.values()), key
        places = [sorted(PLACEHOLDER.findall(text)) for text in texts.values()]
        assert places[0] == places[1], key
        if not key.startswith(("field.", "value.")):
            assert texts["ja"] != texts["en"], key


def test_every_message_is_used_and_every_used_one_is_there(repo_root: Path) -> None:
    room = repo_root / "src/kiban/prove/card"
    code = "\n".join(path.read_text(encoding="utf-8") for path in (*room.glob("*.py"), *room.glob("templates/*")))
    said = set(re.findall(r'\bt\(\s*"([\w.]+)"[,)]', code)) | set(re.findall(r'_word\("([\w.]+)"', code))
    assert said <= set(messages())
    quoted = set(re.findall(r'"([\w.]+)"', code))
    built = ("field.", "value.", "limit.", "missing.", "energy.", "score.", "split.", "how.", "scores.")
    for key in messages():
        assert key in said | quoted or key.startswith(built), key


@pytest.mark.parametrize(
    ("value", "unit", "japanese", "english"),
    [
        (1_234_567, "tokens", "1,234,567", "1,234,567"),
        (0, "files", "0", "0"),
        (0.000_3, None, "0.0003", "0.0003"),
        (4.0, None, "4", "4"),
        (22_036_000_000_000, "flops", "2.20 × 10¹³", "2.20 × 10¹³"),
        (75.2, "s", "1分15秒", "1 min 15 s"),
        (7_500, "s", "2時間05分", "2 h 05 min"),
        (3.04, "s", "3.0秒", "3.0 s"),
        (7200, "J", "2.00 Wh", "2.00 Wh"),
        (0.3, "fraction", "30.0%", "30.0%"),
        (2.3126, "bits/byte", "2.313", "2.313"),
        (-2.5, "bits/byte difference", "−2.500", "−2.500"),
        (0.0221, "bits/byte difference", "+0.022", "+0.022"),
        (True, None, "はい", "yes"),
        ("estimated", None, "推定", "estimated"),
        ("2026-11-21T20:24:31.123+00:00", "time", "2026-11-21 20:24 UTC", "2026-11-21 20:24 UTC"),
    ],
)
def test_figures_as_readers_write_them(value: float | str, unit: str | None, japanese: str, english: str) -> None:
    fact = Fact(value=value, unit=unit)
    assert (JA.shown(fact), EN.shown(fact)) == (japanese, english)


@pytest.mark.parametrize(
    ("count", "japanese", "english"),
    [
        (9_999, "9,999", "10 k"),
        (5_243_904, "524万", "5.24 M"),
        (270_000_000, "2.7億", "270 M"),
        (7.2e12, "7.2兆", "7.2 T"),
    ],
)
def test_headline_counts(count: float, japanese: str, english: str) -> None:
    fact = Fact(value=count)
    assert japanese in JA.short(fact)
    assert english in EN.short(fact)
    assert f'value="{count!r}"' in JA.short(fact)


def test_a_figure_carries_where_it_is_from() -> None:
    ref = Ref(artifact="ab" * 32, file="manifest.json", pointer="/stats/x")
    assert 'title="abababababab manifest.json/stats/x"' in JA.fact(Fact(value=3, refs=(ref,)))
    assert 'title="sum: abababababab' in JA.fact(Fact(value=3, refs=(ref, ref), operation="sum"))


def test_missing_is_said_with_its_reason() -> None:
    fact = Fact(value=None, missing="not_measured", reason="no <GPU>")
    assert JA.fact(fact) == '<span class="missing">未測定 (no &lt;GPU&gt;)</span>'
    assert Writer("en", Markdown()).fact(fact) == "*not measured (no &lt;GPU&gt;)*"
    gone = Fact(value=None, missing="not_recorded")
    assert "信頼区間なし" in JA.estimate(Estimate(value=Fact(value=1.5), low=gone, high=gone))
    assert JA.estimate(Estimate(value=gone, low=gone, high=gone)) == JA.fact(gone)


TEXT = st.text(st.one_of(st.sampled_from("|\\`*_[]()<>~$#+-=!&;: \n\t1.a漢\x00"), st.characters()), max_size=40)


@given(TEXT)
def test_any_text_in_a_markdown_cell_is_that_text(text: str) -> None:
    line = " ".join(visible_text(text).split())
    rows = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = rows.parse(f"| head |\n| --- |\n| x{escape_markdown(text)}x |\n")
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 2
    children = cells[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == f"x{line}x"


@given(TEXT.filter(str.strip))
@example("1.")
@example("12) x")
@example("# x")
@example("- x")
@example("---")
@example("=")
def test_any_text_in_a_markdown_paragraph_or_list_is_that_text(text: str) -> None:
    line = " ".join(visible_text(text).split())
    if not line:
        return
    for prefix in ("", "- "):
        tokens = MarkdownIt("commonmark", {"html": True}).parse(f"{prefix}{escape_markdown(text)}\n")
        inline = [token for token in tokens if token.type == "inline"]
        assert len(inline) == 1
        assert not [token for token in tokens if token.type.startswith(("heading", "hr", "html", "ordered", "fence"))]
        content = "".join(child.content for child in inline[0].children or [])
        assert content == line
