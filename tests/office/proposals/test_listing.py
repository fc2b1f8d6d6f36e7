"""The list in other orders and narrowed down: by what each person sees, never by what they do not."""

from __future__ import annotations

import base64
import uuid

import pytest

from kiban.office.errors import Invalid
from kiban.office.paging import PageRequest
from kiban.office.proposals import drafts, service
from kiban.office.work import Actor, Role

from .conftest import Season


def listed(season: Season, actor: Actor, sort: str | None = None, **filters: str) -> list[uuid.UUID]:
    with season.office.work(actor, read_only=True) as work:
        return [row.id for row in service.list_proposals(work, PageRequest(sort=sort), **filters).items]  # type: ignore[arg-type]


def test_an_unseen_title_moves_nothing(season: Season) -> None:
    first, second = season.submitted(title="A: speech"), season.submitted(title="B: vision")
    with season.office.work(season.applicant) as work:
        drafts.save(work, first, season.body(title="C: 量子"), expected_version=1)
    panel, operator = season.rows.actor(Role.PANEL), season.rows.actor(Role.OPERATOR)
    assert listed(season, panel, "title") == [first, second]
    assert listed(season, panel, "-title") == [second, first]
    for actor in (operator, season.applicant):
        assert listed(season, actor, "title") == [second, first]
    for actor, found in ((panel, []), (operator, [first]), (season.applicant, [first])):
        assert listed(season, actor, text="量子") == found
    assert listed(season, panel, "title", text="SPEECH a") == [first]
    # Who reviews as well as runs the office sees some of them as a reviewer.
    both = season.rows.actor(Role.OPERATOR, Role.REVIEWER)
    season.assign(both, second)
    assert listed(season, both, "title") == [second, first]


def test_an_unseen_theme_is_not_found(season: Season) -> None:
    proposal_id = season.submitted()
    with season.office.work(season.applicant) as work:
        theme = service.get_proposal(work, proposal_id).theme
        drafts.save(work, proposal_id, season.body(theme="secret"), expected_version=1)
    panel, operator = season.rows.actor(Role.PANEL), season.rows.actor(Role.OPERATOR)
    assert (listed(season, panel, theme=theme), listed(season, panel, theme="secret")) == ([proposal_id], [])
    assert (listed(season, operator, theme=theme), listed(season, operator, theme="secret")) == ([], [proposal_id])


def test_a_blind_reviewers_cursor_names_nobody(season: Season) -> None:
    season.call = season.rows.call(season.pool, is_blind=True)
    reviewer = season.rows.actor(Role.REVIEWER)
    for title in ("第一研究所の山田 花子の研究", "第一研究所の二番目の研究"):
        season.assign(reviewer, season.submitted(title=title))
    with season.office.work(reviewer, read_only=True) as work:
        page = service.list_proposals(work, PageRequest(limit=1, sort="title"))
        assert page.next_cursor is not None
        place = base64.urlsafe_b64decode(page.next_cursor + "==").decode()
        rest = service.list_proposals(work, PageRequest(page.next_cursor, 1, "title"))
    assert "研究所" not in place
    assert "花子" not in place
    assert len({row.id for row in (*page.items, *rest.items)}) == 2


@pytest.mark.parametrize("sort", ["organisation_id", "theme"])
def test_what_some_must_not_see_is_no_order(season: Season, sort: str) -> None:
    with pytest.raises(Invalid):
        listed(season, season.rows.actor(Role.OPERATOR), sort)
