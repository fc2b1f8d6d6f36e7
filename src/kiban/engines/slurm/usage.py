"""What jobs used, from Slurm's accounting (`sacct`), as records that can be read any number of times."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from kiban.engines.slurm.commands import Slurm, SlurmError
from kiban.engines.slurm.tres import gpus, parse_tres
from kiban.kit.errors import BadInput

# The job's name comes last: it may hold anything.
FIELDS = (
    "Cluster",
    "JobIDRaw",
    "JobID",
    "DBIndex",
    "Account",
    "User",
    "Partition",
    "QOS",
    "State",
    "ExitCode",
    "Submit",
    "Start",
    "End",
    "ElapsedRaw",
    "NNodes",
    "AllocTRES",
    "ReqTRES",
    "ConsumedEnergyRaw",
    "JobName",
)

SACCT_TIME = "%Y-%m-%dT%H:%M:%S"


@dataclass(frozen=True)
class JobUsage:
    """One run of a job. A job that was requeued has a record for each of its runs.

    Attributes:
        job_id: Slurm's number of the job; of the task or component for arrays and heterogeneous jobs.
        display_id: as people know it: `12`, `12_3` of an array, `12+1` of a heterogeneous job.
        state: RUNNING, COMPLETED, FAILED, CANCELLED, TIMEOUT, REQUEUED, NODE_FAIL, PREEMPTED, OUT_OF_MEMORY …
        exit_code: `status:signal`.
        ended: None while it runs.
        elapsed_seconds: so far while it runs; without the time that it was suspended.
        gpus: allocated, not requested.
        energy_joules: None where Slurm does not measure it.
    """

    cluster: str
    job_id: int
    display_id: str
    db_index: int
    name: str
    account: str
    user: str
    partition: str
    qos: str
    state: str
    exit_code: str
    submitted: datetime
    started: datetime
    ended: datetime | None
    elapsed_seconds: int
    nodes: int
    gpus: int
    allocated_tres: str
    requested_tres: str
    energy_joules: int | None

    @property
    def key(self) -> str:
        """The same for the same run whenever it is read, and never for another.

        Job numbers start again after MaxJobId, and a requeued job keeps its number; Slurm's own unique key is the
        number with the time of submission, which a requeue renews.
        """
        return f"{self.cluster}/{self.job_id}/{int(self.submitted.timestamp())}"

    @property
    def gpu_seconds(self) -> int:
        return self.gpus * self.elapsed_seconds

    @property
    def running(self) -> bool:
        return self.ended is None


def read_usage(since: datetime, until: datetime | None = None, *, slurm: Slurm | None = None) -> list[JobUsage]:
    """Every run that was active between `since` and `until` (None: now), whole, not cut at the window's edges.

    A run that began before `since` is there too. Read again from a cursor minus a margin: the key says which records
    are known; a running job's record grows until it ends. Jobs that have not started are left out. Sorted by start,
    then key.

    Raises:
        BadInput: a time without a zone, or an empty window.
        Unreachable: slurmdbd does not answer.
        SlurmError: sacct refused, or wrote what cannot be understood.
    """
    slurm = slurm or Slurm()
    if since.tzinfo is None or (until is not None and until.tzinfo is None):
        raise BadInput("times need a zone", where="read_usage", hint="use UTC")
    if until is not None and until <= since:
        raise BadInput("the window ends before it begins", where="read_usage")
    # Fields are parted by what nobody can have put into a job's name, so that none can pass for a record.
    delimiter = f"<{secrets.token_hex(8)}>"
    command = [
        "sacct",
        "--noheader",
        "--parsable2",
        "--allocations",
        "--allusers",
        "--duplicates",
        "--noconvert",
        f"--delimiter={delimiter}",
        f"--format={','.join(FIELDS)}",
        f"--starttime={since.astimezone(UTC):{SACCT_TIME}}",
    ]
    if until is not None:
        command.append(f"--endtime={until.astimezone(UTC):{SACCT_TIME}}")
    return parse_usage(slurm(*command), delimiter)


def parse_usage(text: str, delimiter: str) -> list[JobUsage]:
    """sacct's output in the order of FIELDS. A line without delimiters goes on with the name of the job before it.

    Raises:
        SlurmError: a line that is neither.
    """
    rows: list[list[str]] = []
    for line in text.split("\n"):
        values = line.split(delimiter)
        if len(values) == len(FIELDS):
            rows.append(values)
        elif len(values) == 1 and rows:
            rows[-1][-1] += f"\n{line}"
        elif line:
            raise SlurmError(
                f"{len(values)} fields instead of {len(FIELDS)}: {line[:200]!r}",
                where="sacct",
                hint="kiban reads Slurm 22.05 and later",
            )
    if rows:
        rows[-1][-1] = rows[-1][-1].removesuffix("\n")
    found = [usage for row in rows if (usage := _job_usage(dict(zip(FIELDS, row, strict=True)))) is not None]
    return sorted(found, key=lambda usage: (usage.started, usage.key))


def _job_usage(row: dict[str, str]) -> JobUsage | None:
    started = _time(row["Start"])
    if started is None:  # not yet, or cancelled before
        return None
    submitted = _time(row["Submit"])
    try:
        if submitted is None:
            raise ValueError("no time of submission")
        return JobUsage(
            cluster=row["Cluster"],
            job_id=int(row["JobIDRaw"]),
            display_id=row["JobID"],
            db_index=int(row["DBIndex"]),
            name=row["JobName"],
            account=row["Account"],
            user=row["User"],
            partition=row["Partition"],
            qos=row["QOS"],
            state=row["State"].split(" ", 1)[0],  # CANCELLED by 1000
            exit_code=row["ExitCode"],
            submitted=submitted,
            started=started,
            ended=_time(row["End"]),
            elapsed_seconds=int(row["ElapsedRaw"]),
            nodes=int(row["NNodes"]),
            gpus=gpus(row["AllocTRES"]),
            allocated_tres=row["AllocTRES"],
            requested_tres=row["ReqTRES"],
            energy_joules=_energy_joules(row),
        )
    except ValueError as error:
        raise SlurmError(f"job {row['JobID']}: {error}", where="sacct") from None


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, SACCT_TIME).replace(tzinfo=UTC)
    except ValueError:  # Unknown, None
        return None


def _energy_joules(row: dict[str, str]) -> int | None:
    """Joules; Slurm writes 0 where nothing measures, and a job that drew nothing there is none."""
    raw = row["ConsumedEnergyRaw"]
    measured = int(raw) if raw.isdigit() else 0
    return measured or parse_tres(row["AllocTRES"]).get("energy") or None
