from __future__ import annotations

import pytest
import sqlalchemy as sa

from kiban.office.members.models import Person
from kiban.office.office import Office
from kiban.office.work import Role

from .conftest import START, Rows


def test_rows_come_back_as_they_were_put_in(office: Office, rows: Rows) -> None:
    organisation = rows.organisation()
    actor = rows.actor(Role.APPLICANT, organisation=organisation)
    pool = rows.pool()
    call = rows.call(pool)
    rows.proposal(call, organisation, actor, pool=pool)
    with office.work(read_only=True) as work:
        person = work.session.scalars(sa.select(Person)).one()
    assert person.id == actor.person_id
    assert person.created_at == START
    assert person.created_at.tzinfo is not None


def test_a_failed_work_leaves_nothing(office: Office, rows: Rows) -> None:
    person = rows.person()

    def rename_and_fail() -> None:
        with office.work() as work:
            work.session.execute(sa.update(Person).values(name="別人"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        rename_and_fail()
    with office.work(read_only=True) as work:
        assert work.session.scalars(sa.select(Person.name)).all() == [person.name]
