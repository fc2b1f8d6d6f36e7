from __future__ import annotations

import threading

import pytest

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated
from kiban.office.members import attempts, invitations, roles, service
from kiban.office.members.models import Invitation
from kiban.office.members.schemas import InvitationIn, NewAccount
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.work import ANONYMOUS, SYSTEM, Actor, Role

from ..conftest import Rows, TestClock
from .conftest import PASSWORD, Accounts

EMAIL = "hanako@example.jp"
ACCOUNT = NewAccount(name="山田花子", password=PASSWORD)
PAGE = PageRequest()


def _invite(office: Office, actor: Actor = SYSTEM, **given: object) -> Invitation:
    with office.work(actor) as work:
        return invitations.invite(work, InvitationIn.model_validate({"email": EMAIL} | given))


def _accept(office: Office, token: str, actor: Actor = ANONYMOUS, account: NewAccount | None = ACCOUNT) -> object:
    with office.work(actor) as work:
        return invitations.accept(work, token, account).id


def test_an_invitation_makes_an_account_in_its_place_with_its_roles(
    office: Office, rows: Rows, accounts: Accounts
) -> None:
    organisation, call, operator = rows.organisation(), rows.call(), rows.actor(Role.OPERATOR)
    row = _invite(office, operator, organisation_id=organisation.id, call_id=call.id, roles=["reviewer", "panel"])
    token = accounts.token_mailed(EMAIL)
    assert token not in str(vars(row))
    with office.work(ANONYMOUS) as work:
        offered = invitations.preview(work, token)
    assert (offered.email, offered.organisation_ja, offered.has_account) == (EMAIL, organisation.name_ja, False)
    _accept(office, token)
    person = accounts.sign_in(EMAIL).person
    assert person.organisation_id == organisation.id
    with office.work(SYSTEM, read_only=True) as work:
        given = roles.listed(work, PAGE, person_id=person.id).items
    assert {(grant.role, grant.call_id, grant.granted_by) for grant in given} == {
        (Role.REVIEWER, call.id, operator.person_id),
        (Role.PANEL, call.id, operator.person_id),
    }
    with pytest.raises(Conflict):
        _accept(office, token)
    assert accounts.actions() == [
        "members.invited",
        "members.role_granted",
        "members.role_granted",
        "members.invitation_accepted",
        "members.signed_in",
    ]


def test_expired_withdrawn_and_unknown_ones_do_not_work(office: Office, accounts: Accounts, clock: TestClock) -> None:
    row = _invite(office)
    token = accounts.token_mailed(EMAIL)
    with office.work(SYSTEM) as work:
        invitations.revoke(work, row.id)
    with pytest.raises(Conflict, match="withdrawn"):
        _accept(office, token)
    clock.forward(seconds=1)
    _invite(office)
    token = accounts.token_mailed(EMAIL)
    clock.forward(days=14)
    with pytest.raises(Conflict, match="expired"):
        _accept(office, token)
    with pytest.raises(NotFound):
        _accept(office, token[:-1])


def test_a_new_invitation_replaces_the_one_before(office: Office, accounts: Accounts, clock: TestClock) -> None:
    _invite(office)
    first = accounts.token_mailed(EMAIL)
    clock.forward(seconds=1)
    _invite(office)
    second = accounts.token_mailed(EMAIL)
    with pytest.raises(Conflict):
        _accept(office, first)
    _accept(office, second)


def test_it_is_bound_to_its_address(office: Office, rows: Rows, accounts: Accounts) -> None:
    """A link that was passed on neither gives its roles to another account nor opens the invited one's."""
    invited, other, organisation = accounts.person(email=EMAIL), rows.actor(), rows.organisation()
    _invite(office, organisation_id=organisation.id, roles=["reviewer"])
    token = accounts.token_mailed(EMAIL)
    with pytest.raises(Unauthenticated):
        _accept(office, token)
    with pytest.raises(Forbidden):
        _accept(office, token, other)
    assert accounts.sign_in(invited).person.name == invited.name  # the password stayed
    _accept(office, token, Actor(person_id=invited.id), None)
    assert accounts.stored(invited.id).organisation_id == organisation.id
    with office.work(SYSTEM, read_only=True) as work:
        assert [row.role for row in roles.listed(work, PAGE, person_id=invited.id).items] == [Role.REVIEWER]


def test_somebody_signed_in_makes_no_account_for_another(office: Office, rows: Rows, accounts: Accounts) -> None:
    _invite(office)
    with pytest.raises(Forbidden):
        _accept(office, accounts.token_mailed(EMAIL), rows.actor())


def test_nobody_is_taken_from_their_organisation_by_a_link(office: Office, rows: Rows, accounts: Accounts) -> None:
    person = accounts.person(email=EMAIL, organisation=rows.organisation())
    _invite(office, organisation_id=rows.organisation().id)
    with pytest.raises(Conflict):
        _accept(office, accounts.token_mailed(EMAIL), Actor(person_id=person.id))


def test_a_refused_password_does_not_use_the_invitation_up(office: Office, accounts: Accounts) -> None:
    _invite(office)
    token = accounts.token_mailed(EMAIL)
    with pytest.raises(Invalid):
        _accept(office, token, account=NewAccount(name="花子", password="hanako@example.jp"))
    with pytest.raises(Invalid):
        _accept(office, token, account=None)
    _accept(office, token)


