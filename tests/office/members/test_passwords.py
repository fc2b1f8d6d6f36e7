from __future__ import annotations

import threading

import pytest

from kiban.office.errors import Invalid, NotFound, TooMany, Unauthenticated
from kiban.office.members import authentication, credentials_repository, passwords, repository, service
from kiban.office.members.schemas import PersonChange
from kiban.office.office import Office
from kiban.office.work import ANONYMOUS, SYSTEM

from ..conftest import TestClock, wait_until_blocked
from .conftest import ADDRESS, PASSWORD, Accounts

NEW = "seven quiet mountains at dawn"


def _ask(office: Office, email: str, address: str = ADDRESS) -> None:
    with office.work(ANONYMOUS, address=address) as work:
        passwords.ask_reset(work, email)


def _reset(office: Office, token: str, password: str = NEW) -> None:
    with office.work(ANONYMOUS) as work:
        passwords.reset(work, token, password)


def test_a_reset_sets_a_password_once_and_ends_every_session(office: Office, accounts: Accounts) -> None:
    person = accounts.person()
    cookie = accounts.open(person).cookie
    _ask(office, person.email)
    token = accounts.token_mailed(person.email)
    with pytest.raises(Invalid):
        _reset(office, token, "short")
    _reset(office, token)  # the refused password did not use it up
    with pytest.raises(NotFound):
        _reset(office, token)
    assert authentication.authenticate(office, None, cookie) == ANONYMOUS
    accounts.sign_in(person, NEW)
    assert "members.password_reset" in accounts.actions()


def test_a_reset_unlocks_but_does_not_replace_the_second_factor(
    office: Office, accounts: Accounts, clock: TestClock
) -> None:
    person = accounts.person()
    device, _ = accounts.enrol(person)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            accounts.sign_in(person, "wrong")
    _ask(office, person.email)
    _reset(office, accounts.token_mailed(person.email))
    with pytest.raises(Unauthenticated):
        accounts.sign_in(person, NEW)
    clock.forward(seconds=30)
    accounts.sign_in(person, NEW, device.at(clock.now))


def test_one_used_link_ends_the_others_and_all_end_in_time(
    office: Office, accounts: Accounts, clock: TestClock
) -> None:
    person = accounts.person()
    _ask(office, person.email)
    first = accounts.token_mailed(person.email)
    clock.forward(minutes=1)
    _ask(office, person.email)
    _reset(office, accounts.token_mailed(person.email))
    with pytest.raises(NotFound):
        _reset(office, first)
    _ask(office, person.email)
    late = accounts.token_mailed(person.email)
    clock.forward(minutes=30)
    with pytest.raises(NotFound):
        _reset(office, late)


def test_links_die_with_the_account_and_with_its_address(office: Office, accounts: Accounts) -> None:
    gone, renamed = accounts.person(), accounts.person()
    for person in (gone, renamed):
        _ask(office, person.email)
    with office.work(SYSTEM) as work:
        service.disable(work, gone.id, "left")
        service.change_person(work, renamed.id, PersonChange(email="new@example.jp"))
    for person in (gone, renamed):
        with pytest.raises(NotFound):
            _reset(office, accounts.token_mailed(person.email))


def test_who_has_no_account_is_told_the_same_and_limited_the_same(office: Office, accounts: Accounts) -> None:
    person = accounts.person()
    disabled = accounts.person(disabled_at=office.clock())
    for number, email in enumerate((person.email, "nobody@example.jp", disabled.email)):
        address = f"203.0.113.{number}"
        for _ in range(3):
            _ask(office, email, address)
        with pytest.raises(TooMany) as caught:
            _ask(office, email, address)
        assert caught.value.retry_after_seconds == 1200
    assert len(accounts.mails(person.email)) == 3
    assert accounts.mails("nobody@example.jp") == accounts.mails(disabled.email) == []


def test_an_account_without_a_password_gets_its_first_by_mail(office: Office, accounts: Accounts) -> None:
    person = accounts.person(password_hash=None)
    with pytest.raises(Unauthenticated):
        accounts.sign_in(person, PASSWORD)
    _ask(office, person.email)
    _reset(office, accounts.token_mailed(person.email))
    accounts.sign_in(person, NEW)


def test_a_link_used_while_the_password_is_changed_waits_its_turn(office: Office, accounts: Accounts) -> None:
    """The person is held before their links everywhere, or each would wait for the other."""
    person = accounts.person()
    _ask(office, person.email)
    token = accounts.token_mailed(person.email)
    ended: list[Exception] = []

    def reset() -> None:
        try:
            _reset(office, token)
        except Exception as error:
            ended.append(error)

    with office.work(SYSTEM) as work:
        repository.person_by_id(work.session, person.id, lock=True)
        thread = threading.Thread(target=reset)
        thread.start()
        wait_until_blocked(work.session, thread)
        credentials_repository.spend_resets(work.session, person.id, work.now)
    thread.join()
    assert [type(error) for error in ended] == [NotFound]
