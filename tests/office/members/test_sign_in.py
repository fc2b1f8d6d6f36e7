from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from kiban.office.errors import Conflict, Forbidden, Invalid, TooMany, Unauthenticated
from kiban.office.guards.passwords import PasswordHashing
from kiban.office.members import attempts, authentication, passwords, service, sign_in
from kiban.office.members.models import Attempt, BrowserSession, Person
from kiban.office.members.sign_in import Browser, SecondFactorNeeded
from kiban.office.office import Office
from kiban.office.work import ANONYMOUS, SYSTEM, Actor, Role

from ..conftest import TestClock
from .conftest import ADDRESS, PASSWORD, Accounts


def test_a_right_password_opens_a_session(office: Office, accounts: Accounts) -> None:
    person = accounts.person(Role.APPLICANT)
    opened = accounts.sign_in(f" {person.email.upper()} ")
    actor = authentication.authenticate(office, None, opened.cookie)
    assert (actor.person_id, actor.session_id, actor.scopes) == (person.id, opened.session.id, None)
    assert actor.has(Role.APPLICANT)
    assert accounts.actions() == ["members.signed_in"]


def test_unknown_disabled_and_wrong_are_told_apart_by_nothing(
    accounts: Accounts, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = 0
    verify = PasswordHashing.verify

    def counting(self: PasswordHashing, stored: str | None, password: str) -> bool:
        nonlocal computed
        computed += 1
        return verify(self, stored, password)

    monkeypatch.setattr(PasswordHashing, "verify", counting)
    people = [
        (accounts.person().email, "not the password at all"),
        (accounts.person(disabled_at=clock.now).email, PASSWORD),
        (accounts.person(password_hash=None).email, PASSWORD),
        ("nobody@example.jp", PASSWORD),
        ("not an address", PASSWORD),
    ]
    answers = set()
    for email, password in people:
        with pytest.raises(Unauthenticated) as caught:
            accounts.sign_in(email, password)
        answers.add((type(caught.value), str(caught.value)))
    assert len(answers) == 1
    assert computed == len(people)


@pytest.mark.parametrize("exists", [True, False])
def test_failures_lock_an_account_longer_and_longer_and_then_a_day_forgets_them(
    accounts: Accounts, clock: TestClock, exists: bool
) -> None:
    email = accounts.person().email if exists else "nobody@example.jp"
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            accounts.sign_in(email, "wrong")
    waits = []
    for _ in range(3):
        with pytest.raises(TooMany) as caught:
            accounts.sign_in(email, PASSWORD)  # not even the right one is looked at
        waits.append(caught.value.retry_after_seconds)
        clock.forward(seconds=waits[-1])
        with pytest.raises(Unauthenticated):
            accounts.sign_in(email, "wrong", address=f"203.0.113.{len(waits)}")
    assert waits == [30, 60, 120]
    assert accounts.actions() == ["members.sign_in_locked"]
    clock.forward(days=1)
    if exists:
        accounts.sign_in(email)


def test_signing_in_forgets_the_accounts_failures_but_not_the_addresss(office: Office, accounts: Accounts) -> None:
    person = accounts.person()
    for _ in range(4):
        with pytest.raises(Unauthenticated):
            accounts.sign_in(person, "wrong")
    accounts.sign_in(person)
    with office.work(read_only=True) as work:
        kinds = [key.partition(":")[0] for key in work.session.scalars(sa.select(Attempt.key))]
    assert sorted(kinds) == ["accounts-of-address"] * 4 + ["address"] * 4


def test_one_password_on_many_accounts_stops_the_address(office: Office, accounts: Accounts, clock: TestClock) -> None:
    for number in range(15):
        with office.work(ANONYMOUS, address=ADDRESS) as work:
            attempts.claim_sign_in(work, f"person{number}@example.jp")
        clock.forward(seconds=5)
    person = accounts.person()
    with pytest.raises(TooMany) as caught:
        accounts.sign_in(person)
    assert caught.value.retry_after_seconds == 295
    accounts.sign_in(person, address="203.0.113.9")  # others are not kept out


def test_a_counted_attempt_outlives_whatever_goes_wrong_afterwards(
    office: Office, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> bool:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(PasswordHashing, "verify", broken)
    with pytest.raises(RuntimeError):
        accounts.sign_in(accounts.person())
    with office.work(read_only=True) as work:
        assert work.session.scalar(sa.select(sa.func.count()).select_from(Attempt)) == 3


def test_guesses_made_at_once_are_each_counted(
    office: Office, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = accounts.person()
    tried: list[str] = []
    monkeypatch.setattr(PasswordHashing, "verify", lambda self, stored, password: tried.append(password) or False)
    refused: list[type[Exception]] = []

    def guess(number: int) -> None:
        try:
            accounts.sign_in(person, f"guess {number}", address=f"203.0.113.{number}")
        except (TooMany, Unauthenticated) as error:
            refused.append(type(error))

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tried) == attempts.ACCOUNT.free
    assert refused.count(TooMany) == 12 - attempts.ACCOUNT.free


def test_the_session_that_a_browser_came_with_ends_at_sign_in(office: Office, accounts: Accounts) -> None:
    """Session fixation: an attacker's own session, planted in the victim's browser, stays the attacker's and dies."""
    planted = accounts.open(accounts.person())
    opened = accounts.sign_in(accounts.person(), cookie=planted.cookie)
    assert opened.cookie != planted.cookie
    assert authentication.authenticate(office, None, planted.cookie) == ANONYMOUS
    invented = "kbs_" + "0" * 49
    assert accounts.sign_in(accounts.person(), cookie=invented).cookie != invented
    assert authentication.authenticate(office, None, invented) == ANONYMOUS


def test_no_cookie_is_in_the_database(office: Office, accounts: Accounts) -> None:
    opened = accounts.sign_in(accounts.person())
    with office.work(read_only=True) as work:
        row = work.session.get_one(BrowserSession, opened.session.id)
    assert opened.cookie not in str(vars(row))


def test_a_second_factor_is_asked_for_and_not_counted_as_a_failure(office: Office, accounts: Accounts) -> None:
    person = accounts.person(Role.OPERATOR)
    device, _ = accounts.enrol(person)
    for _ in range(6):
        with pytest.raises(SecondFactorNeeded):
            accounts.sign_in(person)
    office.clock.forward(seconds=30)  # type: ignore[attr-defined]
    opened = accounts.sign_in(person, code=device.at(office.clock()))
    assert authentication.authenticate(office, None, opened.cookie).has(Role.OPERATOR)


def test_a_code_works_once(accounts: Accounts, clock: TestClock) -> None:
    person = accounts.person()
    device, _ = accounts.enrol(person)
    with pytest.raises(Unauthenticated):  # the one that confirmed the enrolment
        accounts.sign_in(person, code=device.at(clock.now))
    clock.forward(seconds=30)
    code = device.at(clock.now)
    accounts.sign_in(person, code=code)
    with pytest.raises(Unauthenticated) as caught:
        accounts.sign_in(person, code=code)
    assert not isinstance(caught.value, SecondFactorNeeded)


def test_a_recovery_code_works_once(accounts: Accounts) -> None:
    person = accounts.person()
    _, codes = accounts.enrol(person)
    assert accounts.sign_in(person, code=codes[3].lower()).session.is_strong
    with pytest.raises(Unauthenticated):
        accounts.sign_in(person, code=codes[3])
    assert len(accounts.stored(person.id).recovery_digests) == len(codes) - 1
    assert "members.recovery_code_used" in accounts.actions()


def test_wrong_codes_lock_the_account(accounts: Accounts) -> None:
    person = accounts.person()
    accounts.enrol(person)
    for number in range(5):
        with pytest.raises(Unauthenticated):
            accounts.sign_in(person, code=f"00000{number}")
    with pytest.raises(TooMany):
        accounts.sign_in(person, code="000009")


def test_one_code_brought_twice_at_once_opens_one_session(accounts: Accounts, clock: TestClock) -> None:
    person = accounts.person()
    device, _ = accounts.enrol(person)
    clock.forward(seconds=30)
    code = device.at(clock.now)
    opened: list[object] = []

    def enter() -> None:
        try:
            opened.append(accounts.sign_in(person, code=code))
        except Unauthenticated:
            pass

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1


@pytest.mark.parametrize("change", ["disabled", "password"])
def test_an_account_that_changes_while_its_password_is_checked_does_not_let_in(
    office: Office, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    person = accounts.person()
    verify = PasswordHashing.verify

    def changed_meanwhile(self: PasswordHashing, stored: str | None, password: str) -> bool:
        with office.work(SYSTEM) as work:
            if change == "disabled":
                service.disable(work, person.id, "left")
            else:
                passwords.set_password(work, work.session.get_one(Person, person.id), "seven quiet mountains at dawn")
        return verify(self, stored, password)

    monkeypatch.setattr(PasswordHashing, "verify", changed_meanwhile)
    with pytest.raises(Unauthenticated):
        accounts.sign_in(person)


def test_a_hash_of_another_cost_is_renewed_at_sign_in(accounts: Accounts) -> None:
    old = PasswordHashing(passes=2, memory_kib=8 * 1024).hash(PASSWORD)
    person = accounts.person(password_hash=old)
    accounts.sign_in(person)
    renewed = accounts.stored(person.id).password_hash
    assert renewed is not None
    assert renewed != old
    assert passwords.hashing(accounts.office.settings).verify(renewed, PASSWORD)


def _change(office: Office, actor: Actor, current: str, new: str) -> None:
    sign_in.change_password(office, actor, current, new, Browser(ADDRESS))


def test_changing_the_password_ends_the_other_sessions(office: Office, accounts: Accounts) -> None:
    person = accounts.person()
    here, elsewhere = accounts.sign_in(person), accounts.sign_in(person)
    actor = authentication.authenticate(office, None, here.cookie)
    _change(office, actor, PASSWORD, "seven quiet mountains at dawn")
    assert authentication.authenticate(office, None, here.cookie) == actor
    assert authentication.authenticate(office, None, elsewhere.cookie) == ANONYMOUS
    with pytest.raises(Unauthenticated):
        accounts.sign_in(person)
    accounts.sign_in(person, "seven quiet mountains at dawn")
    assert "members.password_changed" in accounts.actions()
    assert "変更" in accounts.mails(person.email)[-1].subject


def test_changing_the_password_takes_the_present_one_a_good_new_one_and_a_browser(
    office: Office, accounts: Accounts
) -> None:
    person = accounts.person()
    actor = accounts.actor(person)
    with pytest.raises(Invalid):
        _change(office, actor, PASSWORD, "password1234567")
    with pytest.raises(Forbidden):
        _change(office, Actor(person_id=person.id, token_id=person.id), PASSWORD, "seven quiet mountains at dawn")
    for _ in range(4):  # the refused new one above counts too
        with pytest.raises(Forbidden):
            _change(office, actor, "wrong", "seven quiet mountains at dawn")
    with pytest.raises(TooMany):
        _change(office, actor, PASSWORD, "seven quiet mountains at dawn")


def test_the_first_operator_is_made_at_the_terminal_once(office: Office, accounts: Accounts) -> None:
    with office.work(SYSTEM) as work:
        person = service.first_operator(work, "Chief@Example.jp", "長官", PASSWORD)
    with office.work(SYSTEM) as work, pytest.raises(Conflict):
        service.first_operator(work, "second@example.jp", "次官", PASSWORD)
    with office.work(accounts.actor(person)) as work, pytest.raises(Forbidden):
        service.first_operator(work, "second@example.jp", "次官", PASSWORD)
    opened = accounts.sign_in("chief@example.jp")
    assert not authentication.authenticate(office, None, opened.cookie).has(Role.OPERATOR)  # no second factor yet
    device, _ = accounts.enrol(person)
    office.clock.forward(seconds=30)  # type: ignore[attr-defined]
    opened = accounts.sign_in("chief@example.jp", code=device.at(office.clock()))
    assert authentication.authenticate(office, None, opened.cookie).has(Role.OPERATOR)


def test_the_first_operators_password_is_checked(office: Office) -> None:
    with pytest.raises(Invalid), office.work(SYSTEM) as work:
        service.first_operator(work, "chief@example.jp", "長官", "chief@example.jp")
    with office.work(SYSTEM, read_only=True) as work:
        assert service.contacts_with(work, Role.OPERATOR) == []
