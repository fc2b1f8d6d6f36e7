from __future__ import annotations

import pytest

from kiban.office.errors import Forbidden, Invalid, NotFound
from kiban.office.members import authentication, housekeeping, me, sessions
from kiban.office.office import Office
from kiban.office.work import ANONYMOUS, SYSTEM, Actor, Role

from ..conftest import Rows, TestClock
from .conftest import Accounts


def test_one_ends_ones_own_sessions_only(office: Office, accounts: Accounts) -> None:
    person, other = accounts.person(), accounts.person()
    mine, theirs = accounts.open(person), accounts.open(other)
    actor = accounts.actor(person)
    with office.work(actor) as work:
        assert {row.id for row in sessions.live(work)} == {mine.session.id, actor.session_id}
        with pytest.raises(NotFound):
            sessions.revoke(work, theirs.session.id)
        sessions.revoke(work, mine.session.id)
        assert [row.id for row in sessions.live(work)] == [actor.session_id]
        with pytest.raises(NotFound):
            sessions.revoke(work, mine.session.id)
    assert authentication.authenticate(office, None, mine.cookie) == ANONYMOUS
    assert authentication.authenticate(office, None, theirs.cookie) != ANONYMOUS
    assert accounts.actions() == ["members.session_revoked"]


def test_all_others_end_at_once(office: Office, accounts: Accounts) -> None:
    person = accounts.person()
    cookies = [accounts.open(person).cookie for _ in range(3)]
    with office.work(authentication.authenticate(office, None, cookies[1])) as work:
        sessions.revoke_others(work)
    live = [authentication.authenticate(office, None, cookie) != ANONYMOUS for cookie in cookies]
    assert live == [False, True, False]


def test_a_token_does_not_end_sessions(office: Office, accounts: Accounts) -> None:
    person = accounts.person()
    opened = accounts.open(person)
    with office.work(Actor(person_id=person.id, token_id=person.id)) as work:
        for act in (lambda: sessions.revoke(work, opened.session.id), lambda: sessions.revoke_others(work)):
            with pytest.raises(Forbidden):
                act()


def test_signing_out_ends_the_session(office: Office, accounts: Accounts) -> None:
    opened = accounts.open(accounts.person())
    with office.work(authentication.authenticate(office, None, opened.cookie)) as work:
        sessions.sign_out(work, opened.cookie)
    assert authentication.authenticate(office, None, opened.cookie) == ANONYMOUS
    with office.work(ANONYMOUS) as work:
        sessions.sign_out(work, None)


def test_a_csrf_token_fits_its_own_session_only(accounts: Accounts) -> None:
    one, two = accounts.open(accounts.person()), accounts.open(accounts.person())
    sessions.check_csrf(one.cookie, one.csrf_token)
    for given in (None, "", two.csrf_token, one.csrf_token[:-1], one.csrf_token.upper(), "é" * 64):
        with pytest.raises(Forbidden):
            sessions.check_csrf(one.cookie, given)
    assert one.cookie not in one.csrf_token


@pytest.mark.parametrize("path", ["/", "/calls", "/calls/1?tab=reviews&x=%2F%2Fevil.example#top", "/日本語"])
def test_paths_on_this_site_are_gone_to(path: str) -> None:
    assert sessions.safe_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "calls",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        " //evil.example",
        "/" + "a" * 500,
        "//[",
        "http://[evil",
    ],
)
def test_paths_to_other_sites_are_not(path: str) -> None:
    with pytest.raises(Invalid):
        sessions.safe_path(path)


def test_me_tells_of_roles_waiting_for_a_second_factor(office: Office, rows: Rows, accounts: Accounts) -> None:
    person = accounts.person(Role.OPERATOR, Role.APPLICANT, organisation=rows.organisation())
    opened = accounts.open(person, is_strong=False)
    with office.work(authentication.authenticate(office, None, opened.cookie), read_only=True) as work:
        told = me.me(work, cookie=opened.cookie)
    assert (told.roles, told.roles_waiting) == ([Role.APPLICANT], [Role.OPERATOR])
    assert told.organisation is not None
    assert told.organisation.id == person.organisation_id
    assert told.csrf_token == opened.csrf_token
    assert [session.is_current for session in told.sessions] == [True]
    assert told.has_password
    assert not told.has_second_factor
    assert person.password_hash not in told.model_dump_json()


def test_me_tells_a_token_its_scopes_and_nothing_of_sessions(office: Office, accounts: Accounts) -> None:
    person = accounts.person(Role.APPLICANT)
    accounts.open(person)
    token = Actor(
        person_id=person.id, roles=frozenset({Role.APPLICANT}), scopes=frozenset({"calls:read"}), token_id=person.id
    )
    with office.work(token, read_only=True) as work:
        told = me.me(work, cookie="kbs_other")
    assert (told.scopes, told.sessions, told.csrf_token) == (["calls:read"], [], None)


def test_what_decides_nothing_any_more_is_swept(office: Office, accounts: Accounts, clock: TestClock) -> None:
    person = accounts.person()
    accounts.sign_in(person)
    clock.forward(days=90)
    kept = accounts.sign_in(person)
    with office.work(SYSTEM) as work:
        assert housekeeping.sweep(work) == 0
    clock.forward(days=1, seconds=1)
    with office.work(SYSTEM) as work:
        assert housekeeping.sweep(work) == 1
    with office.work(Actor(person_id=person.id)) as work:
        assert work.session.get(type(kept.session), kept.session.id) is not None
