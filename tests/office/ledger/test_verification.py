from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.hash_chain import GENESIS
from kiban.office.ledger import repository
from kiban.office.ledger.verification import Verification, verify
from kiban.office.office import Office

from .conftest import BUDGET, COMMITTED, entry, give


def tamper(office: Office, *statements: str) -> Verification:
    """What verifying says after an administrator of the database has taken the triggers away and changed rows."""
    with office.work() as work:
        for table in ("postings", "accounts"):
            if office.database.is_sqlite:
                work.session.execute(sa.text(f"DROP TRIGGER {table}_no_update"))
                work.session.execute(sa.text(f"DROP TRIGGER {table}_no_delete"))
            else:
                work.session.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for statement in statements:
            work.session.execute(sa.text(statement))
    with office.work(read_only=True) as work:
        return verify(work)


def test_what_is_posted_while_it_verifies_is_no_fault(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    give(office, 1_000)
    read = repository.read_head

    def after_another_posting(session: Session) -> tuple[int, str]:
        give(office, 1, "meanwhile")
        return read(session)

    monkeypatch.setattr(repository, "read_head", after_another_posting)
    with office.work(read_only=True) as work:
        answer = verify(work)
    assert (answer.ok, answer.postings) == (True, 1)


@pytest.fixture
def books(office: Office) -> Office:
    from kiban.office.ledger.service import post

    give(office, 1_000)
    for number in range(1, 5):
        with office.work() as work:
            post(work, entry(f"award-{number}", COMMITTED, BUDGET, 100, 10))
    return office


def test_untouched_books_hold(books: Office) -> None:
    with books.work(read_only=True) as work:
        found = verify(work)
    assert (found.ok, found.postings, found.bad_number) == (True, 9, None)


def test_empty_books_hold(office: Office) -> None:
    with office.work(read_only=True) as work:
        assert verify(work) == Verification(True, 0, 0, GENESIS)


@pytest.mark.parametrize(
    ("statement", "bad_number"),
    [
        ("UPDATE postings SET amount = 99 WHERE number = 4", 4),
        ("UPDATE postings SET memo = 'x' WHERE number = 5", 5),
        ("UPDATE postings SET debit_account = credit_account, credit_account = debit_account WHERE number = 6", 6),
        ("UPDATE postings SET cause_id = 'other' WHERE number = 2", 2),
        ("UPDATE postings SET at = '2020-01-01 00:00:00+00:00' WHERE number = 7", 7),
        ("UPDATE postings SET hash = previous_hash WHERE number = 3", 3),
        ("DELETE FROM postings WHERE number = 5", 6),
        ("DELETE FROM postings WHERE number = 9", 9),
        ("DELETE FROM postings", 1),
        ("UPDATE accounts SET kind = 'overrun' WHERE kind = 'budget'", 0),
    ],
)
def test_the_first_bad_row_is_named(books: Office, statement: str, bad_number: int) -> None:
    found = tamper(books, statement)
    assert not found.ok
    assert found.bad_number == bad_number
    assert found.problem


def test_a_head_noted_elsewhere_shows_a_rewritten_chain(books: Office) -> None:
    with books.work(read_only=True) as work:
        noted = verify(work).head
        assert verify(work, expected_head=noted).ok
    tamper(books, "DELETE FROM postings", "DELETE FROM ledger_head")
    give(books, 5, "a new beginning")
    with books.work(read_only=True) as work:
        assert verify(work).ok
        found = verify(work, expected_head=noted)
    assert not found.ok
    assert "rewritten" in found.problem
