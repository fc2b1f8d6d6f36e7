from __future__ import annotations

import pickle
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.make.corpus.duplicates import protected
from kiban.make.corpus.duplicates.protected import Contamination, Protected, ProtectedItem
from kiban.make.corpus.letters import letters

from .conftest import document, sentence

QUESTION = "日本で一番高い山の標高は何メートルか、次の五つから選びなさい。"


def look(items: list[str], texts: list[str], characters: int = 20, share: float = 0.5) -> list[list[Contamination]]:
    made = Protected([ProtectedItem("task", str(number), text) for number, text in enumerate(items)], characters)
    return made.contaminated(letters(texts), share)


def shares(item: str, text: str, characters: int) -> float:
    """The share by the words of the docstring."""
    own, other = ("".join(one.lower() for one in each if one.isalnum()) for each in (item, text))
    width = min(characters, len(own))
    held = {
        at + offset for at in range(len(own) - width + 1) if own[at : at + width] in other for offset in range(width)
    }
    return len(held) / len(own) if own else 0.0


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([12, 15, 20]))
def test_shares_are_those_of_comparing_strings(source: random.Random, characters: int) -> None:
    letters_ = [chr(source.randrange(0x3041, 0x3096)) for _ in range(400)]
    whole = "".join(letters_)
    items = [whole[at : at + source.randrange(12, 60)] for at in (0, 50, 120, 200, 300)]
    parts = [whole[at : at + source.randrange(5, 80)] for at in source.sample(range(320), 4)]
    text = "、".join([*parts, document(source, 2)])
    found = look(items, [text], characters, 1e-9)[0]
    expected = {str(number): shares(item, text, characters) for number, item in enumerate(items)}
    assert {one.item: one.share for one in found} == {item: share for item, share in expected.items() if share}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text("あいうaA 、", max_size=30), max_size=4),
    st.lists(st.text("あいうaA 、", max_size=30), max_size=4),
    st.integers(3, 14),
)
def test_both_forms_agree(items: list[str], texts: list[str], characters: int) -> None:
    made = Protected([ProtectedItem("task", str(number), text) for number, text in enumerate(items)], characters)
    with pytest.MonkeyPatch.context() as patch:
        found = made.contaminated(letters(texts), 0.01)
        patch.setattr(protected, "_matches", protected._matches.fallback)
        assert made.contaminated(letters(texts), 0.01) == found


def test_reformatting_hides_nothing_and_the_place_is_told() -> None:
    text = "前置き。\n日本で 一番高い山の\n標高は「何メートル」か? 次の五つから、選びなさい…\n後書き。"
    (found,) = look([QUESTION], [text])[0]
    assert found == Contamination("task", "0", text.index("日本"), text.index("…"), 1.0)


def test_a_part_of_an_item_is_told_with_its_share() -> None:
    item = "あ" + QUESTION + "富士山は標高三七七六メートルであり日本一の高さを誇る山として知られている。"
    texts = ["無関係な文章である。" * 5, QUESTION]
    assert [len(each) for each in look([item], texts, share=0.4)] == [0, 1]
    assert look([item], texts, share=0.6) == [[], []]


def test_short_items_must_be_held_whole() -> None:
    made = Protected(
        [ProtectedItem("t", "short", "この国の首都はどこにありますか?"), ProtectedItem("t", "tiny", "はい。")], 20
    )
    assert made.unchecked == (1,)
    assert not Protected([ProtectedItem("t", "fits", "日本の首都はどこにありますか?")], 20).unchecked
    found = look(
        ["日本の首都はどこにありますか?"], ["日本の首都はどこにあります", "問 日本の首都は、どこにありますか。"]
    )
    assert [len(each) for each in found] == [0, 1]


def test_a_form_of_question_is_no_evidence_and_no_cost() -> None:
    form = "次の文章を読んで最も適切な選択肢を一つ選んでください。"
    source = random.Random(4)
    items = [form + sentence(source) + sentence(source) for _ in range(300)]
    made = Protected([ProtectedItem("t", str(number), text) for number, text in enumerate(items)], 20)
    assert not made.unchecked
    assert made.contaminated(letters([form * 3]), 0.1) == [[]]
    assert [one.item for one in made.contaminated(letters([items[7]]), 0.9)[0]] == ["7"]


def test_no_items_and_no_documents() -> None:
    assert look([], ["文章"]) == [[]]
    assert look([QUESTION], []) == []
    assert look([QUESTION], ["", "短い"]) == [[], []]


def test_it_can_be_sent_to_workers() -> None:
    made = pickle.loads(pickle.dumps(Protected([ProtectedItem("t", "1", QUESTION)], 20)))
    assert made.contaminated(letters([QUESTION]), 0.5)[0][0].share == 1


def test_hostile_text_takes_linear_time() -> None:
    items = ["あ" * 200, "あい" * 100, QUESTION * 5]
    seconds = []
    for size in (10, 10_000, 100_000):
        started = time.process_time()
        found = look(items, ["あ" * size * 2, "あい" * size, QUESTION * (size // 20 + 5)])
        seconds.append(time.process_time() - started)
    assert [{one.item for one in each} for each in found] == [{"0"}, {"1"}, {"2"}]
    assert seconds[2] < 40 * seconds[1]


def test_an_item_that_is_no_text_is_named() -> None:
    with pytest.raises(BadInput, match="'7'"):
        Protected([ProtectedItem("t", "7", "\ud800")], 20)
