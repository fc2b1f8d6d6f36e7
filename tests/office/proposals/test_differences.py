from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kiban.office.proposals.blinding import blinded, names_in
from kiban.office.proposals.differences import UNKNOWN, differences, merged

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=6,
)
BODIES = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@given(BODIES, BODIES)
def test_no_difference_means_equal(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert differences(before, copy.deepcopy(before)) == []
    assert bool(differences(before, after)) == (repr_json(before) != repr_json(after))


def repr_json(value: Any) -> str:
    import json

    return json.dumps(value, sort_keys=True)


@given(BODIES, BODIES)
def test_a_side_that_changed_nothing_loses_nothing_and_wins_nothing(base: dict[str, Any], own: dict[str, Any]) -> None:
    assert merged(base, base, own) == (own, [])
    assert merged(base, own, base) == (own, [])
    assert merged(base, own, own) == (own, [])


@given(BODIES, BODIES)
def test_without_a_base_nothing_comes_from_one_side_alone(current: dict[str, Any], own: dict[str, Any]) -> None:
    whole, clashes = merged(UNKNOWN, current, own)
    assert whole == current
    assert bool(clashes) == (repr_json(current) != repr_json(own))
    # One's own side of every clash is one's own body.
    assert repr_json(merged(UNKNOWN, current, own, {each.path for each in clashes})[0]) == repr_json(own)


def test_an_entry_added_in_front_changes_nothing_else() -> None:
    one, two = {"key": "a", "gpus": 8}, {"key": "b", "gpus": 16}
    assert [(c.path, c.after) for c in differences([two], [one, two])] == [("a", one)]
    whole, clashes = merged({"tiers": [one]}, {"tiers": [one, two]}, {"tiers": [one | {"gpus": 9}]})
    assert (whole, clashes) == ({"tiers": [one | {"gpus": 9}, two]}, [])


def test_values_that_python_takes_for_the_same_differ() -> None:
    assert differences({"x": True}, {"x": 1})
    assert differences({"x": []}, {"x": {}})
    assert merged({"x": []}, {"x": {"a": 1}}, {"x": {"b": 1}})[1]


def test_blacking_out_names_in_every_width_and_spacing() -> None:
    body = {
        "team": [{"name": "山田 花子", "email": "ai@example.jp", "organisation_name": "ＡＩ研"}],
        "summary": "山田花子（ai@example.jp）はAI研のtrainingを率いる。",
        "data": [{"name": "山田　花子の記録"}],
    }
    shown = blinded(body, names_in(body, "AI"))
    assert shown == {"summary": "■■■（■■■）は■■■のtrainingを率いる。", "data": [{"name": "■■■の記録"}]}


def test_an_organisation_is_blacked_out_without_its_legal_form_too() -> None:
    team = {"team": [{"name": "山田", "organisation_name": "（株）ひのき"}]}
    names = names_in(team, "株式会社かくれみの", "Kakuremino Co., Ltd.", "国立大学法人日本")
    told = blinded({"text": "かくれみのの Kakuremino とひのきが、日本で"}, names)
    assert told == {"text": "■■■の ■■■ と■■■が、日本で"}  # a word of two letters may be a word of its own
