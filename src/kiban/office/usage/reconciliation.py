"""Independent records of the same use, held against one another; where they differ beyond a tolerance, they are listed.

    scheduler_and_ledger    jobs as the scheduler tells of them, and GPU-seconds used in the ledger (refunds aside)
    records_and_ledger_yen  yen charged for jobs, and yen used in the ledger; to the yen
    scheduler_and_limit     jobs as the scheduler tells of them, and what it counts itself against the account's limit
    artifact_and_scheduler  what an artifact's manifest says its making took, and the jobs that made it
    artifact_not_in_store   an artifact that a job is said to have made, and that nobody has

A difference that is gone is taken off the list with the reason; one whose source does not answer stays as it is.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from kiban.engines.slurm import limits
from kiban.kit.errors import KibanError
from kiban.kit.store import DIGEST, Store
from kiban.office.audit.service import record as audit
from kiban.office.errors import Invalid, NotFound
from kiban.office.ledger.accounts import YEN
from kiban.office.office import Office
from kiban.office.usage import repository
from kiban.office.usage.differences import note, settle
from kiban.office.usage.models import UsageRecord
from kiban.office.usage.repository import GrantTotals
from kiban.office.work import Role, Work

log = structlog.get_logger(__name__)
# GPU-minutes that a scheduler counts against an account.
Spent = Callable[[str], int]
TOLERANCE = 0.02
# A running job's use reaches the controller's count, and the office, only every few minutes.
RUNNING_SECONDS = 600
JOB_NAME = re.compile(r"kiban-[a-z_]+-([0-9a-f]{8,64})")
JOB_NAME_PREFIX = "kiban-"


@dataclass(frozen=True)
class Reconciliation:
    compared: int
    differing: int
    settled: int
    linked: int  # jobs whose artifact was found by their name
    not_answered: tuple[str, ...]  # grants whose scheduler's count could not be read


@dataclass(frozen=True)
class Comparison:
    kind: str
    subject: str
    expected: int
    found: int
    tolerance: int
    unit: str
    grant_id: uuid.UUID | None

    @property
    def agrees(self) -> bool:
        return abs(self.expected - self.found) <= self.tolerance


def reconcile(office: Office, *, spent: Spent = limits.spent, store: Path | None = None) -> Reconciliation:
    """Compare everything, list what differs and settle what agrees again.

    No transaction is open while schedulers answer and manifests are read.

    Args:
        store: where the artifacts are; default: the store of the office's settings.
    """
    with office.work(read_only=True) as work:
        clusters = set(repository.clusters(work.session))
        totals = repository.grant_totals(work.session)
    counted, silent = _counted(totals.values(), clusters, spent)
    manifests = _Manifests(store or office.settings.store)
    with office.work() as work:
        linked = _link_by_name(work, manifests)
        # Read again: what was charged while the schedulers answered is in both sums or in neither.
        totals = repository.grant_totals(work.session)
        comparisons = [
            *_against_ledger(work, totals),
            *_against_limits(totals, counted),
            *_against_artifacts(work, manifests),
        ]
        differing = settled = 0
        for one in comparisons:
            if one.agrees:
                settled += settle(work, one.kind, one.subject, expected=one.expected, found=one.found)
            else:
                differing += 1
                note(
                    work,
                    one.kind,
                    one.subject,
                    unit=one.unit,
                    expected=one.expected,
                    found=one.found,
                    grant_id=one.grant_id,
                )
    return Reconciliation(len(comparisons), differing, settled, linked, tuple(silent))


def link_artifact(work: Work, record_id: uuid.UUID, digest: str | None) -> UsageRecord:
    """Say which artifact a job made, or that it made none.

    Raises:
        NotFound: no such record.
        Invalid: not a digest, or no artifact of the store.
    """
    work.require(Role.OPERATOR)
    row = repository.find_record(work.session, work.actor, record_id)
    if row is None:
        raise NotFound("there is no such record", where="record_id")
    if digest is not None and not DIGEST.fullmatch(digest):
        raise Invalid("a digest has 64 characters of 0-9 and a-f", where="digest")
    if digest is not None and digest not in _Manifests(work.settings.store).digests:
        raise Invalid("the store has no such artifact", where="digest")
    audit(work, "usage.artifact_linked", "usage_record", row.id, digest=digest, before=row.artifact_digest)
    row.artifact_digest = digest
    return row


class _Manifests:
    """The artifacts there are, read without making a store where there is none."""

    def __init__(self, root: Path) -> None:
        self._root = root
        folder = root / "artifacts"
        self.digests = (
            frozenset(path.name for path in folder.iterdir() if DIGEST.fullmatch(path.name))
            if folder.is_dir()
            else frozenset()
        )

    def with_prefix(self, prefix: str) -> str | None:
        found = [digest for digest in self.digests if digest.startswith(prefix)]
        return found[0] if len(found) == 1 else None

    def gpu_seconds(self, digest: str) -> int | None:
        """What its making took, over all attempts; None: it is not there."""
        artifact = Store(self._root).get(digest) if digest in self.digests else None
        return None if artifact is None else round(artifact.manifest.resources.gpu_s)


def _counted(totals: Iterable[GrantTotals], clusters: set[str], spent: Spent) -> tuple[dict[uuid.UUID, int], list[str]]:
    """GPU-seconds by grant as schedulers count them, and the grants of which they told nothing."""
    counted, silent = {}, []
    refused: Counter[str] = Counter()
    for total in totals:
        if not total.clusters & clusters:
            continue
        try:
            counted[total.grant_id] = spent(total.code) * 60
        except KibanError as error:
            refused[str(error)] += 1
            silent.append(total.code)
    for reason, grants in refused.items():  # a cluster that is away says the same of each grant
        log.warning("limits_not_read", grants=grants, error=reason)
    return counted, silent


def _link_by_name(work: Work, manifests: _Manifests) -> int:
    linked = 0
    for row in repository.unlinked(work.session, JOB_NAME_PREFIX) if manifests.digests else []:
        match = JOB_NAME.fullmatch(row.job_name)
        digest = manifests.with_prefix(match[1]) if match else None
        if digest is not None:
            row.artifact_digest = digest
            linked += 1
    work.session.flush()
    return linked


def _against_ledger(work: Work, totals: dict[uuid.UUID, GrantTotals]) -> list[Comparison]:
    used, transferred = repository.ledger_use(work.session), repository.transferred(work.session)
    found = []
    for grant_id in sorted(totals.keys() | used.keys()):
        units, total = used.get(grant_id, {}), totals.get(grant_id)
        gpu_seconds = total.gpu_seconds if total else 0
        in_ledger = sum(amount for unit, amount in units.items() if unit.startswith("gpu_s:"))
        if grant_id in transferred:
            # The ledger has GPU-seconds of several pools, converted at their prices: charged is compared, and the yen.
            in_ledger = total.posted_gpu_seconds if total else 0
        subject = str(grant_id)
        tolerance = _tolerance(total, gpu_seconds)
        found.append(Comparison("scheduler_and_ledger", subject, gpu_seconds, in_ledger, tolerance, "gpu_s", grant_id))
        yen = total.posted_yen if total else 0
        found.append(Comparison("records_and_ledger_yen", subject, yen, units.get(YEN, 0), 0, "yen", grant_id))
    return found


def _against_limits(totals: dict[uuid.UUID, GrantTotals], counted: dict[uuid.UUID, int]) -> list[Comparison]:
    return [
        Comparison(
            "scheduler_and_limit",
            str(grant_id),
            totals[grant_id].gpu_seconds,
            gpu_seconds,
            _tolerance(totals[grant_id], totals[grant_id].gpu_seconds)
            + totals[grant_id].running_gpus * RUNNING_SECONDS,
            "gpu_s",
            grant_id,
        )
        for grant_id, gpu_seconds in counted.items()
        if grant_id in totals
    ]


def _against_artifacts(work: Work, manifests: _Manifests) -> list[Comparison]:
    by_digest: dict[str, list[UsageRecord]] = {}
    for row in repository.linked(work.session):
        if row.artifact_digest is not None:
            by_digest.setdefault(row.artifact_digest, []).append(row)
    found = []
    for digest, rows in by_digest.items():
        metered = manifests.gpu_seconds(digest)
        grant_id = rows[0].grant_id
        missing = 0 if metered is not None else 1
        found.append(Comparison("artifact_not_in_store", digest, 0, missing, 0, "artifacts", grant_id))
        if metered is None or any(row.ended_at is None for row in rows):
            continue
        used = sum(row.gpu_seconds for row in rows)
        tolerance = max(sum(row.gpus * 60 for row in rows), round(used * TOLERANCE))
        found.append(Comparison("artifact_and_scheduler", digest, used, metered, tolerance, "gpu_s", grant_id))
    return found


def _tolerance(total: GrantTotals | None, gpu_seconds: int) -> int:
    """A minute of each job, or 2% of all where that is more."""
    return max(total.minute_of_each if total else 0, round(gpu_seconds * TOLERANCE))
