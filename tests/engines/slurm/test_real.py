"""Budgets against a real Slurm: what is refused, what waits, what a top-up frees, and what is counted."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kiban.engines.slurm import accounts, limits, site, usage
from kiban.engines.slurm.accounts import SlurmAccount
from kiban.engines.slurm.commands import Slurm, Unreachable
from kiban.kit.errors import BadInput, Refused

from .conftest import USERS, RealSlurm, until

pytestmark = pytest.mark.slurm
GAMES, NEWS = USERS
COUNTER = itertools.count()

Award = Callable[..., SlurmAccount]


@pytest.fixture
def award(real: RealSlurm) -> Iterator[Award]:
    """`award(gpu_minutes=8)`: an applied account of its own, with GAMES in gpu-a; its jobs end with the test."""
    made: list[str] = []

    def make(**values: object) -> SlurmAccount:
        name = f"award-{os.getpid()}-{next(COUNTER)}"
        start: dict[str, object] = {"partitions": ("gpu-a",), "gpu_minutes": 8, "users": (GAMES,)}
        account = SlurmAccount(name, "a domestic model", "institute", **(start | values))  # type: ignore[arg-type]
        assert accounts.apply(account)
        made.append(name)
        return account

    yield make
    for name in made:
        real.cancel(name)


def runs_of(account: SlurmAccount) -> list[usage.JobUsage]:
    since = datetime.now(UTC) - timedelta(minutes=30)
    return [run for run in usage.read_usage(since) if run.account == account.name]


def test_the_cluster_of_the_tests_enforces(real: RealSlurm) -> None:
    assert site.problems() == []


def test_what_is_applied_is_read_and_the_second_time_changes_nothing(award: Award) -> None:
    account = award(users=USERS, partitions=("gpu-b", "gpu-a"), max_gpus=4)
    found = accounts.read(account.name)
    assert found == replace(account, users=tuple(sorted(USERS)), partitions=("gpu-a", "gpu-b"))
    assert accounts.apply(account) == []
    changed = replace(account, gpu_minutes=None, max_gpus=None, users=(NEWS,), partitions=("gpu-b",), frozen=True)
    assert len(accounts.apply(changed)) == 7
    assert accounts.read(account.name) == changed
    assert accounts.apply(changed) == []
    assert accounts.read("no-such-award") is None


def test_a_job_runs_another_waits_when_spent_and_a_top_up_frees_it(real: RealSlurm, award: Award) -> None:
    account = award(gpu_minutes=8)
    refused = real.submit(GAMES, account.name, "--gres=gpu:8", "--time=2")
    assert "AssocGrpGRESMinutes" in refused, "16 GPU-minutes asked of a budget of 8"
    first = real.submit(GAMES, account.name, "--gres=gpu:8", script="sleep 9")
    real.wait(first, "RUNNING")
    assert limits.standing(account.name).reserved >= 7
    real.wait(first, "COMPLETED")
    assert limits.spent(account.name) == 1
    second = real.submit(GAMES, account.name, "--gres=gpu:8", script="sleep 1")
    real.wait(second, "PENDING AssocGrpGRESMinutes")
    (run,) = runs_of(account)
    assert run.gpus == 8
    assert 9 <= run.elapsed_seconds <= 14
    assert run.gpu_seconds // 60 == limits.spent(account.name), "sacct and the controller agree"
    topped_up = replace(account, gpu_minutes=10)
    assert accounts.apply(topped_up) == [f"set GrpTRESMins=gres/gpu=10 of {account.name}"]
    real.wait(second, "COMPLETED")


def test_a_budget_of_nothing_refuses_and_one_below_what_was_spent_keeps_jobs_waiting(
    real: RealSlurm, award: Award
) -> None:
    account = award(gpu_minutes=0)
    assert "AssocGrpGRESMinutes" in real.submit(GAMES, account.name, "--gres=gpu:1")
    accounts.apply(replace(account, gpu_minutes=8))
    real.wait(real.submit(GAMES, account.name, "--gres=gpu:8", script="sleep 9"), "COMPLETED")
    accounts.apply(replace(account, gpu_minutes=1))
    assert limits.standing(account.name).available == 0
    real.wait(real.submit(GAMES, account.name, "--gres=gpu:1"), "PENDING AssocGrpGRESMinutes")


def test_frozen_nothing_is_submitted_or_started_and_thawed_it_goes_on(real: RealSlurm, award: Award) -> None:
    account = award(gpu_minutes=100, max_gpus=1)
    running = real.submit(GAMES, account.name, "--gres=gpu:1", "--requeue")
    real.wait(running, "RUNNING")
    pending = real.submit(GAMES, account.name, "--gres=gpu:1", script="sleep 1")
    real.wait(pending, "PENDING AssocGrpGRES")
    assert f"requeued job {running}" in accounts.freeze(account.name, running="requeue")
    assert accounts.freeze(account.name) == []
    found = accounts.read(account.name)
    assert found is not None
    assert found.frozen
    assert "AssocGrpSubmitJobsLimit" in real.submit(GAMES, account.name, "--gres=gpu:1")
    real.wait(pending, "PENDING AssocGrpJobsLimit")
    assert accounts.thaw(account.name)
    real.wait(pending, "COMPLETED")
    assert accounts.thaw(account.name) == []
    until(lambda: str(len(runs_of(account))), lambda seen: seen == "3", 30)
    runs = [run for run in runs_of(account) if run.job_id == int(running)]
    assert [run.state for run in runs] == ["REQUEUED", "RUNNING"]
    assert len({run.key for run in runs}) == 2, "each run of a requeued job counts by itself"
    assert runs[1].running
    accounts.freeze(account.name, running="cancel")
    real.wait(running, "CANCELLED")


def test_users_share_the_budget_and_leave_what_they_spent(real: RealSlurm, award: Award) -> None:
    account = award(gpu_minutes=8, users=USERS)
    real.wait(real.submit(NEWS, account.name, "--gres=gpu:8", script="sleep 9"), "COMPLETED")
    waiting = real.submit(GAMES, account.name, "--gres=gpu:8")
    real.wait(waiting, "PENDING AssocGrpGRESMinutes")
    assert accounts.remove_users(account.name, [NEWS]) == [f"removed {NEWS} in gpu-a from {account.name}"]
    assert limits.spent(account.name) == 1
    assert "Invalid account" in real.submit(NEWS, account.name, "--gres=gpu:1")
    accounts.apply(replace(account, users=(GAMES,), gpu_minutes=100))
    real.wait(waiting, "RUNNING")
    (blocked,) = accounts.remove_users(account.name, [GAMES])
    assert blocked.startswith(f"blocked {GAMES}"), "a job of theirs runs"
    assert accounts.remove_users(account.name, [GAMES]) == []
    assert "AssocMaxSubmitJobLimit" in real.submit(GAMES, account.name, "--gres=gpu:1")
    assert accounts.apply(account), "and comes back"
    assert real.submit(GAMES, account.name, "--gres=gpu:1").isdigit()
    assert accounts.remove_users(account.name, USERS)
    real.cancel(account.name)
    assert accounts.remove_users(account.name, USERS)
    found = accounts.read(account.name)
    assert found is not None
    assert found.users == ()
    assert limits.spent(account.name) == sum(run.gpu_seconds for run in runs_of(account)) // 60 >= 1


def test_an_award_runs_in_its_pool_and_under_its_qos_only(real: RealSlurm, award: Award) -> None:
    account = award()
    assert "Invalid account" in real.submit(GAMES, account.name, "--partition=gpu-b", "--gres=gpu:1")
    assert "Invalid qos" in real.submit(GAMES, account.name, "--qos=normal", "--gres=gpu:1")
    with pytest.raises(BadInput, match="did you mean 'gpu-a'"):
        accounts.apply(replace(account, partitions=("gpu-aa",)))


def test_a_qos_with_a_budget_of_its_own_would_override_and_is_refused(real: RealSlurm, award: Award) -> None:
    account = award(gpu_minutes=1, qos="generous")
    real.slurm("sacctmgr", "-i", "modify", "qos", "generous", "set", "GrpTRESMins=gres/gpu=1000")
    try:
        with pytest.raises(Refused, match="grptresmins"):
            accounts.apply(account)
        job = real.submit(GAMES, account.name, "--gres=gpu:8", script="sleep 1")
        assert job.isdigit(), "8 GPU-minutes of a budget of 1: this is why"
    finally:
        real.slurm("sacctmgr", "-i", "modify", "qos", "generous", "set", "GrpTRESMins=gres/gpu=-1")


def test_usage_of_every_kind_of_job_is_the_same_when_read_again(real: RealSlurm, award: Award) -> None:
    account = award(gpu_minutes=1000, partitions=("gpu-a", "gpu-b"))
    name = f"x|\n1|{account.name}|games\n"
    array = real.submit(GAMES, account.name, "--array=1-2", "--gres=gpu:1", f"--job-name={name}", script="sleep 1")
    typed = real.submit(GAMES, account.name, "--partition=gpu-b", "--gres=gpu:h100:2", script="sleep 1")
    whole = real.submit(GAMES, account.name, "--partition=gpu-b", "--exclusive", script="sleep 1")
    failed = real.submit(GAMES, account.name, script="exit 3")
    started = datetime.now(UTC)

    def ended() -> str:
        return str(sum(not run.running for run in runs_of(account)))

    until(ended, lambda seen: seen == "5", 40)
    runs = {run.display_id: run for run in runs_of(account)}
    assert {job: run.gpus for job, run in runs.items()} == {
        f"{array}_1": 1, f"{array}_2": 1, typed: 2, whole: 8, failed: 0,
    }  # fmt: skip
    assert runs[f"{array}_1"].name == name
    assert (runs[failed].state, runs[failed].exit_code) == ("FAILED", "3:0")
    assert all(abs(run.started - started) < timedelta(seconds=60) for run in runs.values()), "times are UTC"
    assert all(run.energy_joules is None for run in runs.values())
    assert all(run.cluster == "kiban" and run.user == GAMES for run in runs.values())
    assert len({run.key for run in runs.values()}) == 5
    assert runs_of(account) == sorted(runs.values(), key=lambda run: (run.started, run.key))
    later = usage.read_usage(started + timedelta(minutes=10), started + timedelta(minutes=20))
    assert [run for run in later if run.account == account.name] == []


def test_a_dead_node_ends_the_run_and_the_requeued_one_counts_too(real: RealSlurm, award: Award) -> None:
    account = award(gpu_minutes=100)
    job = real.submit(GAMES, account.name, "--gres=gpu:1", "--requeue", "--nodelist=a2", script="sleep 300")
    real.wait(job, "RUNNING")
    try:
        real.harness("kill-node", "a2")
        real.slurm("scontrol", "update", "nodename=a2", "state=down", "reason=died")
        real.wait(job, "PENDING")
    finally:
        real.harness("start-node", "a2")
    real.wait(job, "RUNNING", seconds=40)
    until(lambda: str(len(runs_of(account))), lambda seen: seen == "2", 20)
    dead, alive = runs_of(account)
    assert (dead.state, alive.state) == ("NODE_FAIL", "RUNNING")
    assert dead.ended is not None
    assert dead.key != alive.key


def test_a_restarted_controller_keeps_budgets_use_and_jobs(real: RealSlurm, award: Award) -> None:
    account = award(gpu_minutes=8)
    real.wait(real.submit(GAMES, account.name, "--gres=gpu:8", script="sleep 8"), "COMPLETED")
    running = real.submit(GAMES, account.name, "--gres=gpu:1", script="sleep 30")
    real.wait(running, "RUNNING")
    until(lambda: str(len(runs_of(account))), lambda seen: seen == "2", 20)
    before, keys = limits.standing(account.name), {run.key for run in runs_of(account)}
    real.harness("restart-controller")
    until(lambda: real.job(running), lambda seen: seen.startswith("RUNNING"), 20)
    after = limits.standing(account.name)
    assert (after.limit, after.spent) == (before.limit, before.spent) == (8, 1)
    assert {run.key for run in runs_of(account)} == keys
    assert accounts.apply(account) == []
    real.wait(real.submit(GAMES, account.name, "--gres=gpu:8"), "PENDING AssocGrpGRESMinutes")


@pytest.mark.parametrize(
    ("daemon", "said"),
    [("slurmdbd", "slurmdbd does not answer"), ("mariadb", "the database behind slurmdbd does not answer")],
)
def test_without_the_database_the_error_names_it_and_jobs_run_on(
    real: RealSlurm, award: Award, daemon: str, said: str
) -> None:
    account = award(gpu_minutes=100)
    hasty = Slurm(attempts=1, timeout_seconds=20)
    real.harness("down", daemon)
    try:
        with pytest.raises(Unreachable, match=said):
            accounts.apply(replace(account, gpu_minutes=50), slurm=hasty)
        if daemon == "slurmdbd":
            with pytest.raises(Unreachable, match=said):
                usage.read_usage(datetime.now(UTC) - timedelta(hours=1), slurm=hasty)
        job = real.submit(GAMES, account.name, "--gres=gpu:1", script="sleep 1")
        real.wait(job, "COMPLETED")
    finally:
        real.harness("up", daemon)
    # The controller hands over what it kept.
    until(lambda: str([run.state for run in runs_of(account)]), lambda seen: seen == "['COMPLETED']", 40)
    assert accounts.apply(account) == []


def test_without_the_controller_the_error_names_it(real: RealSlurm, award: Award) -> None:
    account = award()
    real.harness("down", "slurmctld")
    try:
        with pytest.raises(Unreachable, match="slurmctld does not answer"):
            limits.spent(account.name, slurm=Slurm(attempts=1))
    finally:
        real.harness("up", "slurmctld")
