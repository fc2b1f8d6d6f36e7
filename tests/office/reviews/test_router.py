from __future__ import annotations

import secrets
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from kiban.office.guards.tokens import RANDOM_BYTES, new_token, token_digest
from kiban.office.members.models import ApiToken
from kiban.office.work import Actor
from kiban.portal.app import create_app

from .conftest import WORDS, Season


def client(season: Season, actor: Actor) -> TestClient:
    """The API as this person calls it, with a token."""
    token = new_token(secrets.token_bytes(RANDOM_BYTES))
    now = season.office.clock()
    season.add(
        ApiToken(
            id=season.rows._id(),
            person_id=actor.person_id,
            name="test",
            digest=token_digest(token),
            start=token[:8],
            scopes=["reviews:read", "reviews:write"],
            is_strong=True,
            last_used_at=now,
            created_at=now,
            expires_at=now + timedelta(days=1),
        )
    )
    made = TestClient(create_app(season.office))
    made.headers["Authorization"] = f"Bearer {token}"
    return made


@pytest.mark.parametrize("in_conflict", [False, True])
def test_a_review_goes_through_the_api(season: Season, in_conflict: bool) -> None:
    proposal = season.propose()
    for _ in range(2):
        season.reviewer()
    office, reviewer = client(season, season.operator), client(season, season.reviewers[0])
    where = f"/api/v1/reviews/calls/{season.call.id}"
    assert office.post(f"{where}/assignments/preview", json={"track": "panel"}).json()["added"]
    assert office.post(f"{where}/assignments", json={"track": "panel"}).status_code == 201
    (mine,) = reviewer.get("/api/v1/reviews/assignments/mine").json()["items"]
    at = f"/api/v1/reviews/assignments/{mine['id']}/review"
    given = {"submission": 0, "scores": {"performance": 4, "openness": 2}, "confidence": 3, "text_to_applicant": WORDS}
    assert reviewer.put(at, json={"version": 0, **given}).json()["version"] == 1
    assert reviewer.put(at, json={"version": 1, "submission": 0, "scores": {"performance": 4.5}}).status_code == 422
    assert reviewer.post(f"{at}/submit", json={"version": 1}).status_code == 200
    if in_conflict:
        declared = reviewer.post("/api/v1/reviews/conflicts", json={"proposal_id": str(proposal.id), "reason": "r"})
        assert declared.status_code == 201
        assert reviewer.get(at).status_code == 404
    (row,) = office.get(f"{where}/scores").json()
    assert (row["n"], row["tainted"]) == ((0, 1) if in_conflict else (1, 0))
    assert reviewer.get(f"{where}/scores").status_code == 403
    assert client(season, season.applicants[0]).get(f"/api/v1/reviews/proposals/{proposal.id}").status_code == 404
