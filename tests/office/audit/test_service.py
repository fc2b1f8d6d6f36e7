from __future__ import annotations

from datetime import timedelta

import pytest

from kiban.office.audit import service
from kiban.office.audit.repository import AuditFilter
from kiban.office.errors import Forbidden, NotFound, Unauthenticated
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.work import ANONYMOUS, SYSTEM, Actor, Role

from ..conftest import Rows, TestClock

ALL = AuditFilter()


def _record(office: Office, action: str, subject: str = "s", actor: Actor = SYSTEM, **given: object) -> None:
    with office.work(actor, request_id=f"r-{action}", address="203.0.113.5") as work:
        service.record(work, action, "thing", subject, **given)


def _actions(office: Office, actor: Actor, filters: AuditFilter = ALL) -> list[str]:
    with office.work(actor, read_only=True) as work:
        return [row.action for row in service.events(work, PageRequest(), filters).items]


def test_auditors_and_operators_read_and_nobody_else(office: Office, rows: Rows) -> None:
    _record(office, "awards.approved")
    for role in (Role.AUDITOR, Role.OPERATOR):
        assert _actions(office, rows.actor(role)) == ["awards.approved"]
    others = [rows.actor(Role.APPLICANT), rows.actor(Role.REVIEWER, Role.PANEL, Role.OBSERVER)]
    for actor in others:
        with pytest.raises(Forbidden):
            _actions(office, actor)
        with office.work(actor) as work, pytest.raises(Forbidden):
            service.event(work, 1)
    with pytest.raises(Unauthenticated):
        _actions(office, ANONYMOUS)


def test_an_event_tells_who_what_when_and_from_where(office: Office, rows: Rows, clock: TestClock) -> None:
    actor = rows.actor(Role.OPERATOR)
    _record(office, "calls.published", "c-1", actor, title="公募")
    with office.work(SYSTEM) as work:
        number = service.events(work, PageRequest(), ALL).items[0].number
        row = service.event(work, number)
        assert (row.actor_id, row.is_system, row.at) == (actor.person_id, False, clock.now)
        assert (row.details, row.request_id, row.address) == ({"title": "公募"}, "r-calls.published", "203.0.113.5")
        with pytest.raises(NotFound):
            service.event(work, number + 1)


def test_an_act_that_failed_left_no_record(office: Office) -> None:
    def fail() -> None:
        with office.work(SYSTEM) as work:
            service.record(work, "awards.approved", "award", "a")
            work.session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert _actions(office, SYSTEM) == []


def test_filters_narrow_and_the_newest_come_first(office: Office, rows: Rows, clock: TestClock) -> None:
    actor = rows.actor(Role.OPERATOR)
    start = clock.now
    for number, action in enumerate(("awards.approved", "awards.pinned", "awards_x.y", "calls.published")):
        _record(office, action, f"s-{number}", actor if number % 2 else SYSTEM)
        clock.forward(hours=1)
    hour = timedelta(hours=1)
    for filters, expected in (
        (ALL, ["calls.published", "awards_x.y", "awards.pinned", "awards.approved"]),
        (AuditFilter(action="awards."), ["awards.pinned", "awards.approved"]),
        (AuditFilter(action="awards.approved"), ["awards.approved"]),
        (AuditFilter(action="awards%."), []),
        (AuditFilter(actor_id=actor.person_id), ["calls.published", "awards.pinned"]),
        (AuditFilter(subject_kind="thing", subject_id="s-2"), ["awards_x.y"]),
        (AuditFilter(request_id="r-awards.pinned"), ["awards.pinned"]),
        (AuditFilter(since=start + hour, until=start + 3 * hour), ["awards_x.y", "awards.pinned"]),
    ):
        assert _actions(office, SYSTEM, filters) == expected


def test_pages_neither_repeat_nor_skip(office: Office) -> None:
    for number in range(5):
        _record(office, f"calls.n{number}")
    seen, cursor = [], None
    with office.work(SYSTEM) as work:
        while True:
            page = service.events(work, PageRequest(cursor, 2), ALL)
            seen += [row.action for row in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert seen == [f"calls.n{number}" for number in reversed(range(5))]
