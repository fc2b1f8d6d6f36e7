from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kiban.kit.errors import BadInput
from kiban.make.corpus.executors import Executor, WorkerEnded, executor_for, in_order
from kiban.make.corpus.executors.processes import InProcess, Processes


def squared(number: int) -> int:
    print("not an answer")
    return number * number


def refused(number: int) -> int:
    if number == 3:
        raise BadInput("three is refused", where="the list", hint="leave it out")
    return number


def killed(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def identity(number: int) -> tuple[int, int]:
    time.sleep(0.05)
    return number, os.getpid()


@pytest.mark.parametrize("executor", [InProcess(), Processes(1), Processes(3)], ids=["here", "one", "three"])
def test_every_argument_gives_its_result(executor: Executor) -> None:
    with executor:
        assert in_order(executor, squared, range(50)) == [number * number for number in range(50)]
        assert in_order(executor, squared, []) == []
        assert sorted(executor.each(squared, [7])) == [(0, 49)]


def test_work_is_spread_over_the_processes_and_none_is_left_behind() -> None:
    with Processes(2) as executor:
        workers = {worker for _, worker in in_order(executor, identity, range(8))}
        assert len(workers) == 2
        assert os.getpid() not in workers
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


@pytest.mark.parametrize("executor", [InProcess(), Processes(2)], ids=["here", "processes"])
def test_an_error_arrives_with_all_that_it_says(executor: Executor) -> None:
    with executor, pytest.raises(BadInput) as caught:
        in_order(executor, refused, range(100))
    assert str(caught.value) == "the list: three is refused (leave it out)"


def test_a_worker_that_is_killed_is_an_error_not_a_wait() -> None:
    with Processes(2) as executor:
        with pytest.raises(WorkerEnded, match="status -9"):
            in_order(executor, killed, range(100))
        assert in_order(executor, squared, [3, 4]) == [9, 16]  # with new processes


PARENT = """
import sys
from kiban.make.corpus.executors.processes import Processes
from tests.make.corpus.test_executors import identity
with Processes(2) as executor:
    for _, (number, worker) in executor.each(identity, range(10_000)):
        print(worker, flush=True)
"""


def test_workers_end_when_their_parent_is_killed() -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout is not None
        workers = {int(parent.stdout.readline()) for _ in range(8)}
        parent.kill()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker goes on without its parent"
        time.sleep(0.02)


def test_one_worker_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert isinstance(executor_for(workers=1), InProcess)
    assert executor_for().workers == 3


def test_each_call_has_new_processes_and_loses_no_work() -> None:
    with Processes(2) as executor:
        before: set[int] = set()
        for _ in range(20):
            found = in_order(executor, identity, range(3))
            assert [number for number, _ in found] == [0, 1, 2]
            workers = {worker for _, worker in found}
            assert not workers & before
            before |= workers


@pytest.mark.parametrize("executor", [InProcess(), Processes(2)], ids=["here", "processes"])
def test_what_is_wrong_with_the_preparation_is_said_before_any_work(executor: Executor) -> None:
    with executor, pytest.raises(BadInput, match="three is refused"):
        executor.prepare(refused, 3)
