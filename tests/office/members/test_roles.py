from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import pytest

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.members import roles, service
from kiban.office.members.models import Person
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.work import SYSTEM, Actor, Role

from ..conftest import Rows
from .conftest import Accounts

PAGE = PageRequest()


def _grants(office: Office, person: Person) -> list[uuid.UUID]:
    with office.work(SYSTEM, read_only=True) as work:
        return [row.id for row in roles.listed(work, PAGE, person_id=person.id).items]


def test_a_role_is_given_once_and_taken(office: Office, rows: Rows, accounts: Accounts) -> None:
    person, call, operator = rows.person(), rows.call(), rows.actor(Role.OPERATOR)
    with office.work(operator) as work:
        roles.grant(work, person.id, Role.REVIEWER, call.id)
        roles.grant(work, person.id, Role.REVIEWER)
        with pytest.raises(Conflict):
            roles.grant(work, person.id, Role.REVIEWER, call.id)
        with pytest.raises(NotFound):
            roles.grant(work, call.id, Role.REVIEWER)
        with pytest.raises(Invalid):
            roles.grant(work, person.id, Role.REVIEWER, person.id)
    grants = _grants(office, person)
    assert len(grants) == 2
    with office.work(operator) as work:
        row = roles.revoke(work, grants[0])
        assert row.granted_by == operator.person_id
        with pytest.raises(Conflict):
            roles.revoke(work, grants[0])
        with pytest.raises(NotFound):
            roles.revoke(work, person.id)
        roles.grant(work, person.id, Role.REVIEWER, call.id)
    assert accounts.actions() == ["members.role_granted"] * 2 + ["members.role_revoked", "members.role_granted"]


def test_only_operators_of_the_whole_programme_give_and_take(office: Office, rows: Rows) -> None:
    call, person, operator = rows.call(), rows.person(Role.REVIEWER), rows.person(Role.OPERATOR)
    grant = _grants(office, person)[0]
    of_one_call = Actor(person_id=person.id, call_roles=frozenset({(Role.OPERATOR, call.id)}))
    for actor in (rows.actor(Role.AUDITOR), rows.actor(Role.APPLICANT), of_one_call):
        with office.work(actor) as work:
            for act in (
                lambda: roles.grant(work, person.id, Role.OPERATOR),
                lambda: roles.grant(work, person.id, Role.OPERATOR, call.id),
                lambda: roles.revoke(work, grant),
            ):
                with pytest.raises(Forbidden):
                    act()
    with office.work(of_one_call) as work:
        assert [row.id for row in roles.listed(work, PAGE).items] == [grant]  # one's own
        assert roles.listed(work, PAGE, person_id=operator.id).items == []


def test_nobody_is_operator_and_auditor(office: Office, rows: Rows) -> None:
    operator, auditor, call = rows.person(Role.OPERATOR), rows.person(Role.AUDITOR), rows.call()
    with office.work(SYSTEM) as work:
        for person, role in ((operator, Role.AUDITOR), (auditor, Role.OPERATOR)):
            for call_id in (None, call.id):
                with pytest.raises(Conflict):
                    roles.grant(work, person.id, role, call_id)


def test_a_disabled_person_is_given_nothing(office: Office, rows: Rows) -> None:
    person = rows.person(disabled_at=office.clock())
    with office.work(SYSTEM) as work, pytest.raises(Conflict):
        roles.grant(work, person.id, Role.REVIEWER)


def test_the_last_operator_stays(office: Office, rows: Rows) -> None:
    call = rows.call()
    one, two = rows.person(Role.OPERATOR), rows.person(Role.OPERATOR)
    rows.person(Role.OPERATOR, disabled_at=office.clock())  # no help
    with office.work(SYSTEM) as work:
        roles.grant(work, two.id, Role.OPERATOR, call.id)  # of one call: no help
    (grant,) = _grants(office, one)
    with office.work(Actor(person_id=one.id, roles=frozenset({Role.OPERATOR}))) as work:
        service.disable(work, two.id, "left")
    for act in (
        lambda work: roles.revoke(work, grant),
        lambda work: service.disable(work, one.id, "left"),
    ):
        with office.work(Actor(person_id=one.id, roles=frozenset({Role.OPERATOR}))) as work, pytest.raises(Conflict):
            act(work)
    with office.work(SYSTEM) as work:
        service.enable(work, two.id, "came back")
    with office.work(SYSTEM) as work:
        roles.revoke(work, grant)


@pytest.mark.parametrize("way", ["revoke", "disable", "both"])
def test_two_operators_who_remove_each_other_at_once_leave_one(office: Office, rows: Rows, way: str) -> None:
    people = [rows.person(Role.OPERATOR), rows.person(Role.OPERATOR)]
    grants = [_grants(office, person)[0] for person in people]
    barrier = threading.Barrier(2)

    def removal(number: int) -> Callable[[], None]:
        def remove() -> None:
            barrier.wait()
            try:
                with office.work(Actor(person_id=people[1 - number].id, roles=frozenset({Role.OPERATOR}))) as work:
                    if way == "revoke" or (way == "both" and number == 0):
                        roles.revoke(work, grants[number])
                    else:
                        service.disable(work, people[number].id, "left")
            except Conflict:
                pass

        return remove

    threads = [threading.Thread(target=removal(number)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with office.work(SYSTEM, read_only=True) as work:
        assert len(service.contacts_with(work, Role.OPERATOR)) == 1
