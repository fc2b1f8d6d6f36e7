from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.paging import PageRequest
from kiban.office.proposals import autosaves, drafts, service
from kiban.office.proposals.models import ProposalVersion, TeamMember
from kiban.office.proposals.outputs import ProposalWhole
from kiban.office.work import Actor, Role

from ..conftest import TestClock
from .conftest import Season


def save(season: Season, proposal_id: uuid.UUID, expected: int, **given: Any) -> ProposalWhole:
    by: Actor = given.pop("by", season.applicant)
    is_autosave: bool = given.pop("is_autosave", False)
    with season.office.work(by) as work:
        return drafts.save(work, proposal_id, season.body(**given), expected_version=expected, is_autosave=is_autosave)


def numbers(season: Season, proposal_id: uuid.UUID) -> list[int]:
    with season.office.work(season.applicant, read_only=True) as work:
        return [row.number for row in service.list_versions(work, proposal_id, PageRequest()).items]


def test_a_second_tab_cannot_overwrite_the_first(season: Season) -> None:
    proposal_id = season.draft()
    save(season, proposal_id, 1, title="一つ目のタブ")
    with pytest.raises(Conflict, match=r"version 1, .* is 2"):
        save(season, proposal_id, 1, title="二つ目のタブ")
    with season.office.work(season.applicant, read_only=True) as work:
        assert service.get_proposal(work, proposal_id).title == "一つ目のタブ"


def test_of_saves_at_the_same_time_one_is_stored_and_the_others_are_told(season: Season) -> None:
    proposal_id = season.draft()
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def attempt(number: int) -> None:
        barrier.wait()
        try:
            save(season, proposal_id, 1, title=f"題名{number}")
            outcomes.append("saved")
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 3 + ["saved"]
    assert numbers(season, proposal_id) == [2, 1]


def test_a_refused_body_is_merged_with_the_current_version(season: Season) -> None:
    proposal_id = season.draft()
    save(season, proposal_id, 1, title="新しい題名")
    mine = season.body(summary="書き直した概要。" * 5)
    with season.office.work(season.applicant, read_only=True) as work:
        merged = drafts.merge(work, proposal_id, mine, base_version=1)
    assert (merged.body["title"], merged.body["summary"]) == ("新しい題名", mine["summary"])
    assert merged.clashes == ()
    with season.office.work(season.applicant, read_only=True) as work:
        clash = drafts.merge(work, proposal_id, season.body(title="別の題名"), base_version=1)
    assert [(each.path, each.before, each.after) for each in clash.clashes] == [("title", "新しい題名", "別の題名")]


def test_autosaves_make_way_for_the_next_and_nothing_else_does(season: Season, clock: TestClock) -> None:
    proposal_id = season.draft()
    save(season, proposal_id, 1, is_autosave=True, title="あ")
    save(season, proposal_id, 2, is_autosave=True, title="ああ")
    assert numbers(season, proposal_id) == [3, 1]
    save(season, proposal_id, 3, title="あああ")  # by hand: the autosave before it stays
    save(season, proposal_id, 4, is_autosave=True, title="ああああ")
    assert numbers(season, proposal_id) == [5, 4, 3, 1]
    clock.forward(minutes=autosaves.AUTOSAVE_MINUTES)
    save(season, proposal_id, 5, is_autosave=True, title="い")
    assert numbers(season, proposal_id) == [6, 5, 4, 3, 1]


def test_an_autosave_of_another_person_or_one_that_was_submitted_stays(season: Season) -> None:
    colleague = season.rows.actor(Role.APPLICANT, organisation=season.organisation)
    proposal_id = season.draft()
    save(season, proposal_id, 1, is_autosave=True, title="私")
    save(season, proposal_id, 2, is_autosave=True, title="同僚", by=colleague)
    assert numbers(season, proposal_id) == [3, 2, 1]
    season.submit(proposal_id, version=3)
    save(season, proposal_id, 3, is_autosave=True, title="提出後", by=colleague)
    assert numbers(season, proposal_id) == [4, 3, 2, 1]


def test_a_version_that_a_window_may_have_open_stays_for_a_session(season: Season, clock: TestClock) -> None:
    proposal_id = season.draft()
    for number in range(1, 4):
        save(season, proposal_id, number, is_autosave=True, title=f"題名{number}")
    assert numbers(season, proposal_id) == [4, 1]
    with season.office.work(season.applicant, read_only=True) as work:
        merged = drafts.merge(work, proposal_id, season.body(title="題名1", safety="別の窓"), base_version=2)
    assert (merged.base_version, merged.clashes) == (2, ())
    assert (merged.body["title"], merged.body["safety"]) == ("題名3", "別の窓")
    clock.forward(hours=25)
    save(season, proposal_id, 4, is_autosave=True, title="翌日")
    assert kept(season, proposal_id) == [1, 4, 5]


