"""What Slurm itself counts against an account's budget, to be held against what `sacct` says was used."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kiban.engines.slurm.commands import Slurm
from kiban.engines.slurm.names import check_name
from kiban.engines.slurm.tres import GPU, parse_tres, used_tres
from kiban.kit.errors import BadInput

FIELD = re.compile(r"(\w+)=(\S*)")


@dataclass(frozen=True)
class Standing:
    """GPU-minutes, whole (Slurm rounds down).

    Attributes:
        limit: None: no budget is set.
        spent: by finished jobs, and by running ones up to the controller's last look (PriorityCalcPeriod).
        reserved: what running jobs take if they run to their time limits.
    """

    limit: int | None
    spent: int
    reserved: int

    @property
    def available(self) -> int | None:
        """What a new job may still ask for as GPUs x time limit; None: no budget is set."""
        return None if self.limit is None else max(0, self.limit - self.spent - self.reserved)


def standing(name: str, *, slurm: Slurm | None = None) -> Standing:
    """How an account stands with the controller.

    Raises:
        BadInput: not a name, or the controller knows no such account.
        Unreachable: slurmctld does not answer.
    """
    check_name(name, "account")
    slurm = slurm or Slurm()
    text = slurm("scontrol", "show", "assoc_mgr", f"accounts={name}", "flags=assoc", "-o")
    for line in text.splitlines():
        fields = dict(FIELD.findall(line))
        if fields.get("Account") == name and fields.get("UserName") == "":
            return Standing(
                limit=parse_tres(fields["GrpTRESMins"]).get(GPU),
                spent=used_tres(fields["GrpTRESMins"]).get(GPU, 0),
                reserved=used_tres(fields["GrpTRESRunMins"]).get(GPU, 0),
            )
    raise BadInput(f"the controller knows no account {name!r}", where="scontrol", hint="apply the account first")


def spent(name: str, *, slurm: Slurm | None = None) -> int:
    """GPU-minutes that Slurm counts as used by an account over its lifetime; see `standing`."""
    return standing(name, slurm=slurm).spent
