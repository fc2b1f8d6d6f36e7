"""What a form sent becomes what the office's schemas take, or a word about each field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime

from kiban.office.schemas import Schema
from kiban.portal.web.forms import BoundForm, PostedForm, Wrong


class Tier(Schema):
    key: str
    amount_yen: int


class Call(Schema):
    title: str
    closes_at: AwareDatetime | None = None
    is_blind: bool = True
    gpus: int = 0
    themes: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = ()


def form(*fields: tuple[str, str]) -> PostedForm:
    return PostedForm(fields)


def test_names_are_paths_and_empty_fields_were_not_given() -> None:
    posted = form(
        ("csrf_token", "x"),
        ("title", "題"),
        ("closes_at", ""),
        ("is_blind", "false"),
        ("is_blind", "true"),
        ("themes[]", "a"),
        ("themes[]", ""),
        ("themes[]", "b"),
        ("tiers.1.key", "big"),
        ("tiers.1.amount_yen", "2"),
        ("tiers.0.key", "small"),
        ("tiers.0.amount_yen", "1"),
        ("somebody_elses", "1"),
    )
    assert posted.read(Call) == Call(
        title="題",
        is_blind=True,
        themes=("a", "b"),
        tiers=(Tier(key="small", amount_yen=1), Tier(key="big", amount_yen=2)),
    )


def test_what_people_write_for_numbers_and_times_is_understood() -> None:
    posted = form(
        ("title", "t"),
        ("closes_at", "2026-11-30T17:00"),
        ("gpus", "１，０２４"),
        ("tiers.0.key", "k"),
        ("tiers.0.amount_yen", "1億2,000万円"),
    )
    read = posted.read(Call)
    assert read.closes_at is not None
    assert read.closes_at.astimezone(UTC) == datetime(2026, 11, 30, 8, tzinfo=UTC)
    assert (read.gpus, read.tiers[0].amount_yen) == (1024, 120_000_000)


def test_every_field_that_is_wrong_is_named() -> None:
    with pytest.raises(Wrong) as caught:
        form(("gpus", "many"), ("tiers.0.key", "k"), ("tiers.0.amount_yen", "心持ち")).read(Call)
    assert {(each["type"], each["loc"]) for each in caught.value.errors} == {
        ("missing", ("title",)),
        ("int_parsing", ("gpus",)),
        ("int_parsing", ("tiers", 0, "amount_yen")),
    }


@pytest.mark.parametrize(
    "fields",
    [
        (("a", "1"), ("a.b", "2")),
        (("a.b", "1"), ("a", "2")),
        (("a[]", "1"), ("a.b", "2")),
        (("a.b.c.d.e.f.g.h.i", "1"),),
    ],
)
def test_names_that_contradict_one_another_are_refused(fields: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Wrong):
        form(*fields).tree()


def test_a_row_more_and_a_row_less() -> None:
    one = (("title", "t"), ("tiers._rows", ""), ("tiers.0.key", "a"), ("tiers.0.amount_yen", "1"))
    more = form(*one, ("_add", "tiers")).rearranged()
    assert more is not None
    assert list(BoundForm(more, {}).rows("tiers")) == [0, 1]
    again = form(*more.fields, ("_add", "tiers")).rearranged()
    assert again is not None
    assert again.rows("tiers") == 3
    less = form(*one, ("_remove", "tiers.0")).rearranged()
    assert less is not None
    assert (less.rows("tiers"), less.read(Call).tiers) == (0, ())
    assert form(*one).rearranged() is None


@given(st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=6), st.data())
def test_removing_a_row_keeps_the_others_in_their_order(keys: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(keys) - 1))
    fields = [(f"tiers.{row}.key", key) for row, key in enumerate(keys)]
    left = form(*fields, ("_remove", f"tiers.{gone}")).rearranged()
    assert left is not None
    tree: dict[str, Any] = left.tree()
    assert [row["key"] for row in tree.get("tiers", [])] == keys[:gone] + keys[gone + 1 :]


def test_a_form_shows_what_was_typed_before_what_is_stored() -> None:
    bound = BoundForm(form(("title", ""), ("is_blind", "false"), ("themes[]", "b")), {})
    assert bound.value("title", "stored") == ""
    assert bound.value("other", "stored") == "stored"
    assert not bound.checked("is_blind", default=True)
    assert bound.values("themes[]", ["a"]) == ["b"]
    fresh = BoundForm(None, {})
    assert (fresh.value("title", "stored"), fresh.checked("is_blind", default=True)) == ("stored", True)
