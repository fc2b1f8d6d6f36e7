from __future__ import annotations

from kiban.office.office import Office
from kiban.office.timed import ELECTION_SECONDS, NOTED_EVERY_SECONDS, TASKS, TimedTask, TimedWork
from kiban.office.timed_runs import Run, last_runs

from .conftest import TestClock


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


def test_the_last_run_of_each_task_is_known(office: Office, clock: TestClock) -> None:
    is_broken = False

    def task(office: Office) -> None:
        if is_broken:
            raise KeyError("a secret")

    def known() -> Run:
        with office.work(read_only=True) as work:
            return last_runs(work)["task"]

    work = TimedWork(office, [TimedTask("task", 1, task)])
    work.run_due(0.0)
    first = clock()
    clock.forward(seconds=2)
    work.run_due(2.0)
    assert known() == Run(first, ""), "not a write for every run"
    clock.forward(seconds=NOTED_EVERY_SECONDS)
    work.run_due(NOTED_EVERY_SECONDS)
    assert known() == Run(clock(), "")
    is_broken = True
    clock.forward(seconds=1)
    work.run_due(NOTED_EVERY_SECONDS + 1)
    assert known() == Run(clock(), "KeyError")
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
