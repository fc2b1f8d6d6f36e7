from __future__ import annotations

import pyotp
import pytest

from kiban.office.errors import Conflict, Forbidden, Invalid, Unauthenticated
from kiban.office.members import authentication, second_factor
from kiban.office.office import Office
from kiban.office.work import ANONYMOUS, SYSTEM, Actor, Role

from ..conftest import TestClock
from .conftest import Accounts


def test_confirming_puts_the_roles_into_force_and_ends_other_sessions(office: Office, accounts: Accounts) -> None:
    person = accounts.person(Role.PANEL)
    here, elsewhere = accounts.sign_in(person), accounts.sign_in(person)
    actor = authentication.authenticate(office, None, here.cookie)
    assert not actor.has(Role.PANEL)
    with office.work(actor) as work:
        begun = second_factor.begin(work)
    assert begun.uri.startswith("otpauth://totp/")
    assert begun.secret in begun.uri
    accounts.sign_in(person)  # not in force before it is confirmed
    with office.work(actor) as work:
        codes = second_factor.confirm(work, pyotp.TOTP(begun.secret).at(office.clock()))
    assert len(set(codes)) == 10
    assert authentication.authenticate(office, None, here.cookie).has(Role.PANEL)
    assert authentication.authenticate(office, None, elsewhere.cookie) == ANONYMOUS
    assert begun.secret not in str(accounts.stored(person.id).totp_secret)
    assert "members.second_factor_enrolled" in accounts.actions()


def test_a_wrong_code_or_none_begun_confirms_nothing(office: Office, accounts: Accounts) -> None:
    person = accounts.person()
    actor = accounts.actor(person)
    with office.work(actor) as work, pytest.raises(Conflict):
        second_factor.confirm(work, "123456")
    with office.work(actor) as work:
        begun = second_factor.begin(work)
    right = pyotp.TOTP(begun.secret).at(office.clock())
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    with office.work(actor) as work, pytest.raises(Invalid):
        second_factor.confirm(work, wrong)
    assert accounts.stored(person.id).totp_secret is None


def test_taking_an_account_over_takes_a_recent_sign_in(office: Office, accounts: Accounts, clock: TestClock) -> None:
    person = accounts.person()
    actor = accounts.actor(person)
    clock.forward(minutes=16)
    token = Actor(person_id=person.id, token_id=person.id)
    for given in (actor, token):
        for act in (second_factor.begin, second_factor.renew_recovery_codes):
            with office.work(given) as work, pytest.raises(Forbidden):
                act(work)
    with office.work(ANONYMOUS) as work, pytest.raises(Unauthenticated):
        second_factor.begin(work)


def test_new_recovery_codes_replace_the_old(office: Office, accounts: Accounts) -> None:
    person = accounts.person()
    _, old = accounts.enrol(person)
    with office.work(accounts.actor(person)) as work:
        new = second_factor.renew_recovery_codes(work)
    with pytest.raises(Unauthenticated):
        accounts.sign_in(person, code=old[0])
    accounts.sign_in(person, code=new[0])


def test_an_operator_removes_a_lost_one_and_what_it_opened(office: Office, accounts: Accounts) -> None:
    person = accounts.person(Role.AUDITOR)
    accounts.enrol(person)
    cookie = accounts.open(person).cookie
    with office.work(accounts.actor(person)) as work, pytest.raises(Forbidden):
        second_factor.remove(work, person.id, "lost my telephone")
    with office.work(SYSTEM) as work:
        second_factor.remove(work, person.id, "lost telephone, identity checked")
    assert authentication.authenticate(office, None, cookie) == ANONYMOUS
    assert not accounts.sign_in(person).session.is_strong
    assert "members.second_factor_removed" in accounts.actions()


def test_a_secret_copied_into_another_row_opens_nothing(office: Office, accounts: Accounts) -> None:
    """Who can write to the database but has not the key cannot sign in as another with a device of their own."""
    attacker, victim = accounts.person(), accounts.person()
    device, _ = accounts.enrol(attacker)
    with office.work() as work:
        row = work.session.get_one(type(victim), victim.id)
        row.totp_secret = accounts.stored(attacker.id).totp_secret
    office.clock.forward(seconds=60)  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="changed or moved"):
        accounts.sign_in(victim, code=device.at(office.clock()))
