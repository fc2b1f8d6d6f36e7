from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kiban.make.corpus.edits import Anchor, Edit, apply, follow

TEXT = st.text(alphabet="あいう abc\n", max_size=60)


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, list[Edit]]:
    """A text and edits of it, in order and not overlapping."""
    text = draw(TEXT)
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8).filter(lambda one: len(one) % 2 == 0)))
    edits = [
        Edit(start, end, draw(st.text(alphabet="xyz", max_size=3)))
        for start, end in zip(places[::2], places[1::2], strict=True)
    ]
    return text, [edit for number, edit in enumerate(edits) if not number or edit.start >= edits[number - 1].end]


@given(edited())
def test_edits_are_applied_as_from_the_last_to_the_first(case: tuple[str, list[Edit]]) -> None:
    text, edits = case
    expected = text
    for edit in reversed(edits):
        expected = expected[: edit.start] + edit.replacement + expected[edit.end :]
    assert apply(text, edits) == expected


@given(edited(), st.data())
def test_an_anchor_before_a_letter_that_stays_is_before_it_afterwards(
    case: tuple[str, list[Edit]], data: st.DataObject
) -> None:
    text, edits = case
    staying = [at for at in range(len(text)) if not any(edit.start <= at < edit.end for edit in edits)]
    chosen = data.draw(
        st.lists(st.sampled_from(staying), unique=True, max_size=5).map(sorted) if staying else st.just([])
    )
    anchors = [Anchor(at, str(at)) for at in chosen]
    after = apply(text, edits)
    moved = follow(anchors, edits)
    assert [anchor.label for anchor in moved] == [anchor.label for anchor in anchors]
    for anchor, before in zip(moved, anchors, strict=True):
        assert after[anchor.at] == text[before.at]


def test_an_anchor_inside_what_goes_stands_at_its_place() -> None:
    anchors = [Anchor(0, "page 1"), Anchor(4, "page 2"), Anchor(6, "page 3"), Anchor(9, "page 4")]
    moved = follow(anchors, [Edit(2, 8, "…")])
    assert moved == (Anchor(0, "page 1"), Anchor(2, "page 3"), Anchor(4, "page 4"))
