from __future__ import annotations

from kiban.office.office import Office
from kiban.office.timed import ELECTION_SECONDS, TASKS, TimedTask, TimedWork


def test_tasks_run_when_due_and_one_that_fails_stops_no_other(office: Office) -> None:
    ran: list[str] = []

    def fail(office: Office) -> None:
        ran.append("failing")
        raise RuntimeError

    work = TimedWork(office, [TimedTask("failing", 5, fail), TimedTask("slow", 60, lambda office: ran.append("slow"))])
    assert work.run_due(1000.0) == 5
    assert work.run_due(1004.0) == 1
    assert ran == ["failing", "slow"]
    work.run_due(1005.0)
    assert ran == ["failing", "slow", "failing"]
    work.stop()


def test_one_process_leads_and_another_follows_when_it_is_gone(office: Office) -> None:
    ran: list[str] = []
    first, second = (
        TimedWork(office, [TimedTask("task", 1, lambda office, who=who: ran.append(who))])
        for who in ("first", "second")
    )
    first.run_due(0.0)
    assert second.run_due(0.0) == ELECTION_SECONDS
    assert ran == ["first"]
    first.stop()
    second.run_due(ELECTION_SECONDS)
    assert ran == ["first", "second"]
    second.stop()


def test_the_office_s_own_tasks_run_on_an_empty_office(office: Office) -> None:
    for task in TASKS:
        task.function(office)
