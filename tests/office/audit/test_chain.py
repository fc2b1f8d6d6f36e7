from __future__ import annotations

import pytest
import sqlalchemy as sa

from kiban.office.audit import chain, service
from kiban.office.audit.models import AuditEvent, AuditLink
from kiban.office.hash_chain import GENESIS
from kiban.office.office import Office
from kiban.office.timed import TASKS


def act(office: Office, *subjects: str) -> None:
    for subject in subjects:
        with office.work() as work:
            service.record(work, "calls.amended", "call", subject, b=1, a="公募", c={"y": None, "x": 0.5})


def verify(office: Office, head: str | None = None) -> chain.Verification:
    with office.work(read_only=True) as work:
        return chain.verify(work, expected_head=head)


def tamper(office: Office, statement: str) -> chain.Verification:
    """What verifying says after an administrator of the database has taken the triggers away and changed rows."""
    with office.work() as work:
        for table in ("audit_events", "audit_links"):
            if office.database.is_sqlite:
                work.session.execute(sa.text(f"DROP TRIGGER {table}_no_update"))
                work.session.execute(sa.text(f"DROP TRIGGER {table}_no_delete"))
            else:
                work.session.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        work.session.execute(sa.text(statement))
    return verify(office)


def test_acts_are_chained_in_their_order_and_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "BATCH", 2)
    assert verify(office) == chain.Verification(True, 0, 0, GENESIS)
    act(office, "1", "2", "3", "4", "5")
    assert verify(office) == chain.Verification(True, 0, 5, GENESIS)
    assert chain.extend(office) == 5
    assert chain.extend(office) == 0
    first = verify(office)
    assert (first.ok, first.events, first.waiting) == (True, 5, 0)
    act(office, "6")
    assert verify(office).waiting == 1
    assert chain.extend(office) == 1
    assert verify(office, first.head).ok  # the head noted before is in the longer chain
    assert verify(office).head != first.head


def test_it_is_among_what_the_office_does_by_itself() -> None:
    assert chain.extend in [task.function for task in TASKS]


@pytest.mark.parametrize(
    ("statement", "bad_number"),
    [
        ("UPDATE audit_events SET details = '{}' WHERE number = 4", 4),
        ("UPDATE audit_events SET actor_id = NULL, is_system = (1 = 0) WHERE number = 2", 2),
        ("UPDATE audit_events SET at = '2020-01-01 00:00:00+00:00' WHERE number = 3", 3),
        ("UPDATE audit_events SET address = '192.0.2.1' WHERE number = 5", 5),
        ("DELETE FROM audit_events WHERE number = 1", 1),
        ("DELETE FROM audit_events WHERE number = 5", 5),
        ("DELETE FROM audit_links WHERE number = 3", 3),
        ("UPDATE audit_links SET hash = previous_hash WHERE number = 2", 2),
    ],
)
def test_the_first_bad_act_is_named(office: Office, statement: str, bad_number: int) -> None:
    act(office, "1", "2", "3", "4", "5")
    chain.extend(office)
    found = tamper(office, statement)
    assert (found.ok, found.bad_number) == (False, bad_number)
    assert found.problem


def test_an_act_cannot_be_slipped_in_nor_taken_out_with_its_link(office: Office) -> None:
    act(office, "1", "2")
    with office.work() as work:
        service.record(work, "calls.amended", "call", "later")
        next(iter(work.session.new)).number = 9
    chain.extend(office)
    assert verify(office).events == 3
    with office.work() as work:
        service.record(work, "calls.amended", "call", "slipped in")
        next(iter(work.session.new)).number = 7
    assert verify(office).bad_number == 7
    tamper(office, "DELETE FROM audit_events WHERE number IN (2, 7)")
    assert tamper_links(office, 2).bad_number == 9


def tamper_links(office: Office, number: int) -> chain.Verification:
    with office.work() as work:
        work.session.execute(sa.delete(AuditLink).where(AuditLink.number == number))
    return verify(office)


def test_a_head_noted_elsewhere_shows_a_chain_that_was_cut_or_made_anew(office: Office) -> None:
    act(office, "1", "2", "3")
    chain.extend(office)
    noted = verify(office).head
    tamper(office, "DELETE FROM audit_events WHERE number = 3")
    assert tamper_links(office, 3).ok
    act(office, "another")
    chain.extend(office)
    assert verify(office).ok
    found = verify(office, noted)
    assert not found.ok
    assert "rewritten or cut" in found.problem


def test_rows_of_the_chain_are_added_and_never_changed(office: Office) -> None:
    act(office, "1")
    chain.extend(office)
    for statement in (sa.update(AuditLink).values(hash="x"), sa.delete(AuditLink)):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), office.work() as work:
            work.session.execute(statement)


def test_an_act_under_way_is_waited_for(office: Office) -> None:
    """It has a lower number than one that is done, and would otherwise be left out of the chain for good."""
    if office.database.is_sqlite:
        pytest.skip("one writes at a time")
    with office.database.transaction() as slow:
        slow.add(event("slow"))
        slow.flush()
        act(office, "quick")
        waits: list[float] = []
        assert chain.extend(office, wait=waits.append) == 0
        assert sum(waits) == pytest.approx(chain.PATIENCE_SECONDS)
        assert verify(office) == chain.Verification(True, 0, 1, GENESIS)

        def ends(seconds: float) -> None:
            waits.clear()
            slow.commit()

        assert chain.extend(office, wait=ends) == 2
    found = verify(office)
    assert (found.ok, found.events, found.waiting) == (True, 2, 0)


def test_an_act_that_began_later_is_not_waited_for(office: Office) -> None:
    if office.database.is_sqlite:
        pytest.skip("one writes at a time")
    act(office, "first")
    with office.database.transaction() as slow:
        slow.add(event("slow"))
        slow.flush()

        def next_one(seconds: float) -> None:
            slow.commit()
            slow.add(event("next"))
            slow.flush()

        assert chain.extend(office, wait=next_one) == 1


def event(subject: str) -> AuditEvent:
    return AuditEvent(
        at=sa.func.now(), is_system=True, action="calls.amended", subject_kind="call", subject_id=subject,
        details={}, request_id="", address="",
    )  # fmt: skip
