"""Whether a cluster is configured so that budgets are really enforced. docs/slurm.md has the lines that it wants."""

from __future__ import annotations

from kiban.engines.slurm.associations import configuration
from kiban.engines.slurm.commands import Slurm
from kiban.engines.slurm.tres import GPU

ENFORCED = ("associations", "limits", "qos", "safe")


def problems(*, slurm: Slurm | None = None) -> list[str]:
    """Why this cluster would not enforce lifetime GPU budgets, a line each with what to set; empty: it would.

    Raises:
        Unreachable: slurmctld does not answer.
    """
    slurm = slurm or Slurm()
    values = configuration(slurm)
    found = []
    if values.get("AccountingStorageType") != "accounting_storage/slurmdbd":
        found.append("accounts need slurmdbd: set AccountingStorageType=accounting_storage/slurmdbd")
    enforced = values.get("AccountingStorageEnforce", "").split(",")
    if lacking := [word for word in ENFORCED if word not in enforced]:
        found.append(f"limits are not hard: add {','.join(lacking)} to AccountingStorageEnforce")
    if GPU not in values.get("AccountingStorageTRES", "").split(","):
        found.append(f"GPUs are not counted: add {GPU} to AccountingStorageTRES")
    if values.get("PriorityType") != "priority/multifactor":
        found.append("use is not added up: set PriorityType=priority/multifactor")
    if values.get("PriorityDecayHalfLife") != "00:00:00":
        found.append("what was spent comes back: set PriorityDecayHalfLife=0")
    if values.get("PriorityUsageResetPeriod") != "NONE":
        found.append("what was spent is reset: set PriorityUsageResetPeriod=NONE")
    if values.get("OverTimeLimit", "0 min") != "0 min":
        found.append("jobs may run past their time limit and the budget: set OverTimeLimit=0")
    for line in slurm("scontrol", "show", "partition", "-o").splitlines():
        partition = dict(word.split("=", 1) for word in line.split() if "=" in word)
        name = partition.get("PartitionName")
        if partition.get("OverTimeLimit", "NONE") not in ("NONE", "0"):
            found.append(f"partition {name} lets jobs run past their time limit: set its OverTimeLimit=0")
        if partition.get("DefaultTime") == "NONE" and partition.get("MaxTime") == "UNLIMITED":
            found.append(f"partition {name}: a job without a time limit asks for more than any budget: set DefaultTime")
        if partition.get("QoS", "N/A") != "N/A":
            found.append(
                f"partition {name} has QOS {partition['QoS']}: its Grp limits would stand in place of the account's"
            )
    return found
