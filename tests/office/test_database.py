from __future__ import annotations

import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from kiban.office.database import shared_alias
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


def test_an_alias_that_threads_share_means_the_alias_to_each() -> None:
    """SQLAlchemy's own, asked by several threads at once, can give them the class's columns instead."""
    interval, threads = sys.getswitchinterval(), 8
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            alias, together = shared_alias(Person), threading.Barrier(threads)

            def statement(_: int, alias: type[Person] = alias, together: threading.Barrier = together) -> str:
                together.wait()
                return str(sa.select(alias.email).where(alias.id == uuid.UUID(int=1), alias.disabled_at.is_(None)))

            with ThreadPoolExecutor(threads) as pool:
                [found] = set(pool.map(statement, range(threads)))
            assert found.count("people ") == 1
    finally:
        sys.setswitchinterval(interval)
