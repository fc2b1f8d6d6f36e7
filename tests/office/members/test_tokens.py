from __future__ import annotations

import pytest
from pydantic import ValidationError

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from kiban.office.guards.tokens import token_hint
from kiban.office.members import authentication, tokens
from kiban.office.members.models import ApiToken
from kiban.office.members.schemas import TokenIn
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.work import ANONYMOUS, Role

from .conftest import Accounts


def _wanted(*scopes: str, days: int = 90) -> TokenIn:
    return TokenIn(name="nightly", scopes=list(scopes) or ["usage:read"], expires_in_days=days)


def test_a_token_is_shown_once_and_kept_as_a_digest(office: Office, accounts: Accounts) -> None:
    actor = accounts.actor(accounts.person())
    with office.work(actor) as work:
        row, text = tokens.create(work, _wanted())
    with office.work(actor, read_only=True) as work:
        (listed,) = tokens.listed(work, PageRequest()).items
        assert listed.start == token_hint(text)
        assert text not in str(vars(work.session.get_one(ApiToken, row.id)))
    assert accounts.actions() == ["members.token_created"]


def test_unknown_scopes_and_long_lives_are_refused(office: Office, accounts: Accounts) -> None:
    actor = accounts.actor(accounts.person())
    for scope in ("usage:delete", "everything:read", "*", "usage", "auth:write"):
        with office.work(actor) as work, pytest.raises(Invalid):
            tokens.create(work, _wanted(scope))
    with pytest.raises(ValidationError):
        _wanted(days=366)
    with office.work(actor) as work, pytest.raises(Invalid):
        tokens.create(work, TokenIn.model_construct(name="x", scopes=["usage:read"], expires_in_days=366))


def test_a_token_makes_no_token(office: Office, accounts: Accounts) -> None:
    person = accounts.person()
    with office.work(accounts.actor(person)) as work:
        _, text = tokens.create(work, _wanted("members:write"))
    with office.work(authentication.authenticate(office, text, None)) as work, pytest.raises(Forbidden):
        tokens.create(work, _wanted("ledger:write"))
    with office.work(ANONYMOUS) as work, pytest.raises(Unauthenticated):
        tokens.create(work, _wanted())


def test_nobody_makes_a_token_for_another(office: Office, accounts: Accounts) -> None:
    other = accounts.person()
    with office.work(accounts.actor(accounts.person(Role.OPERATOR))) as work, pytest.raises(Forbidden):
        tokens.create(work, _wanted(), person_id=other.id)


def test_one_sees_and_ends_ones_own_and_operators_end_all(office: Office, accounts: Accounts) -> None:
    holder, stranger = accounts.person(), accounts.person()
    with office.work(accounts.actor(holder)) as work:
        row, text = tokens.create(work, _wanted())
    with office.work(accounts.actor(stranger)) as work:
        assert tokens.listed(work, PageRequest(), person_id=holder.id).items == []
        with pytest.raises(NotFound):
            tokens.revoke(work, row.id)
    with office.work(accounts.actor(accounts.person(Role.AUDITOR))) as work:
        assert [seen.id for seen in tokens.listed(work, PageRequest()).items] == [row.id]
        with pytest.raises(Forbidden):
            tokens.revoke(work, row.id)
    with office.work(accounts.actor(accounts.person(Role.OPERATOR))) as work:
        tokens.revoke(work, row.id)
    with pytest.raises(Unauthenticated):
        authentication.authenticate(office, text, None)
    assert accounts.actions() == ["members.token_created", "members.token_revoked"]


def test_a_token_may_end_itself_and_no_other(office: Office, accounts: Accounts) -> None:
    with office.work(accounts.actor(accounts.person())) as work:
        one, text = tokens.create(work, _wanted("members:write"))
        two, _ = tokens.create(work, _wanted())
    with office.work(authentication.authenticate(office, text, None)) as work:
        with pytest.raises(Forbidden):
            tokens.revoke(work, two.id)
        tokens.revoke(work, one.id)


def test_live_tokens_are_so_many_and_no_more(
    office: Office, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST_LIVE", 2)
    actor = accounts.actor(accounts.person())
    with office.work(actor) as work:
        row, _ = tokens.create(work, _wanted())
        tokens.create(work, _wanted())
        with pytest.raises(Conflict):
            tokens.create(work, _wanted())
        tokens.revoke(work, row.id)
        tokens.create(work, _wanted())
