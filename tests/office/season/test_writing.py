from __future__ import annotations

import random
import uuid

import pytest

from kiban.office.calls.schemas import FOREIGN_MODEL_REASON
from kiban.office.guards.text import corporate_number, orcid
from kiban.office.proposals.content import read_body
from kiban.office.season.cast import Applicant, Organisation, check_digit, orcid_of
from kiban.office.season.fields import fields
from kiban.office.season.programme import programme
from kiban.office.season.shapes import RUNS
from kiban.office.season.writing import Idea, body_of
from kiban.office.work import Actor

POOLS = {pool.name: uuid.UUID(int=number) for number, pool in enumerate(programme().pools, start=1)}


def an_organisation(number: int) -> Organisation:
    people = tuple(
        Applicant(Actor(), f"人{place}", f"{place}@a.example.jp", orcid_of(10 * number + place)) for place in range(2)
    )
    return Organisation(uuid.UUID(int=number), programme().organisations[number], check_digit(f"{number:012d}"), people)


def test_the_season_has_enough_of_everything() -> None:
    assert len(programme().organisations) >= 40
    assert len(programme().reviewers) >= 25
    assert {each.field for each in programme().organisations} == set(fields())
    assert sum(len(field.subjects) for field in fields().values()) >= 50


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("oddity", ["", "oversized", "undersized", "infeasible"])
def test_every_proposal_can_be_read_without_a_mistake(run: str, oddity: str) -> None:
    number = list(RUNS).index(run)
    organisation = an_organisation(number)
    subject = fields()[organisation.of.field].subjects[0]
    idea = Idea(organisation, subject, run, 0.0, oddity, partners=(an_organisation(number + 1),))  # type: ignore[arg-type]
    call = programme().calls[1]
    body, mistakes = read_body(body_of(idea, call, POOLS, random.Random(1)))
    assert mistakes == ()
    assert len(body.tiers) == 2
    assert all(tier.pool_ids and tier.start_months for tier in body.tiers)
    if body.base_model is not None and body.base_model.is_foreign:
        answer = body.answers[FOREIGN_MODEL_REASON.key]
        assert len(str(answer)) >= FOREIGN_MODEL_REASON.least_characters
    assert sum(source.tokens or 0 for source in body.data) == pytest.approx(RUNS[run].tokens, rel=1e-6)


@pytest.mark.parametrize("number", [1, 42, 999, 5_021])
def test_invented_numbers_have_right_check_digits(number: int) -> None:
    assert corporate_number(check_digit(f"99000000{number:04d}"))
    assert orcid(orcid_of(number)) == orcid_of(number)
