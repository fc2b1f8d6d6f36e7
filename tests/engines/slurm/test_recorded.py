"""What Slurm 22.05 wrote, read again; and what is asked of it, without one."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kiban.engines.slurm import accounts, limits, site, usage
from kiban.engines.slurm.accounts import SlurmAccount
from kiban.engines.slurm.commands import Slurm, SlurmError, Unreachable
from kiban.engines.slurm.tres import gpus
from kiban.kit.errors import BadInput, KibanError

from .conftest import recorded, replaying

ACCOUNT = SlurmAccount("award-1", "a domestic model", "institute", ("gpu-a",), 8, ("games",))
CONFIG = ("show config", 0, recorded("config.txt"))
PARTITIONS = ("show partition", 0, recorded("partitions.txt"))
PRESENT = (
    ("show account", 0, "award-1|a domestic model|institute\n"),
    ("show assoc", 0, "||gres/gpu=8|||||kiban|kiban\ngames|gpu-a||||||kiban|kiban\n"),
    ("show qos", 0, "DenyOnLimit||||\n"),
)


def test_every_recorded_run_is_read_once_with_its_gpus_and_key() -> None:
    runs = usage.parse_usage(recorded("sacct.txt"), "<#>")
    assert len(runs) == 24, "26 records, of which two never started"
    assert len({run.key for run in runs}) == len(runs)
    found = {(run.display_id, run.state): run for run in runs}
    assert found["11", "COMPLETED"].gpus == 2, "typed GPUs count once"
    assert found["12", "COMPLETED"].gpus == 8, "a whole node's"
    assert found["10_1", "COMPLETED"].name == "x|\n1|award-16635-7|games\n"
    assert found["10_1", "COMPLETED"].job_id == 14
    requeued = [run for run in runs if run.job_id == 5]
    assert [run.state for run in requeued] == ["REQUEUED", "CANCELLED"]
    assert found["1", "COMPLETED"].gpu_seconds == 72
    assert found["1", "COMPLETED"].started == datetime(2026, 11, 22, 2, 52, 17, tzinfo=UTC)
    assert all(run.energy_joules is None for run in runs), "0 and nothing are not measured"


def test_a_forged_record_in_a_job_name_stays_a_name() -> None:
    line = recorded("sacct.txt").splitlines()[0]
    forged = line + "\n" + line.replace("<#>", "<!>")
    (run,) = usage.parse_usage(forged, "<#>")
    assert run.name.startswith("wrap\nkiban<!>")


def test_a_running_job_counts_so_far_and_measured_energy_is_kept() -> None:
    line = recorded("sacct.txt").splitlines()[0]
    running = line.replace("COMPLETED", "RUNNING").replace("2026-11-22T02:52:26", "Unknown")
    (run,) = usage.parse_usage(running.replace("<#><#>wrap", "<#>5400<#>wrap"), "<#>")
    assert (run.running, run.gpu_seconds, run.energy_joules) == (True, 72, 5400)
    with pytest.raises(SlurmError, match="2 fields instead of"):
        usage.parse_usage("kiban<#>1", "<#>")


def test_usage_is_asked_for_in_utc_and_a_naive_time_is_refused() -> None:
    slurm, replay = replaying()
    since = datetime(2026, 11, 22, 9, tzinfo=UTC)
    usage.read_usage(since, since + timedelta(hours=1), slurm=slurm)
    assert "--starttime=2026-11-22T09:00:00" in replay.asked[0]
    assert "--endtime=2026-11-22T10:00:00" in replay.asked[0]
    assert replay.environments[0]["TZ"] == "UTC"
    with pytest.raises(BadInput, match="zone"):
        usage.read_usage(datetime(2026, 11, 22), slurm=slurm)


@pytest.mark.parametrize(
    ("tres", "count"),
    [("", 0), ("cpu=4,mem=8G", 0), ("gres/gpu=8,gres/gpu:h100=8", 8), ("gres/gpu:a=2,gres/gpu:b=3", 5)],
)
def test_gpus_are_never_counted_twice(tres: str, count: int) -> None:
    assert gpus(tres) == count


def test_an_account_that_is_so_is_left_alone() -> None:
    slurm, replay = replaying(CONFIG, PARTITIONS, *PRESENT)
    assert accounts.apply(ACCOUNT, slurm=slurm) == []
    assert replay.written == []


def test_only_what_differs_is_changed() -> None:
    slurm, replay = replaying(CONFIG, PARTITIONS, *PRESENT)
    accounts.apply(replace(ACCOUNT, gpu_minutes=9), slurm=slurm)
    assert replay.written == [
        "sacctmgr --immediate modify account where name=award-1 cluster=kiban set GrpTRESMins=gres/gpu=9"
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Award"}, {"name": "a b"}, {"name": "a=b"}, {"name": "-a"}, {"name": "a" * 32}, {"name": "a\n"},
        {"users": ("x,y",)}, {"qos": "a+b"}, {"partitions": ()}, {"partitions": ("gpu-z",)}, {"gpu_minutes": -1},
        {"description": "基盤モデル"}, {"description": 'a" set qos=normal'}, {"organisation": ""},
    ],
)  # fmt: skip
def test_what_slurm_cannot_take_is_refused_before_anything_is_written(wrong: dict[str, object]) -> None:
    slurm, replay = replaying(CONFIG, PARTITIONS, *PRESENT)
    with pytest.raises(BadInput):
        accounts.apply(replace(ACCOUNT, **wrong), slurm=slurm)  # type: ignore[arg-type]
    assert replay.written == []


@pytest.mark.parametrize(
    ("said", "daemon"),
    [
        ("sacctmgr: error: Sending PersistInit msg: Connection refused", "slurmdbd"),
        ("sacctmgr: error: slurm_persist_conn_open: Unable to connect to database", "the database behind slurmdbd"),
        ("error: Munge encode failed: (Did you start munged?)\nSending PersistInit msg", "munge"),
        ("slurm_load_assoc_mgr_info error: Unable to contact slurm controller (connect failure)", "slurmctld"),
    ],
)
def test_a_daemon_that_is_away_is_named_after_three_attempts(said: str, daemon: str) -> None:
    slurm, replay = replaying(("scontrol", 1, said))
    with pytest.raises(Unreachable, match=f"^scontrol: {daemon} does not answer"):
        limits.spent("award-1", slurm=slurm)
    assert len(replay.asked) == 3


def test_no_failure_is_a_traceback() -> None:
    def missing(*args: object) -> subprocess.CompletedProcess[str]:
        raise FileNotFoundError

    def slow(*args: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired("sacct", 30)

    for run in (missing, slow):
        with pytest.raises(KibanError):
            limits.spent("award-1", slurm=Slurm(run=run, sleep=lambda seconds: None))
    slurm, _ = replaying(("scontrol", 1, "Access/permission denied"))
    with pytest.raises(SlurmError, match="adminlevel=Operator"):
        limits.spent("award-1", slurm=slurm)


def test_a_site_that_does_not_enforce_is_told_what_to_set() -> None:
    assert site.problems(slurm=replaying(CONFIG, PARTITIONS)[0]) == []
    weak = recorded("config.txt").replace("associations,limits,qos,safe", "associations,limits")
    weak = weak.replace("HalfLife   = 00:00:00", "HalfLife   = 7-00:00:00")
    found = site.problems(slurm=replaying(("show config", 0, weak), PARTITIONS)[0])
    assert len(found) == 2
    assert "qos,safe" in found[0]
    assert "PriorityDecayHalfLife=0" in found[1]
