from __future__ import annotations

import itertools
import threading
import uuid

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiban.office.errors import Conflict, Invalid
from kiban.office.ledger import accounts
from kiban.office.ledger.accounts import YEN
from kiban.office.ledger.models import Posting
from kiban.office.ledger.service import LARGEST, Overdrawn, balance, balances, post
from kiban.office.ledger.verification import verify
from kiban.office.office import Office

from .conftest import BUDGET, CALL, COMMITTED, GRANT, SOURCE, entry, give


def test_a_move_takes_from_one_account_what_it_gives_to_another(office: Office) -> None:
    give(office, 1_000)
    with office.work() as work:
        post(work, entry("award", COMMITTED, BUDGET, 300))
        assert balances(work, [SOURCE, BUDGET, COMMITTED]) == {SOURCE: -1_000, BUDGET: 700, COMMITTED: 300}


def test_a_cause_posts_once(office: Office) -> None:
    give(office, 1_000)
    for _ in range(3):
        with office.work() as work:
            again = post(work, entry("budget", BUDGET, SOURCE, 1_000))
    assert [posting.number for posting in again] == [1]
    with office.work() as work:
        assert balance(work, BUDGET) == 1_000


def test_a_cause_cannot_post_something_else_later(office: Office) -> None:
    give(office, 1_000)
    with pytest.raises(Conflict, match="posted before with other amounts"), office.work() as work:
        post(work, entry("budget", BUDGET, SOURCE, 1_001))


def test_the_same_cause_twice_in_one_work_posts_once(office: Office) -> None:
    twice = entry("budget", BUDGET, SOURCE, 5)
    with office.work() as work:
        assert [posting.number for posting in post(work, twice, twice)] == [1, 1]
        assert balance(work, BUDGET) == 5


def test_what_is_not_there_cannot_be_spent_and_nothing_of_the_work_stays(office: Office) -> None:
    give(office, 100)
    with pytest.raises(Overdrawn) as caught, office.work() as work:
        post(work, entry("a", COMMITTED, BUDGET, 60), entry("b", COMMITTED, BUDGET, 60))
    assert caught.value.balance == -20
    with office.work() as work:
        assert balance(work, BUDGET) == 100
        assert verify(work).postings == 1


def test_an_entry_may_not_borrow_from_a_later_one(office: Office) -> None:
    with pytest.raises(Overdrawn), office.work() as work:
        post(work, entry("spend", COMMITTED, BUDGET, 10), entry("give", BUDGET, SOURCE, 10))


def test_units_do_not_mix_and_amounts_are_bounded(office: Office) -> None:
    gpu = accounts.budget(CALL, accounts.gpu_seconds(uuid.UUID(int=9)))
    for wrong in (
        entry("units", gpu, SOURCE, 1),
        entry("negative", BUDGET, SOURCE, -1),
        entry("huge", BUDGET, SOURCE, LARGEST + 1),
        entry("self", BUDGET, BUDGET, 1),
    ):
        with pytest.raises(Invalid), office.work() as work:
            post(work, wrong)


def test_an_entry_of_nothing_posts_nothing(office: Office) -> None:
    with office.work() as work:
        assert post(work, entry("nothing", BUDGET, SOURCE, 0)) == []
        assert verify(work).postings == 0


@pytest.mark.parametrize("verb", ["UPDATE postings SET amount = 1", "DELETE FROM postings", "DELETE FROM accounts"])
def test_the_database_refuses_to_change_the_books(office: Office, verb: str) -> None:
    give(office, 100)
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), office.work() as work:
        work.session.execute(sa.text(verb))


def test_writers_at_once_spend_what_there_is_and_no_more(office: Office) -> None:
    give(office, 100)
    outcomes: list[bool] = []

    def spend(writer: int) -> None:
        for number in range(10):
            try:
                with office.work() as work:
                    post(work, entry(f"{writer}-{number}", COMMITTED, BUDGET, 3))
                outcomes.append(True)
            except Overdrawn:
                outcomes.append(False)

    threads = [threading.Thread(target=spend, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with office.work() as work:
        assert sum(outcomes) == 33  # 33 x 3 = 99
        assert balance(work, BUDGET) == 1
        verification = verify(work)
    assert verification.ok
    assert verification.postings == 34


def test_writers_at_once_with_one_cause_post_it_once(office: Office) -> None:
    give(office, 100)

    def spend() -> None:
        with office.work() as work:
            post(work, entry("the same", COMMITTED, BUDGET, 40))

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with office.work() as work:
        assert balance(work, COMMITTED) == 40
        assert work.session.scalar(sa.select(sa.func.count()).select_from(Posting)) == 2


EXAMPLES = itertools.count()  # one set of books sees every example: causes must differ
HOLDERS = [BUDGET, COMMITTED, accounts.available(GRANT, YEN), accounts.used(GRANT, YEN), SOURCE]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from(HOLDERS), st.sampled_from(HOLDERS), st.integers(1, 50)),
        max_size=12,
    )
)
def test_whatever_is_asked_the_books_hold(
    office: Office, asked: list[tuple[int, accounts.AccountRef, accounts.AccountRef, int]]
) -> None:
    """Against a dictionary: the same moves succeed, the same balances result, the sum is always zero."""
    example = next(EXAMPLES)
    with office.work() as work:
        model = balances(work, HOLDERS)
    done: dict[str, tuple[object, object, int]] = {}
    for cause, debit, credit, amount in asked:
        cause_id = f"{example}-{cause}"
        wanted = (debit, credit, amount)
        try:
            with office.work() as work:
                post(work, entry(cause_id, debit, credit, amount))
            succeeded = True
        except (Conflict, Invalid):
            succeeded = False
        if cause_id in done:
            assert succeeded == (done[cause_id] == wanted)
            continue
        assert succeeded == (debit != credit and (credit == SOURCE or model[credit] >= amount))
        if succeeded:
            done[cause_id] = wanted
            model[debit] += amount
            model[credit] -= amount
    with office.work() as work:
        assert balances(work, HOLDERS) == model
        assert sum(model.values()) == 0
        assert verify(work).ok
