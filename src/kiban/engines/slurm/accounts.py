"""What an award becomes in Slurm: an account with a lifetime budget of GPU-minutes, a QOS, partitions and users."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kiban.engines.slurm.associations import (
    Association,
    PresentAccount,
    cluster_name,
    partition_names,
    present_account,
    present_qos,
)
from kiban.engines.slurm.commands import Slurm, SlurmError
from kiban.engines.slurm.names import check_name, check_text
from kiban.engines.slurm.tres import GPU
from kiban.kit.errors import BadInput, Refused

QOS = "kiban"
# A job that could not run even with the whole budget is refused when it is submitted, instead of waiting for ever.
QOS_FLAG = "DenyOnLimit"

RunningJobs = Literal["leave", "requeue", "cancel"]


@dataclass(frozen=True)
class SlurmAccount:
    """The state that is wanted, in absolute terms.

    Attributes:
        name: a Slurm account; one for each award and pool, since the budget is one figure over its partitions.
        description, organisation: Latin letters; slurmdbd keeps no others, and these in lower case.
        partitions: where its users may run.
        gpu_minutes: the budget over the account's whole life, topped up by raising it. None: no limit.
        users: unix names. Slurm takes them before they exist on the cluster; they can submit once they do.
        frozen: nothing new is submitted, nothing pending starts.
        max_gpus: at any one time. None: no limit.
    """

    name: str
    description: str
    organisation: str
    partitions: tuple[str, ...]
    gpu_minutes: int | None
    users: tuple[str, ...]
    qos: str = QOS
    frozen: bool = False
    max_gpus: int | None = None


def read(name: str, *, slurm: Slurm | None = None) -> SlurmAccount | None:
    """What Slurm has, in the terms it would be asked for; None: no such account.

    Users and partitions are sorted; users who may not submit any more (see `remove_users`) are left out. Users with
    different partitions, which `apply` never makes, show the union.

    Raises:
        BadInput: not a name.
        Unreachable: slurmdbd or slurmctld does not answer.
    """
    slurm = slurm or Slurm()
    check_name(name, "account")
    present = present_account(slurm, name, cluster_name(slurm))
    return None if present is None else _as_account(name, present)


def apply(account: SlurmAccount, *, slurm: Slurm | None = None) -> list[str]:
    """Make Slurm's account so, changing only what differs, and return what was changed, a line each.

    Interrupted anywhere, it is finished by calling it again. Limits are set before users are added, so that nobody
    runs without one. Accounts are never deleted: what was spent would be forgotten with them.

    Raises:
        BadInput: a name, text, number or partition that the cluster cannot take.
        Refused: the QOS has limits of its own, which would stand in place of the account's.
        Unreachable: slurmdbd or slurmctld does not answer.
        SlurmError: sacctmgr refused.
    """
    slurm = slurm or Slurm()
    wanted = _checked(account)
    cluster = cluster_name(slurm)
    _check_partitions(slurm, wanted.partitions)
    changes = _apply_qos(slurm, wanted.qos)
    present = present_account(slurm, wanted.name, cluster)
    if present is None:
        words = (f"description={wanted.description}", f"organization={wanted.organisation}")
        _sacctmgr(slurm, "add", "account", f"name={wanted.name}", f"cluster={cluster}", *words)
        changes.append(f"added account {wanted.name}")
        present = present_account(slurm, wanted.name, cluster)
        if present is None:
            raise SlurmError(f"account {wanted.name} was added but cannot be read back", where="sacctmgr")
    changes += _apply_texts(slurm, wanted, present)
    changes += _apply_limits(slurm, wanted, present, cluster)
    changes += _apply_users(slurm, wanted, present, cluster)
    return changes


def freeze(name: str, *, running: RunningJobs = "leave", slurm: Slurm | None = None) -> list[str]:
    """Nothing new is submitted and nothing pending starts; what was changed.

    Args:
        running: what becomes of running jobs: they go on to their time limits, go back to wait for the thaw (those
            that may be requeued), or are cancelled together with the pending ones.

    Raises:
        BadInput: not a name, or no such account.
        Unreachable, SlurmError: as `apply`.
    """
    slurm = slurm or Slurm()
    changes = _set_frozen(name, True, slurm)
    if running == "cancel":
        slurm("scancel", f"--account={name}")
        changes.append(f"cancelled the jobs of {name}")
    elif running == "requeue":
        jobs = slurm("squeue", "--noheader", "--array", f"--account={name}", "--states=RUNNING", "--format=%A").split()
        for job in sorted(set(jobs), key=int):
            try:
                # The job may have ended meanwhile.
                slurm("scontrol", "requeue", job, tolerated=("Job has already finished", "Invalid job id"))
                changes.append(f"requeued job {job}")
            except SlurmError as error:
                changes.append(f"job {job} runs on: {error.message}")
    return changes


def thaw(name: str, *, slurm: Slurm | None = None) -> list[str]:
    """Undo `freeze`; pending jobs start as the budget allows."""
    return _set_frozen(name, False, slurm or Slurm())


def remove_users(name: str, users: Sequence[str], *, slurm: Slurm | None = None) -> list[str]:
    """Take users off an account; what they spent stays spent.

    Slurm does not remove a user with jobs in the account: such a one may submit nothing more, and goes with the next
    call, or the next `apply`, after the last job.
    """
    slurm = slurm or Slurm()
    present, cluster = _existing(name, slurm)
    return [change for found in present.users if found.user in users for change in _remove(slurm, found, name, cluster)]


def _set_frozen(name: str, frozen: bool, slurm: Slurm) -> list[str]:
    # Not by way of `apply`: stopping an account must not depend on the rest of it being in order.
    present, cluster = _existing(name, slurm)
    return _modify_account(slurm, name, cluster, _frozen_settings(frozen, present.own))


def _existing(name: str, slurm: Slurm) -> tuple[PresentAccount, str]:
    check_name(name, "account")
    cluster = cluster_name(slurm)
    present = present_account(slurm, name, cluster)
    if present is None:
        raise BadInput(f"there is no account {name!r}", where="Slurm", hint="apply it first")
    return present, cluster


def _as_account(name: str, present: PresentAccount) -> SlurmAccount:
    active = [user for user in present.users if not user.blocked]
    return SlurmAccount(
        name=name,
        description=present.description,
        organisation=present.organisation,
        partitions=tuple(sorted({user.partition for user in active if user.partition})),
        gpu_minutes=present.own.gpu_minutes,
        users=tuple(sorted({user.user for user in active})),
        qos=present.own.default_qos,
        frozen=present.own.frozen,
        max_gpus=present.own.max_gpus,
    )


def _checked(account: SlurmAccount) -> SlurmAccount:
    """The account as Slurm will give it back.

    An account without users has no partitions to be read back from, so none need be given then.
    """
    check_name(account.name, "account")
    check_name(account.qos, "QOS")
    for user in account.users:
        check_name(user, "user")
    for partition in account.partitions:
        check_name(partition, "partition")
    if account.users and not account.partitions:
        raise BadInput("no partition is given", where=account.name, hint="name the partitions of the award's pool")
    for name, value in (("gpu_minutes", account.gpu_minutes), ("max_gpus", account.max_gpus)):
        if value is not None and not 0 <= value < 2**53:
            raise BadInput(f"{name} is {value}", where=account.name, hint="0 or more; None is no limit")
    return replace(
        account,
        description=check_text(account.description, "description"),
        organisation=check_text(account.organisation, "organisation"),
        partitions=tuple(sorted(set(account.partitions))),
        users=tuple(sorted(set(account.users))),
    )


def _check_partitions(slurm: Slurm, wanted: Sequence[str]) -> None:
    known = partition_names(slurm)
    for partition in wanted:
        if partition not in known:
            nearest = difflib.get_close_matches(partition, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"it has {', '.join(known)}"
            raise BadInput(f"the cluster has no partition {partition!r}", where="Slurm", hint=hint)


def _apply_qos(slurm: Slurm, name: str) -> list[str]:
    present = present_qos(slurm, name)
    if present is None:
        _sacctmgr(slurm, "add", "qos", name, f"flags={QOS_FLAG}")
        return [f"added QOS {name}"]
    limits = [key for key, value in present.items() if key != "flags" and value]
    if limits:
        raise Refused(
            f"QOS {name} limits {', '.join(limits)}, and Slurm would look at that instead of the account's limit",
            where="Slurm",
            hint=f"sacctmgr modify qos {name} set {' '.join(f'{key}=…' for key in limits)} to -1",
        )
    if QOS_FLAG in present["flags"].split(","):
        return []
    _sacctmgr(slurm, "modify", "qos", "where", f"name={name}", "set", f"flags+={QOS_FLAG}")
    return [f"set flag {QOS_FLAG} of QOS {name}"]


def _apply_texts(slurm: Slurm, wanted: SlurmAccount, present: PresentAccount) -> list[str]:
    settings = []
    if present.description != wanted.description:
        settings.append(f"description={wanted.description}")
    if present.organisation != wanted.organisation:
        settings.append(f"organization={wanted.organisation}")
    if settings:
        _sacctmgr(slurm, "modify", "account", "where", f"name={wanted.name}", "set", *settings)
    return [f"set {setting} of {wanted.name}" for setting in settings]


def _apply_limits(slurm: Slurm, wanted: SlurmAccount, present: PresentAccount, cluster: str) -> list[str]:
    own = present.own
    settings = []
    if own.gpu_minutes != wanted.gpu_minutes:
        settings.append(f"GrpTRESMins={GPU}={_limit(wanted.gpu_minutes)}")
    if own.max_gpus != wanted.max_gpus:
        settings.append(f"GrpTRES={GPU}={_limit(wanted.max_gpus)}")
    settings += _frozen_settings(wanted.frozen, own)
    if own.qos != {wanted.qos}:
        settings.append(f"qos={wanted.qos}")
    if own.default_qos != wanted.qos:
        settings.append(f"defaultqos={wanted.qos}")
    return _modify_account(slurm, wanted.name, cluster, settings)


def _frozen_settings(frozen: bool, own: Association) -> list[str]:
    # GrpSubmitJobs keeps new jobs out, GrpJobs keeps pending ones from starting. Other figures than 0 are the site's.
    if frozen and not own.frozen:
        return ["GrpJobs=0", "GrpSubmitJobs=0"]
    if not frozen and 0 in (own.max_jobs, own.max_submitted):
        return ["GrpJobs=-1", "GrpSubmitJobs=-1"]
    return []


def _modify_account(slurm: Slurm, name: str, cluster: str, settings: Sequence[str]) -> list[str]:
    if settings:
        _sacctmgr(slurm, "modify", "account", "where", f"name={name}", f"cluster={cluster}", "set", *settings)
    return [f"set {setting} of {name}" for setting in settings]


def _apply_users(slurm: Slurm, wanted: SlurmAccount, present: PresentAccount, cluster: str) -> list[str]:
    pairs = {(user, partition) for user in wanted.users for partition in wanted.partitions}
    changes = []
    for found in present.users:
        if (found.user, found.partition) not in pairs:
            changes += _remove(slurm, found, wanted.name, cluster)
            continue
        settings = ["MaxSubmitJobs=-1"] if found.blocked else []
        # A QOS of a user's own could have other limits than the account's; an inherited one follows the account.
        if found.qos not in ({wanted.qos}, present.own.qos):
            settings += [f"qos={wanted.qos}", f"defaultqos={wanted.qos}"]
        if settings:
            _sacctmgr(slurm, "modify", "user", "where", *_of(found, wanted.name, cluster), "set", *settings)
            changes.append(f"set {' '.join(settings)} of {_place(found)} of {wanted.name}")
    there = {(found.user, found.partition) for found in present.users}
    for user, partition in sorted(pairs - there):
        words = (f"name={user}", f"account={wanted.name}", f"cluster={cluster}", f"partition={partition}")
        _sacctmgr(slurm, "add", "user", *words)
        changes.append(f"added {user} in {partition} to {wanted.name}")
    return changes


def _remove(slurm: Slurm, found: Association, name: str, cluster: str) -> list[str]:
    try:
        _sacctmgr(slurm, "delete", "user", "where", *_of(found, name, cluster))
    except SlurmError as error:
        if "Job(s) active" not in error.message:
            raise
        if found.blocked:
            return []
        _sacctmgr(slurm, "modify", "user", "where", *_of(found, name, cluster), "set", "MaxSubmitJobs=0")
        return [f"blocked {_place(found)} of {name}: jobs are active; removed when this is asked again after them"]
    return [f"removed {_place(found)} from {name}"]


def _of(found: Association, name: str, cluster: str) -> tuple[str, ...]:
    return (f"name={found.user}", f"account={name}", f"cluster={cluster}", f"partition={found.partition}")


def _place(found: Association) -> str:
    return f"{found.user} in {found.partition or 'any partition'}"


def _limit(value: int | None) -> int:
    return -1 if value is None else value


def _sacctmgr(slurm: Slurm, *words: str) -> None:
    # "Nothing …" is another process having done the same since we read.
    slurm("sacctmgr", "--immediate", *words, tolerated=("Nothing new added", "Nothing modified", "Nothing deleted"))
