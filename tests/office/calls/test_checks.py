from __future__ import annotations

from typing import Any

import pytest

from kiban.office.calls import lifecycle
from kiban.office.calls.models import CallStatus
from kiban.office.office import Office
from kiban.office.supply.models import Pool
from kiban.office.work import Actor

from ..conftest import START, Rows, TestClock
from .conftest import draft


def _found(office: Office, operator: Actor, *pools: Pool, **given: Any) -> list[tuple[str, str]]:
    call = draft(office, operator, *pools, **given)
    with office.work(operator, read_only=True) as work:
        return [(each.severity, each.where) for each in lifecycle.problems_of(work, call)]


def _track(key: str, limit: int | None, kind: str = "panel") -> dict[str, Any]:
    return {"key": key, "name_ja": key, "name_en": key, "kind": kind, "up_to_gpu_hours": limit}


def _share(value: str, **given: Any) -> dict[str, Any]:
    return {"by": "theme", "value": value} | given


def _question(**given: Any) -> dict[str, Any]:
    return {"key": "q", "label_ja": "問", "label_en": "Question"} | given


CRITERION = {"key": "a", "name_ja": "a", "name_en": "a", "weight": 1}
SHARE = "constraints.shares"


def test_a_sound_draft_has_no_problems(office: Office, operator: Actor, pool: Pool) -> None:
    shares = [_share("language", at_least=0.6), _share("robots", at_least=0.4, at_most=0.5),
              {"by": "organisation_kind", "value": "startup", "at_least": 0.7},
              {"of": "awards", "by": "theme", "value": "robots", "at_most": 0.1}]  # fmt: skip
    paths = ("base_model.is_foreign", "theme", "openness.weights", "training.tokens", "answers.q0")
    questions = [_question(key=f"q{n}", when={"path": path, "equals": True}) for n, path in enumerate(paths)]
    assert _found(office, operator, pool, constraints={"shares": shares}, questions=questions) == []


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"text_ja": ""}, "text_ja"),
        ({"text_en": " \n"}, "text_en"),
        ({"first_month": "2026-04"}, "first_month"),
        ({"rubric": [CRITERION | {"anchors": [{"score": 1, "text_ja": "a", "text_en": "a"}] * 2}]}, "rubric.0.anchors"),
        ({"tracks": [_track("a", 9), _track("b", 9), _track("c", None)]}, "tracks.1"),
        ({"tracks": [_track("a", None), _track("b", None)]}, "tracks.0"),
        ({"tracks": [_track("a", None, "automatic")]}, "tracks.0"),
        ({"constraints": {"shares": [_share("language", at_least=0.7), _share("robots", at_least=0.4)]}}, SHARE),
        ({"constraints": {"shares": [_share("language", at_most=0.5), _share("robots", at_most=0.4)]}}, SHARE),
        ({"constraints": {"shares": [_share("language", at_least=0.5, at_most=0.4)]}}, f"{SHARE}.0"),
        ({"constraints": {"shares": [_share("language")]}}, f"{SHARE}.0"),
        ({"constraints": {"shares": [_share("poetry", at_least=0.1)]}}, f"{SHARE}.0"),
        ({"constraints": {"shares": [_share("robots", at_least=0.1)] * 2}}, f"{SHARE}.1"),
        (
            {
                "constraints": {
                    "shares": [{"by": "organisation_kind", "value": "company", "at_least": 0.1}],
                    "organisation_kinds": ["startup"],
                }
            },
            f"{SHARE}.0",
        ),
        ({"questions": [_question(kind="choice", choices=["a"])]}, "questions.0.choices"),
        ({"questions": [_question(choices=["a", "b"])]}, "questions.0.choices"),
        ({"questions": [_question(kind="number", least_characters=5)]}, "questions.0.least_characters"),
        ({"budget_yen": 268_000}, "budget_yen"),  # 30 days × 24 h × 400 yen = 288,000; of February 268,800
    ],
)
def test_what_keeps_a_draft_from_being_published(
    office: Office, operator: Actor, pool: Pool, given: dict[str, Any], where: str
) -> None:
    assert _found(office, operator, pool, **given) == [("error", where)]


@pytest.mark.parametrize(
    "path", ["base_model", "nothing", "base_model.nothing", "tiers", "tiers.gpus", "title.length", "answers.other", ""]
)
def test_a_condition_on_no_field(office: Office, operator: Actor, pool: Pool, path: str) -> None:
    questions = [_question(when={"path": path, "equals": True})]
    assert _found(office, operator, pool, questions=questions) == [("error", "questions.0.when.path")]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"rubric": [CRITERION]}, "rubric.0.anchors"),
        ({"constraints": {"per_organisation_yen": 20_000_001}}, "constraints.per_organisation_yen"),
        ({"cut_off": "count", "cut_off_count": 9}, "constraints.most_proposals_per_organisation"),
        (
            {"cut_off": "count", "cut_off_count": 9, "constraints": {"most_proposals_per_organisation": 9}},
            "constraints.most_proposals_per_organisation",
        ),
        ({"budget_yen": 8 * 8_760 * 400 + 1}, "budget_yen"),
    ],
)
def test_what_only_wants_another_look(
    office: Office, operator: Actor, pool: Pool, given: dict[str, Any], where: str
) -> None:
    assert _found(office, operator, pool, **given) == [("warning", where)]


def test_the_subsidy_rate_lowers_what_can_be_spent(office: Office, operator: Actor, pool: Pool) -> None:
    spent_exactly = {"budget_yen": 8 * 8_760 * 200, "constraints": {"subsidy_rate": 0.5}}
    assert _found(office, operator, pool, **spent_exactly) == []
    over = spent_exactly | {"budget_yen": 8 * 8_760 * 200 + 1, "code": "2026-2"}
    assert _found(office, operator, pool, **over) == [("warning", "budget_yen")]


def test_more_than_the_pool_has_in_any_month(office: Office, rows: Rows, operator: Actor) -> None:
    small, enough = rows.pool(gpus=7), rows.pool(gpus=8)
    assert _found(office, operator, small, enough) == [("error", f"pools.{small.name}")]
    # The lots end on 2028-04-01: the last of these months has none.
    late = {"first_month": "2027-05", "months": 12, "code": "2026-2"}
    assert _found(office, operator, enough, **late) == [("error", f"pools.{enough.name}")]


def test_a_closed_pool_is_not_offered(office: Office, rows: Rows, operator: Actor) -> None:
    pool = rows.pool(closed_at=START)
    assert _found(office, operator, pool) == [("error", f"pools.{pool.name}")]


def test_what_an_undecided_call_offers_is_not_free(office: Office, rows: Rows, operator: Actor) -> None:
    pool = rows.pool(gpus=64 + 7)
    rows.call(pool, status=CallStatus.REVIEWING)
    assert _found(office, operator, pool) == [("error", f"pools.{pool.name}")]
    assert _found(office, operator, pool, first_month="2027-07", months=6, budget_yen=10**7, code="2026-2") == []
    other = rows.pool(gpus=8)
    rows.call(other, status=CallStatus.ARCHIVED)
    assert _found(office, operator, other, code="2026-3") == []


def test_a_draft_whose_close_has_passed(office: Office, operator: Actor, pool: Pool, clock: TestClock) -> None:
    call = draft(office, operator, pool)
    clock.now = call.closes_at
    with office.work(operator) as work:
        assert ("error", "closes_at") in [(each.severity, each.where) for each in lifecycle.problems_of(work, call)]
