from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import event

from kiban.office.errors import Unauthenticated
from kiban.office.members import authentication, service, sessions, tokens
from kiban.office.members.models import RoleGrant
from kiban.office.members.schemas import TokenIn
from kiban.office.office import Office
from kiban.office.work import ANONYMOUS, SYSTEM, Actor, Role

from ..conftest import Rows, TestClock
from .conftest import Accounts

WANTED = TokenIn(name="export", scopes=["usage:read", "ledger:read"], expires_in_days=30)


@contextmanager
def statements(office: Office) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if not statement.startswith(("BEGIN", "SET TRANSACTION")):
            seen.append(statement)

    engines = {office.database.engine, office.database.reading_engine}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield seen
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def _token(office: Office, person_id: object) -> str:
    with office.work(SYSTEM) as work:
        return tokens.create(work, WANTED, person_id=person_id)[1]  # type: ignore[arg-type]


def test_a_request_costs_one_query_and_a_second_once_a_minute(
    office: Office, rows: Rows, accounts: Accounts, clock: TestClock
) -> None:
    person = accounts.person(Role.REVIEWER, Role.APPLICANT, Role.OBSERVER, organisation=rows.organisation())
    cookie, token = accounts.open(person).cookie, _token(office, person.id)
    with statements(office) as seen:
        authentication.authenticate(office, None, cookie)
        assert len(seen) == 1
        authentication.authenticate(office, token, None)
        assert len(seen) == 3  # the first use of the token
        authentication.authenticate(office, token, None)
        assert len(seen) == 4
        clock.forward(seconds=61)
        authentication.authenticate(office, None, cookie)
        assert len(seen) == 6
        authentication.authenticate(office, None, cookie)
        assert len(seen) == 7
        authentication.authenticate(office, None, "kbs_nonsense")
        assert authentication.authenticate(office, None, None) == ANONYMOUS
        assert len(seen) == 7  # what has not even the shape is not looked up


def test_an_actor_has_the_roles_of_the_programme_and_of_calls(office: Office, rows: Rows, accounts: Accounts) -> None:
    call, organisation = rows.call(), rows.organisation()
    person = accounts.person(Role.APPLICANT, organisation=organisation)
    with office.work() as work:
        for role, at in ((Role.REVIEWER, None), (Role.OBSERVER, office.clock())):
            work.session.add(
                RoleGrant(
                    id=work.new_id(),
                    person_id=person.id,
                    role=role,
                    call_id=call.id,
                    granted_at=office.clock(),
                    revoked_at=at,
                )
            )
    actor = accounts.actor(person)
    assert actor.roles == {Role.APPLICANT}
    assert actor.call_roles == {(Role.REVIEWER, call.id)}
    assert actor.organisation_id == organisation.id


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.PANEL, Role.AUDITOR])
def test_roles_over_others_take_a_second_factor(accounts: Accounts, role: Role) -> None:
    person = accounts.person(role, Role.APPLICANT)
    assert accounts.actor(person, is_strong=False).roles == {Role.APPLICANT}
    assert accounts.actor(person, is_strong=True).roles == {role, Role.APPLICANT}


def test_sessions_end_idle_and_absolutely(office: Office, accounts: Accounts, clock: TestClock) -> None:
    cookie = accounts.open(accounts.person()).cookie
    for _ in range(23):
        clock.forward(minutes=59)
        assert authentication.authenticate(office, None, cookie) != ANONYMOUS
    clock.forward(minutes=59)
    assert authentication.authenticate(office, None, cookie) != ANONYMOUS
    clock.forward(minutes=24)  # a day after the sign-in
    assert authentication.authenticate(office, None, cookie) == ANONYMOUS
    idle = accounts.open(accounts.person()).cookie
    clock.forward(minutes=60)
    assert authentication.authenticate(office, None, idle) == ANONYMOUS


def test_disabling_a_person_ends_sessions_and_tokens_at_once(office: Office, accounts: Accounts) -> None:
    person = accounts.person()
    cookie, token = accounts.open(person).cookie, _token(office, person.id)
    with office.work(SYSTEM) as work:
        service.disable(work, person.id, "left")
    assert authentication.authenticate(office, None, cookie) == ANONYMOUS
    with pytest.raises(Unauthenticated):
        authentication.authenticate(office, token, None)
    with office.work(SYSTEM) as work:
        service.enable(work, person.id, "came back")
    assert authentication.authenticate(office, None, cookie) == ANONYMOUS
    with pytest.raises(Unauthenticated):
        authentication.authenticate(office, token, None)


def test_a_move_shows_with_the_next_request(office: Office, rows: Rows, accounts: Accounts) -> None:
    person = accounts.person(organisation=rows.organisation())
    other = rows.organisation()
    cookie = accounts.open(person).cookie
    with office.work(SYSTEM) as work:
        service.move(work, person.id, other.id, "merger")
    assert authentication.authenticate(office, None, cookie).organisation_id == other.id


def test_a_token_has_its_scopes_and_the_roles_of_its_holder(office: Office, accounts: Accounts) -> None:
    person = accounts.person(Role.OPERATOR)
    actor = authentication.authenticate(office, _token(office, person.id), "kbs_whatever")
    assert actor.scopes == {"usage:read", "ledger:read"}
    assert actor.has(Role.OPERATOR)
    assert (actor.person_id, actor.session_id) == (person.id, None)
    assert actor.token_id is not None


def test_a_token_made_without_a_second_factor_never_gets_the_roles_that_take_one(
    office: Office, accounts: Accounts
) -> None:
    person = accounts.person(Role.OPERATOR, Role.APPLICANT)
    with office.work(accounts.actor(person, is_strong=False)) as work:
        _, token = tokens.create(work, WANTED)
    accounts.enrol(person)
    assert authentication.authenticate(office, token, None).roles == {Role.APPLICANT}


def test_bad_tokens_are_refused_and_not_answered_as_nobody(
    office: Office, accounts: Accounts, clock: TestClock
) -> None:
    person = accounts.person()
    token, session = _token(office, person.id), accounts.open(person)
    bad = ["", "kbn_", token[:-1] + ("A" if token[-1] != "A" else "B"), token + " ", session.cookie]
    for given in bad:
        with pytest.raises(Unauthenticated):
            authentication.authenticate(office, given, session.cookie)
    assert authentication.authenticate(office, None, token) == ANONYMOUS  # a token is no cookie
    clock.forward(days=30)
    with pytest.raises(Unauthenticated):
        authentication.authenticate(office, token, None)


def test_last_use_is_written_once_a_minute(office: Office, accounts: Accounts, clock: TestClock) -> None:
    person = accounts.person()
    token = _token(office, person.id)
    used = []
    for _ in range(3):
        authentication.authenticate(office, token, None)
        with office.work(Actor(person_id=person.id), read_only=True) as work:
            row = tokens.listed(work, tokens.PageRequest()).items[0]
        assert row.last_used_at is not None
        used.append(clock.now - row.last_used_at)
        clock.forward(seconds=40)
    assert used == [timedelta(0), timedelta(seconds=40), timedelta(0)]


def test_a_cookies_name_says_that_it_belongs_to_this_host_alone(office: Office) -> None:
    assert sessions.cookie_name(office.settings) == "kiban"
    assert sessions.cookie_name(office.settings.model_copy(update={"cookie_secure": True})) == "__Host-kiban"
