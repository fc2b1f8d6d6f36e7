"""What Slurm's database has of an account: its own limits, its users, and the QOS it runs under."""

from __future__ import annotations

from dataclasses import dataclass

from kiban.engines.slurm.commands import Slurm, SlurmError
from kiban.engines.slurm.tres import GPU, parse_tres

COLUMNS = (
    "user",
    "partition",
    "grptresmins",
    "grptres",
    "grpjobs",
    "grpsubmitjobs",
    "maxsubmitjobs",
    "qos",
    "defaultqos",
)
QOS_COLUMNS = ("flags", "grptresmins", "grptres", "grpjobs", "grpsubmit")


@dataclass(frozen=True)
class Association:
    """A row of sacctmgr's: the account's own (user "") or one user's in one partition ("" is any)."""

    user: str
    partition: str
    gpu_minutes: int | None
    max_gpus: int | None
    max_jobs: int | None
    max_submitted: int | None
    user_max_submitted: int | None
    qos: frozenset[str]
    default_qos: str

    @property
    def frozen(self) -> bool:
        return self.max_jobs == 0 and self.max_submitted == 0

    @property
    def blocked(self) -> bool:
        """A user who was to be removed while jobs ran: no new ones."""
        return self.user_max_submitted == 0


@dataclass(frozen=True)
class PresentAccount:
    description: str
    organisation: str
    own: Association
    users: tuple[Association, ...]


def rows(text: str, columns: int) -> list[list[str]]:
    """sacctmgr's parsable output.

    Raises:
        SlurmError: a line with another number of columns.
    """
    found = [line.split("|") for line in text.splitlines() if line]
    for row in found:
        if len(row) != columns:
            raise SlurmError(f"{len(row)} columns instead of {columns}: {'|'.join(row)[:200]!r}", where="sacctmgr")
    return found


def cluster_name(slurm: Slurm) -> str:
    return configuration(slurm)["ClusterName"]


def configuration(slurm: Slurm) -> dict[str, str]:
    """`scontrol show config` as a dictionary."""
    pairs = (line.partition("=") for line in slurm("scontrol", "show", "config").splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def partition_names(slurm: Slurm) -> list[str]:
    lines = slurm("scontrol", "show", "partition", "-o").splitlines()
    return [line.split()[0].removeprefix("PartitionName=") for line in lines if line.startswith("PartitionName=")]


def present_account(slurm: Slurm, name: str, cluster: str) -> PresentAccount | None:
    """What the database has of account `name` on `cluster`; None: no such account there."""
    accounts = rows(show(slurm, "account", f"name={name}", "format=account,description,organization"), 3)
    found = rows(
        show(slurm, "assoc", f"account={name}", f"cluster={cluster}", f"format={','.join(COLUMNS)}"), len(COLUMNS)
    )
    associations = [_association(row) for row in found]
    own = [association for association in associations if not association.user]
    if not accounts or not own:
        return None
    users = tuple(sorted((found for found in associations if found.user), key=lambda a: (a.user, a.partition)))
    return PresentAccount(description=accounts[0][1], organisation=accounts[0][2], own=own[0], users=users)


def present_qos(slurm: Slurm, name: str) -> dict[str, str] | None:
    """The flags and the group limits of a QOS; None: there is none of that name."""
    found = rows(show(slurm, "qos", f"name={name}", f"format={','.join(QOS_COLUMNS)}"), len(QOS_COLUMNS))
    return dict(zip(QOS_COLUMNS, found[0], strict=True)) if found else None


def show(slurm: Slurm, what: str, *words: str) -> str:
    conditions, output = words[:-1], words[-1]
    return slurm("sacctmgr", "--noheader", "--parsable2", "show", what, "where", *conditions, output)


def _association(row: list[str]) -> Association:
    value = dict(zip(COLUMNS, row, strict=True))
    return Association(
        user=value["user"],
        partition=value["partition"],
        gpu_minutes=parse_tres(value["grptresmins"]).get(GPU),
        max_gpus=parse_tres(value["grptres"]).get(GPU),
        max_jobs=_count(value["grpjobs"]),
        max_submitted=_count(value["grpsubmitjobs"]),
        user_max_submitted=_count(value["maxsubmitjobs"]),
        qos=frozenset(filter(None, value["qos"].split(","))),
        default_qos=value["defaultqos"],
    )


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None
