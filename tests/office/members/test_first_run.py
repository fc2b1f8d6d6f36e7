from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.office.conftest import TestClock

from kiban.office.audit.models import AuditEvent
from kiban.office.errors import Conflict, Forbidden, Invalid
from kiban.office.members import first_run, service, sign_in
from kiban.office.members.models import Person
from kiban.office.office import Office
from kiban.office.work import ANONYMOUS

PASSWORD = "a long sentence about rivers and stones"


def make(office: Office, token: str, email: str = "first@example.jp", password: str = PASSWORD) -> Person:
    with office.work(ANONYMOUS) as work:
        return first_run.first_run(work, token, email, "佐倉 真琴", password)


def test_the_link_makes_the_first_operator_once(office: Office) -> None:
    token = first_run.new_link_token(office.settings, office.clock())
    assert all(token not in file.read_text() for file in office.settings.home.iterdir() if file.suffix == ".json")
    with office.work(ANONYMOUS) as work:
        assert first_run.is_wanted(work)
    person = make(office, token)
    opened = sign_in.with_password(office, "first@example.jp", PASSWORD, None, sign_in.Browser())
    assert opened.person.id == person.id
    with pytest.raises(Conflict):
        make(office, token, "second@example.jp")
    with office.work(ANONYMOUS, read_only=True) as work:
        assert not first_run.is_wanted(work)
        assert "members.role_granted" in set(work.session.scalars(sa.select(AuditEvent.action)))


def test_another_secret_or_a_late_one_is_refused(office: Office, clock: TestClock) -> None:
    with pytest.raises(Forbidden):
        make(office, "kbf_guess")
    old = first_run.new_link_token(office.settings, office.clock())
    new = first_run.new_link_token(office.settings, office.clock())
    for wrong in (old, "", new[:-1]):
        with pytest.raises(Forbidden, match="printed last"):
            make(office, wrong)
    clock.now += timedelta(hours=1)
    with pytest.raises(Forbidden, match="expired"):
        make(office, new)


def test_what_is_typed_wrong_can_be_typed_again(office: Office) -> None:
    token = first_run.new_link_token(office.settings, office.clock())
    with pytest.raises(Invalid):
        make(office, token, password="password")
    make(office, token)


def test_no_link_works_where_there_is_an_operator(office: Office) -> None:
    with office.work() as work:
        service.first_operator(work, "at@terminal.example.jp", "T", PASSWORD)
    token = first_run.new_link_token(office.settings, office.clock())
    with pytest.raises(Conflict):
        make(office, token)