def test_of_very_many_autosaves_the_oldest_go(season: Season, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autosaves, "MOST_REPLACED", 3)
    proposal_id = season.draft()
    for number in range(1, 9):
        save(season, proposal_id, number, is_autosave=True, title=f"題名{number}")
    assert kept(season, proposal_id) == [1, 6, 7, 8, 9]
    mine = season.body(title="題名1", summary="窓の概要", team=[*season.body()["team"], {"email": "x@example.jp"}])
    with season.office.work(season.applicant, read_only=True) as work:
        merged = drafts.merge(work, proposal_id, mine, base_version=2)
        one = drafts.merge(work, proposal_id, mine, base_version=2, own_paths=["summary"])
        current = service.get_proposal(work, proposal_id).body
    # Nobody can tell who changed what, so whatever differs is for the person to decide, and nothing comes by itself.
    assert merged.base_version is None
    assert {each.path for each in merged.clashes} == {"title", "summary", "team.x@example.jp"}
    assert merged.body == current
    assert one.body == current | {"summary": "窓の概要"}


def kept(season: Season, proposal_id: uuid.UUID) -> list[int]:
    statement = sa.select(ProposalVersion.number).where(ProposalVersion.proposal_id == proposal_id)
    with season.office.work(read_only=True) as work:
        return sorted(work.session.scalars(statement))


@pytest.mark.parametrize("base", [0, 2])
def test_a_base_that_never_was_is_refused(season: Season, base: int) -> None:
    proposal_id = season.draft()
    with pytest.raises(Invalid), season.office.work(season.applicant, read_only=True) as work:
        drafts.merge(work, proposal_id, season.body(), base_version=base)


FIELDS = (("title", "summary"), ("safety", "openness"))  # what each of two windows writes
ACTS = st.tuples(
    st.integers(0, 1),  # the window
    st.integers(0, 1),  # its field
    st.sampled_from(["", "あ", "い"]),
    st.sampled_from(["autosave", "autosave", "save", "open anew", "nothing"]),
    st.sampled_from([2, 2, 2, 60, 1200]),  # seconds until the next act
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, min_size=4, max_size=16), are_two_people=st.booleans())
# A window is opened on an autosave, which the other then replaces; and on one whose words the other then takes back.
@example(
    acts=[(0, 0, "あ", "autosave", 2), (1, 0, "あ", "open anew", 2), (0, 0, "い", "autosave", 2)], are_two_people=True
)
@example(
    acts=[(0, 0, "あ", "autosave", 2), (1, 0, "あ", "open anew", 2), (0, 0, "", "autosave", 2)], are_two_people=False
)
@example(
    acts=[
        (0, 0, "あ", "autosave", 2),
        (1, 0, "", "open anew", 2),
        (0, 1, "い", "autosave", 2),
        (0, 0, "い", "autosave", 2),
    ],
    are_two_people=False,
)
def test_two_windows_on_different_fields_both_get_through(
    season: Season, clock: TestClock, acts: list[tuple[int, int, str, str, int]], are_two_people: bool
) -> None:
    writers = [season.applicant, season.applicant]
    if are_two_people:
        writers[1] = season.rows.actor(Role.APPLICANT, organisation=season.organisation)
    proposal_id = season.draft()
    bodies = [season.body() | {name: "はじめ" for pair in FIELDS for name in pair} for _ in writers]
    bases = [save(season, proposal_id, 1, **bodies[0]).version] * 2
    typed: dict[str, str] = dict(bodies[0])
    unsaved: set[int] = set()

    def send(window: int, *, is_autosave: bool) -> None:
        body, base = bodies[window], bases[window]
        with season.office.work(writers[window]) as work:
            try:
                made = drafts.save(work, proposal_id, body, expected_version=base, is_autosave=is_autosave)
            except Conflict:
                if is_autosave:
                    return  # one types on, and saves by hand in the end
                merged = drafts.merge(work, proposal_id, body, base_version=base)
                assert merged.clashes == ()
                made = drafts.save(work, proposal_id, merged.body, expected_version=merged.current_version)
                bodies[window] = made.body
        bases[window] = made.version
        unsaved.discard(window)

    for window, place, text, act, seconds in [*acts, (0, 0, "あ", "save", 0), (1, 0, "い", "save", 0)]:
        if act != "open anew":
            name = FIELDS[window][place]
            bodies[window] = bodies[window] | {name: text}
            typed[name] = text
            unsaved.add(window)
        if act in ("autosave", "save"):
            send(window, is_autosave=act == "autosave")
        elif act == "open anew" and window not in unsaved:
            with season.office.work(writers[window], read_only=True) as work:
                found = service.get_proposal(work, proposal_id)
            bodies[window], bases[window] = found.body, found.version
        clock.forward(seconds=seconds)
    with season.office.work(season.applicant, read_only=True) as work:
        assert service.get_proposal(work, proposal_id).body == typed


