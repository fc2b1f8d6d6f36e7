from __future__ import annotations

import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.make.corpus.letters import letters
from kiban.make.corpus.repair import line_breaks, punctuation, variants
from kiban.make.corpus.repair.config import RepairConfig
from kiban.make.corpus.repair.repair import Repaired
from kiban.make.corpus.repair.repair import repair as repair_all

CONFIG = RepairConfig()
PARAGRAPH = (
    "海から上がる霧は朝のうちに港を包み、昼までには消えてしまうのが常であった。"
    "船を出すかどうかは、霧が薄くなるのを待って決めることになっている。"
    "この町の人はみな、それを当たり前のこととして暮らしてきたのだと、年寄りは言う。"
)


def repair(text: str, config: RepairConfig) -> Repaired:
    return repair_all([text], config)[0]


def wrapped(text: str, columns: int) -> str:
    """Cut at a width; punctuation that would begin a line hangs."""
    lines = [""]
    for character in text:
        width = sum(1 if ord(each) < 0x2010 else 2 for each in lines[-1] + character)
        if width > columns and character not in "、。」":
            lines.append("")
        lines[-1] += character
    return "\n".join(lines)


MAIL = "\n\n".join([PARAGRAPH] * 3)


@pytest.mark.parametrize("columns", [50, 60, 70, 76])
def test_wrapped_paragraphs_become_lines_again(columns: int) -> None:
    damaged = "\n\n".join(wrapped(PARAGRAPH, columns) for _ in range(4))
    text, counts = repair(damaged, CONFIG)
    joined, meant = text.split("\n\n"), damaged.split("\n\n")
    for after, before in zip(joined, meant, strict=True):
        # A line that happens to end with a sentence may stay a line.
        assert after.replace("。\n", "。") == PARAGRAPH
        assert before.replace("\n", "") == PARAGRAPH
    assert counts["line_break"] >= 8


def test_lines_are_as_wide_as_their_characters_not_as_many() -> None:
    # From one narrow character in six to one in two: lines of 60 columns that differ much in length.
    paragraphs = ["".join(PARAGRAPH[i : i + wide] + "x" for i in range(0, 100, wide)) for wide in (5, 4, 3, 2, 1)]
    damaged = "\n\n".join(wrapped(paragraph, 60) for paragraph in paragraphs)
    text, _ = repair(damaged, CONFIG)
    assert text.replace("。\n", "。").split("\n\n") == paragraphs


def test_breaks_that_were_meant_stay() -> None:
    body = "\n\n".join(wrapped(PARAGRAPH, 60) for _ in range(5))
    items = "\n".join("・" + PARAGRAPH[i : i + 29] for i in range(0, 90, 29))
    dialogue = "「" + PARAGRAPH[:28] + "」\n「" + PARAGRAPH[28:56] + "」"
    table = "\n".join(f"{PARAGRAPH[i : i + 14]}  {PARAGRAPH[i + 40 : i + 54]}" for i in range(4))
    code = "\n".join(["    result = compute_the_result(argument, another_argument, x)"] * 4)
    heading = "第一章 " + PARAGRAPH[:20]
    for kept in (items, dialogue, table, code, heading):
        text, counts = repair(f"{body}\n\n{kept}\n\n{body}", CONFIG)
        assert f"\n{kept}\n" in text
        assert counts["line_break"] > 10


@pytest.mark.parametrize(
    "text",
    [
        MAIL,
        "\n".join(["柿くへば鐘が鳴るなり法隆寺", "古池や蛙飛びこむ水の音", "春の海ひねもすのたりのたりかな"] * 9),
        "\n".join([PARAGRAPH[:29] + "。"] * 30),
        "\n".join(f"{PARAGRAPH[i : i + 12]}" for i in range(60)),
        "\n".join(["int main(int argc, char **argv) { return compute(argc, argv); }"] * 20),
    ],
)
def test_text_that_was_not_wrapped_stays(text: str) -> None:
    assert repair(text, CONFIG) == (text, {})


def test_quoted_mail_loses_its_marks_only_inside_a_sentence() -> None:
    quoted = "\n".join("> " + line for line in wrapped(PARAGRAPH, 60).split("\n"))
    text, _ = repair("\n\n".join([quoted] * 5), CONFIG)
    assert text.split("\n\n")[0].replace("。\n> ", "。") == "> " + PARAGRAPH


def test_a_small_width_is_left_unless_asked_for() -> None:
    damaged = "\n\n".join(wrapped(PARAGRAPH, 30) for _ in range(4))
    assert repair(damaged, CONFIG) == (damaged, {})
    assert repair(damaged, RepairConfig(min_wrap_columns=24))[1]["line_break"] > 8


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("赤い花、白い花、青い花,黄色い花。", "赤い花、白い花、青い花、黄色い花。"),
        ("庭に赤い花,白い花,青い花、黄色い花。", "庭に赤い花,白い花,青い花,黄色い花。"),
        ("これはある。それもある。あれもある.", "これはある。それもある。あれもある。"),
        ("これはある.\nそれもある.\nあれもある。", "これはある.\nそれもある.\nあれもある."),
        ("値は1,000円、率は3.14、版は2.0、名はa,b。", "値は1,000円、率は3.14、版は2.0、名はa,b。"),
        ("ア.これ。\n一.それ。\nあれ。", "ア.これ。\n一.それ。\nあれ。"),
        ("書式は表名.列名で、数は多い。しかし、例外もある。", "書式は表名.列名で、数は多い。しかし、例外もある。"),
        ("赤い花、白い花,青い花", "赤い花、白い花,青い花"),
    ],
)
def test_punctuation_follows_the_majority(text: str, after: str) -> None:
    assert repair(text, CONFIG)[0] == after
    assert repair(text, RepairConfig(punctuation="keep"))[0] == text