def test_applicants_invite_applicants_into_their_own_organisation(office: Office, rows: Rows) -> None:
    ours, theirs, call = rows.organisation(), rows.organisation(), rows.call()
    me = rows.actor(Role.APPLICANT, organisation=ours)
    _invite(office, me, organisation_id=ours.id)
    for given in (
        {},
        {"organisation_id": theirs.id},
        {"organisation_id": ours.id, "roles": ["applicant", "operator"]},
        {"organisation_id": ours.id, "call_id": call.id},
    ):
        with pytest.raises(Forbidden):
            _invite(office, me, **given)
    with pytest.raises(Forbidden):
        _invite(office, rows.actor(Role.REVIEWER, organisation=ours), organisation_id=ours.id)
    with pytest.raises(Unauthenticated):
        _invite(office, ANONYMOUS, organisation_id=ours.id)


def test_applicants_do_not_invite_without_end(office: Office, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = attempts.Limit("invitation", 2, *(attempts.INVITATIONS.within,) * 3)
    monkeypatch.setattr(attempts, "INVITATIONS", limit)
    ours = rows.organisation()
    me, operator = rows.actor(Role.APPLICANT, organisation=ours), rows.actor(Role.OPERATOR)
    for number in range(2):
        _invite(office, me, email=f"person{number}@example.org", organisation_id=ours.id)
    with pytest.raises(TooMany):
        _invite(office, me, organisation_id=ours.id)
    for number in range(4):
        _invite(office, operator, email=f"other{number}@example.org")


def test_one_sees_and_withdraws_ones_own(office: Office, rows: Rows, accounts: Accounts) -> None:
    ours = rows.organisation()
    me, colleague = (rows.actor(Role.APPLICANT, organisation=ours) for _ in range(2))
    row = _invite(office, me, organisation_id=ours.id)
    with office.work(colleague) as work:
        assert invitations.listed(work, PAGE).items == []
        with pytest.raises(NotFound):
            invitations.revoke(work, row.id)
    with office.work(rows.actor(Role.AUDITOR)) as work:
        assert [seen.id for seen in invitations.listed(work, PAGE, is_open=True).items] == [row.id]
        with pytest.raises(Forbidden):
            invitations.revoke(work, row.id)
    with office.work(me) as work:
        invitations.revoke(work, row.id)
        with pytest.raises(Conflict):
            invitations.revoke(work, row.id)
    with office.work(me) as work:
        assert invitations.listed(work, PAGE, is_open=True).items == []
    assert accounts.actions() == ["members.invited", "members.invitation_revoked"]


def test_the_invitations_of_an_operator_end_with_the_role(office: Office, rows: Rows, accounts: Accounts) -> None:
    """Or one who is about to be removed could come back through the side door."""
    rows.person(Role.OPERATOR)
    leaving, disabled = rows.person(Role.OPERATOR), rows.person(Role.OPERATOR)
    for number, person in enumerate((leaving, disabled)):
        actor = Actor(person_id=person.id, roles=frozenset({Role.OPERATOR}))
        _invite(office, actor, email=f"friend{number}@example.org", roles=["operator"])
    with office.work(SYSTEM) as work:
        (grant,) = roles.listed(work, PAGE, person_id=leaving.id).items
        roles.revoke(work, grant.id)
        service.disable(work, disabled.id, "left")
    for number in range(2):
        with pytest.raises(Conflict, match="withdrawn"):
            _accept(office, accounts.token_mailed(f"friend{number}@example.org"))


def test_who_leaves_an_organisation_leaves_no_door_open(office: Office, rows: Rows, accounts: Accounts) -> None:
    organisation = rows.organisation()
    leaving = rows.actor(Role.APPLICANT, organisation=organisation)
    _invite(office, leaving, organisation_id=organisation.id)
    with office.work(SYSTEM) as work:
        service.move(work, leaving.person_id, None, "left")
    with pytest.raises(Conflict, match="withdrawn"):
        _accept(office, accounts.token_mailed(EMAIL))


def test_nobody_joins_an_organisation_that_closed_since(office: Office, rows: Rows, accounts: Accounts) -> None:
    organisation = rows.organisation()
    _invite(office, organisation_id=organisation.id)
    with office.work(SYSTEM) as work:
        service.close_organisation(work, organisation.id, "合併")
    with pytest.raises(Conflict, match="closed"):
        _accept(office, accounts.token_mailed(EMAIL))


def test_closed_organisations_and_unknown_calls_are_refused(office: Office, rows: Rows) -> None:
    closed = rows.organisation(closed_at=office.clock())
    with pytest.raises(Conflict):
        _invite(office, organisation_id=closed.id)
    for given in ({"organisation_id": SOME}, {"call_id": SOME}, {"roles": ["operator", "auditor"]}):
        with pytest.raises(Invalid):
            _invite(office, **given)


SOME = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("has_account", [True, False])
def test_two_who_accept_one_invitation_at_once(office: Office, accounts: Accounts, has_account: bool) -> None:
    actor = Actor(person_id=accounts.person(email=EMAIL).id) if has_account else ANONYMOUS
    _invite(office, roles=["reviewer", "applicant"])
    token = accounts.token_mailed(EMAIL)
    barrier = threading.Barrier(4)
    accepted: list[object] = []
    refused: list[Exception] = []

    def accept() -> None:
        barrier.wait()
        try:
            accepted.append(_accept(office, token, actor))
        except Exception as error:
            refused.append(error)

    threads = [threading.Thread(target=accept) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(accepted) == 1
    assert {type(error) for error in refused} == {Conflict}
    with office.work(SYSTEM, read_only=True) as work:
        assert len(roles.listed(work, PAGE).items) == 2


def test_a_mail_says_it_in_the_language_wanted(office: Office, accounts: Accounts) -> None:
    _invite(office, language="en")
    assert accounts.mails(EMAIL)[-1].subject == "You are invited"