def test_the_same_body_is_not_stored_twice(season: Season) -> None:
    proposal_id = season.draft()
    assert save(season, proposal_id, 1).version == 1
    save(season, proposal_id, 1, is_autosave=True, title="x")
    assert save(season, proposal_id, 2, title="x").version == 3  # by hand, so that it is kept


def test_diff_and_restore(season: Season) -> None:
    proposal_id = season.draft()
    save(season, proposal_id, 1, title="新しい題名", training=season.body()["training"] | {"tokens": "100B"})
    with season.office.work(season.applicant) as work:
        changes = service.diff(work, proposal_id, 1, 2)
        assert {(c.path, c.before, c.after) for c in changes} == {
            ("title", "医療文書のための基盤モデル", "新しい題名"),
            ("training.tokens", 200_000_000_000, 100_000_000_000),
        }
        restored = drafts.restore(work, proposal_id, 1, expected_version=2)
    assert restored.version == 3
    assert restored.title == "医療文書のための基盤モデル"


def test_a_draft_may_hold_mistakes_and_is_stored_as_typed(season: Season) -> None:
    proposal_id = season.draft()
    whole = save(season, proposal_id, 1, tiers=[{"key": "minimum", "gpus": "many"}], colour="red")
    assert whole.body["tiers"] == [{"key": "minimum", "gpus": "many"}]
    paths = {gap.path for gap in whole.gaps}
    assert {"tiers.0.gpus", "tiers.0.months", "colour"} <= paths


@pytest.mark.parametrize(
    "body",
    [
        {"summary": "a\x00b"},
        {"title": "\ud800"},
        {"training": {"model": {"n": 10**30}}},
        {"training": {"model": {"n": float("nan")}}},
        {"summary": "長" * 190_000},
        {"answers": {str(n): "x" for n in range(20_001)}},
    ],
)
def test_what_no_database_should_hold_is_refused(season: Season, body: dict[str, Any]) -> None:
    with pytest.raises(Invalid), season.office.work(season.applicant) as work:
        drafts.create(work, season.call.id, body)


def test_a_body_of_any_depth_is_refused_and_never_a_crash(season: Season) -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(Invalid, match="deep"), season.office.work(season.applicant) as work:
        drafts.create(work, season.call.id, {"summary": deep})


def test_team_rows_follow_the_body_and_the_submitted_one(season: Season) -> None:
    proposal_id = season.submitted()
    save(season, proposal_id, 1, team=[{"name": "佐藤", "email": "SATO@example.jp", "may_edit": True}])
    with season.office.work(read_only=True) as work:
        rows = work.session.scalars(sa.select(TeamMember).where(TeamMember.proposal_id == proposal_id)).all()
    # Reviewers still read the submitted version, so whoever stands in it still counts for conflicts.
    assert {(row.email, row.may_edit) for row in rows} == {("sato@example.jp", True), ("hanako@example.jp", False)}


def test_a_team_member_of_another_organisation_writes_but_does_not_hand_in(season: Season) -> None:
    other = season.rows.actor(Role.APPLICANT, organisation=season.rows.organisation(), email="partner@example.jp")
    team = [*season.body()["team"], {"name": "相手", "email": "Partner@Example.jp", "may_edit": True}]
    proposal_id = season.draft()
    with pytest.raises(NotFound):
        save(season, proposal_id, 1, by=other)
    save(season, proposal_id, 1, team=team)
    assert save(season, proposal_id, 2, by=other, team=team, title="直した").version == 3
    with pytest.raises(Forbidden):
        season.submit(proposal_id, version=3, by=other)


def test_nobody_writes_after_the_deadline(season: Season, clock: TestClock) -> None:
    proposal_id = season.draft()
    clock.now = season.call.closes_at
    with pytest.raises(Conflict, match="closed"):
        save(season, proposal_id, 1, title="遅刻")
    with pytest.raises(Conflict, match="closed"):
        season.draft()


def test_only_applicants_of_an_organisation_start_drafts(season: Season) -> None:
    for actor in (
        season.rows.actor(Role.REVIEWER, organisation=season.organisation),
        season.rows.actor(Role.APPLICANT),
    ):
        with pytest.raises(Forbidden):
            season.draft(by=actor)