def test_variants_stay_unless_they_are_to_be_unified() -> None:
    text = "髙﨑の國語學\u3000神\ufa19 葛\U000e0100 國\U000e0100"
    assert repair(text, CONFIG) == (text, {})
    unified, counts = repair(text, RepairConfig(variants="unify"))
    assert unified == "高崎の国語学\u3000神神 葛\U000e0100 國\U000e0100"
    assert counts == {"variant": 5}


def test_no_variant_becomes_one_and_each_is_a_kanji() -> None:
    table = variants.variants()
    assert not set(table) & set(table.values())
    assert all(unicodedata.name(new).startswith("CJK UNIFIED") for new in table.values())
    assert len(table) > 300


pieces = st.sampled_from(
    [
        "港の霧",
        "は",
        "、",
        "。",
        ",",
        ".",
        "\n",
        "\n\n",
        " ",
        "> ",
        "・",
        "「",
        "」",
        "abc",
        "12",
        PARAGRAPH[:30],
        PARAGRAPH,
        "國",
    ]
)
texts = st.lists(pieces, max_size=60).map("".join)


@settings(deadline=None, max_examples=200)
@given(texts, st.integers(30, 80))
def test_repairing_again_changes_nothing(text: str, columns: int) -> None:
    config = RepairConfig(variants="unify", min_wrap_columns=30)
    for given_text in (text, "\n".join(wrapped(line, columns) for line in text.split("\n"))):
        once, _ = repair(given_text, config)
        assert repair(once, config) == (once, {})


@settings(deadline=None)
@given(st.lists(st.tuples(texts, st.integers(40, 80)), max_size=5))
def test_texts_are_repaired_each_by_itself(parts: list[tuple[str, int]]) -> None:
    many = ["\n".join(wrapped(line, columns) for line in text.split("\n")) for text, columns in parts]
    many = [part for text in many for part in (text, "", f"{MAIL}\n{text}")]
    for config in (CONFIG, RepairConfig(variants="unify", punctuation="keep")):
        assert repair_all(many, config) == [repair(text, config) for text in many]


lines = st.tuples(
    st.sampled_from(["", "", "", "> ", ">", "| > ", "　", " ", "\t", "word ", "(x), ", "、", "」。", ")", "\ufdd0"]),
    st.integers(17, 23),
    st.sampled_from(["", "", "", "。", "a", "」", " x", "、", ".", "ｱ", "…", "\U0001f600"]),
    st.sampled_from(["\n"] * 9 + ["\n\n", "\n \n", ""]),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(lines, max_size=30), max_size=4), st.lists(texts, max_size=3), st.integers(20, 60))
def test_compiled_loops_and_their_fallbacks_agree(
    paragraphs: list[list[tuple[str, int, str, str]]], others: list[str], least: int
) -> None:
    many = ["".join(head + "霧" * size + tail + end for head, size, tail, end in rows) for rows in paragraphs]
    # Lines of one width, so that some texts look wrapped.
    many += [text + ("霧" * 20 + "\n") * 15 + "> \n" + text for text in many]
    all_texts = letters([*many, *others])
    codes, starts, roles = all_texts.codes, all_texts.starts, line_breaks._roles()
    found = line_breaks.full_lines.compiled(codes, starts, roles, least).tolist()
    assert found == line_breaks.full_lines.fallback(codes, starts, roles, least).tolist()
    assert all(codes[at] == 10 for at in found)
    found = punctuation.exceptions.compiled(codes, starts).tolist()
    assert found == punctuation.exceptions.fallback(codes, starts).tolist()


def test_japanese_takes_two_columns_and_half_width_forms_one() -> None:
    codes = [code for code in range(0x2E80, 0x30000) if unicodedata.east_asian_width(chr(code)) in "WF"]
    assert (line_breaks._columns(np.array(codes, np.uint32)) == 2).all()
    narrow = [*range(0x20, 0x7F), *range(0xFF61, 0xFFA0)]
    assert (line_breaks._columns(np.array(narrow, np.uint32)) == 1).all()


@pytest.mark.parametrize(
    "unit", ["あ\n", "　", "あ," * 3 + "\n", "> " * 30 + "\n", "1" * 60 + "\n", "あ" * 30 + "\n", "國", "、"]
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (300_000 // len(unit))
    started = time.process_time()
    repair(text, RepairConfig(variants="unify"))
    assert time.process_time() - started < 20
