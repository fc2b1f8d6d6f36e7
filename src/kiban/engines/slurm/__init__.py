"""Slurm as the place where compute budgets are enforced. See docs/slurm.md for what a site has to configure.

    accounts.apply(SlurmAccount) -> list[str]   make Slurm's account so; what was changed, empty the second time
    accounts.read(name) -> SlurmAccount | None  what Slurm has
    accounts.freeze(name), accounts.thaw(name), accounts.remove_users(name, users) -> list[str]
    usage.read_usage(since, until) -> list[JobUsage]   one record per run of a job, running ones so far
    limits.spent(name) -> int                   GPU-minutes that Slurm counts against the budget
    limits.standing(name) -> Standing           the same with the limit and what running jobs may still take
    site.problems() -> list[str]                why this cluster would not enforce budgets; empty is good

Each takes `slurm=Slurm(configuration=…)` where the cluster is not the machine's default one. Errors: BadInput for
names and values that Slurm cannot take, SlurmError when Slurm refuses, Unreachable when a daemon does not answer.
"""
