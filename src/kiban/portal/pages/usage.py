"""What ran: jobs with what they cost and drew, records that do not agree, and lists taken in by hand."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from kiban.office import months
from kiban.office.errors import Invalid
from kiban.office.grants import repository as grants
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.supply import service as supply
from kiban.office.usage import differences as unequal
from kiban.office.usage import manual, reconciliation, service
from kiban.office.usage.models import Difference, UsageRecord
from kiban.office.usage.repository import MonthOfUse
from kiban.office.usage.schemas import Explanation, ImportIn
from kiban.office.work import Role, Work
from kiban.portal import charts
from kiban.portal.api.dependencies import Reading, Writing, actor_of, office_of
from kiban.portal.i18n import Text, _, in_language, pgettext
from kiban.portal.web import labels, notices
from kiban.portal.web import page as current
from kiban.portal.web.forms import Form
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, formats, see_other, url, view

pages = Pages("usage")
STATES = ("RUNNING", "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
labels.register(
    "job_state",
    {
        "RUNNING": _("Running"),
        "COMPLETED": _("Completed"),
        "FAILED": _("Failed"),
        "CANCELLED": _("Cancelled"),
        "TIMEOUT": _("Reached its time limit"),
        "NODE_FAIL": _("A node failed"),
        "OUT_OF_MEMORY": _("Out of memory"),
    },
)
labels.register("energy_source", {"measured": _("Measured"), "estimated": _("Estimated"), "unknown": _("Unknown")})
labels.register(
    "difference",
    {
        "job_without_grant": _("A job of no grant"),
        "job_shrank": _("A job that became shorter"),
        "job_in_other_pool": _("A job in another pool than the grant's"),
        "scheduler_and_ledger": _("Jobs and the ledger"),
        "records_and_ledger_yen": _("Yen of the jobs and of the ledger"),
        "scheduler_and_limit": _("Jobs and the cluster's own count"),
        "artifact_and_scheduler": _("An artifact's metering and its jobs"),
        "artifact_not_in_store": _("An artifact that nobody has"),
    },
)
WHAT_TO_DO: dict[str, Text] = {
    "job_without_grant": _("Find out whose account it is. Explain it, or open the grant that it belongs to."),
    "job_shrank": _("What was seen stays charged. Give back by an incident what was charged too much."),
    "job_in_other_pool": _("Ask the provider why the account may run there, and check its partition."),
    "scheduler_and_ledger": _("Read the schedulers again. If it stays, compare the jobs with the postings."),
    "records_and_ledger_yen": _("Compare the jobs with the postings; they must agree to the yen."),
    "scheduler_and_limit": _("The cluster may have lost count. Compare with its records and correct its limit."),
    "artifact_and_scheduler": _("See whether the right jobs are linked to the artifact."),
    "artifact_not_in_store": _("Ask the grantee for the artifact, or take the link away."),
}
notices.register(
    "usage",
    {
        "explained": _("Explained. It comes back if its figures change."),
        "imported": _("The jobs are taken in."),
        "synced": _("The schedulers have been read."),
        "reconciled": _("The records have been compared."),
    },
)
UserName = Chosen[Annotated[str, Query(max_length=64)]]
Month = Chosen[Annotated[str, Query(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]]
State = Chosen[Annotated[str, Query(max_length=32)]]


def _jobs(codes: dict[uuid.UUID, str], pools: dict[uuid.UUID, str]) -> Table[UsageRecord]:
    return Table(
        "jobs",
        [
            Column("job_name", _("Job"), lambda row: row.job_name or None, sort="job_name"),
            Column("grant", _("Grant"), lambda row: codes.get(row.grant_id) if row.grant_id else None),
            Column("user_name", _("Name on the cluster"), sort="user_name"),
            Column("pool", _("Pool"), lambda row: pools.get(row.pool_id) if row.pool_id else None),
            Column("state", _("State"), lambda row: str(labels.label(row.state, "job_state")), sort="state"),
            Column("started_at", _("Started"), kind="datetime", sort="started_at"),
            Column("ended_at", _("Ended"), kind="datetime", sort="ended_at"),
            Column("gpus", _("GPUs"), kind="number", sort="gpus"),
            Column("gpu_seconds", _("GPU time"), kind="gpu_time", sort="gpu_seconds"),
            Column("posted_yen", _("Charged"), kind="yen", sort="posted_yen"),
            Column("energy_kwh", _("Energy (kWh)"), _kwh, kind="decimal", sort="energy_joules"),
            Column(
                "energy_source",
                _("How the energy is known"),
                lambda row: str(labels.label(row.energy_source, "energy_source")),
            ),
            Column("job_key", _("Job number"), kind="code"),
        ],
        caption=_("Jobs"),
    )


def _kwh(row: UsageRecord) -> float | None:
    return None if row.energy_joules is None else row.energy_joules / 3.6e6


@pages.get("/usage")
def index(
    work: Reading,
    query: ListQuery,
    grant_id: Chosen[uuid.UUID] = None,
    month: Month = None,
    user_name: UserName = None,
    pool_id: Chosen[uuid.UUID] = None,
    state: State = None,
) -> View | Response:
    """Jobs of the grants one may see, and what they add up to by month."""
    codes, pools = grants.codes(work.session, work.actor), _pools(work)
    since = until = None
    if month is not None:
        since = months.day_starts_at(months.first_day(month))
        until = months.day_starts_at(months.first_day(months.add(month, 1)))
    listing = _jobs(codes, pools).list(
        query,
        lambda page: service.list_usage(
            work,
            page,
            grant_id=grant_id,
            pool_id=pool_id,
            since=since,
            until=until,
            user_name=user_name,
            state=state,
        ),
        filters=[
            Filter.select("grant_id", _("Grant"), grant_id, codes),
            Filter.month("month", _("Month of the start"), month),
            Filter.search("user_name", _("Name on the cluster"), user_name),
            Filter.select("pool_id", _("Pool"), pool_id, pools),
            Filter.select("state", _("State"), state, {each: labels.label(each, "job_state") for each in STATES}),
        ],
        empty=Empty(_("No jobs yet"), _("A job stands here within minutes of its start.")),
    )
    if listing.wants_download:
        return listing.download()
    found = service.use_by_month(work, grant_id=grant_id, pool_id=pool_id)
    return view(
        "usage/index.html",
        listing=listing,
        chart=_chart(found, pools),
        energy=_energy(found),
        grant=(grant_id, codes[grant_id]) if grant_id in codes else None,
        open_differences=len(unequal.list_differences(work, PageRequest(limit=200), explained=False).items),
    )


def _pools(work: Work) -> dict[uuid.UUID, str]:
    return {pool.id: pool.name for pool in supply.list_pools(work, PageRequest(limit=200)).items}


def _chart(found: Sequence[MonthOfUse], pools: dict[uuid.UUID, str]) -> charts.Chart:
    """GPU time by month, one line for each pool; the smallest ones together where they are many."""
    page = current.current()
    fmt = formats(page.language, page.preferences.era).text
    by_pool: dict[uuid.UUID | None, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for each in found:
        by_pool[each.pool_id][months.first_day(each.month)] += each.gpu_seconds
    largest = sorted(by_pool.items(), key=lambda item: -sum(item[1].values()))
    series = [
        charts.MonthSeries(
            pools.get(pool_id, "–") if pool_id else in_language(_("No pool"), fmt.language),
            tuple(sorted(values.items())),
        )
        for pool_id, values in largest[:MOST_SERIES]
    ]
    rest: dict[date, float] = defaultdict(float)
    for _pool_id, values in largest[MOST_SERIES:]:
        for month, value in values.items():
            rest[month] += value
    if rest:
        series.append(charts.MonthSeries(in_language(_("Other pools"), fmt.language), tuple(sorted(rest.items()))))
    return charts.over_months(
        "use-by-month",
        in_language(_("GPU time by month"), fmt.language),
        series,
        charts.gpu_time(in_language(_("GPU time"), fmt.language), fmt),
        fmt,
        source=in_language(
            _("Jobs as the schedulers tell of them, each in the month in which it started."), fmt.language
        ),
    )


MOST_SERIES = 5


def _energy(found: Sequence[MonthOfUse]) -> dict[str, dict[str, int]]:
    """By how it is known: jobs, GPU-seconds and joules."""
    sums = {source: {"jobs": 0, "gpu_seconds": 0, "joules": 0} for source in ("measured", "estimated", "unknown")}
    for each in found:
        into = sums.setdefault(each.energy_source, {"jobs": 0, "gpu_seconds": 0, "joules": 0})
        into["jobs"] += each.jobs
        into["gpu_seconds"] += each.gpu_seconds
        into["joules"] += each.joules
    return sums


def _differences(codes: dict[uuid.UUID, str]) -> Table[Difference]:
    return Table(
        "differences",
        [
            Column(
                "kind",
                _("What differs"),
                lambda row: str(labels.label(row.kind, "difference")),
                sort="kind",
                href=lambda row: url("usage.difference", difference_id=row.id),
            ),
            Column("grant", _("Grant"), lambda row: codes.get(row.grant_id) if row.grant_id else None),
            Column("subject", _("Of what"), kind="code"),
            Column("expected", _("One record says"), kind="number"),
            Column("found", _("The other says"), kind="number"),
            Column("unit", pgettext("ledger", "Unit"), lambda row: _unit(row)),
            Column("found_at", _("Found on"), kind="datetime", sort="found_at"),
            Column("explained_at", _("Explained on"), kind="datetime", sort="explained_at"),
        ],
        caption=_("Differences"),
    )


def _unit(row: Difference) -> str:
    names = {"gpu_s": _("GPU-seconds"), "yen": _("Yen"), "artifacts": _("Artifacts")}
    return str(names.get(row.unit, row.unit))


@pages.get("/usage/differences")
def differences(work: Reading, query: ListQuery, explained: Chosen[bool] = None) -> View | Response:
    """Records that should agree and do not."""
    chosen = None if explained is None else str(explained).lower()
    listing = _differences(grants.codes(work.session, work.actor)).list(
        query,
        lambda page: unequal.list_differences(work, page, explained=explained),
        filters=[
            Filter.select("explained", _("State"), chosen, {"false": _("To be explained"), "true": _("Explained")})
        ],
        empty=Empty(_("No differences"), _("Schedulers, ledger, the clusters' own counts and artifacts agree.")),
    )
    return view("usage/differences.html", listing=listing)


@pages.get("/usage/differences/{difference_id:uuid}")
def difference(work: Reading, difference_id: uuid.UUID) -> View | Response:
    """One of them, and what to do."""
    row = unequal.get_difference(work, difference_id)
    codes = grants.codes(work.session, work.actor)
    return view(
        "usage/difference.html",
        difference=row,
        unit=_unit(row),
        code=codes.get(row.grant_id) if row.grant_id else None,
        what_to_do=WHAT_TO_DO.get(row.kind),
    )


@pages.post("/usage/differences/{difference_id:uuid}/explain", shows="difference")
def explain(work: Writing, difference_id: uuid.UUID, form: Form) -> Response:
    """Takes it off the list."""
    unequal.explain(work, difference_id, form.read(Explanation).explanation)
    return see_other("usage.differences", explained="false", notice="usage.explained")


@pages.get("/usage/import")
def importing(work: Reading) -> View | Response:
    """The form that takes in jobs of a pool without a scheduler."""
    work.require(Role.OPERATOR)
    found = supply.list_pools(work, PageRequest(limit=200)).items
    pools = [(pool.id, pool.name) for pool in found if pool.slurm_cluster is None]
    return view("usage/importing.html", pools=pools, columns=manual.COLUMNS, most=manual.MOST_ROWS)


@pages.post("/usage/import", shows="importing")
def take_in(work: Writing, form: Form) -> Response:
    """Rows typed, or a CSV file."""
    tree: dict[str, Any] = form.tree()
    csv = _uploaded(form) if "file" in form.files else tree.get("csv")
    given = form.read(ImportIn, csv=csv)
    rows = manual.read_csv(given.csv) if given.csv is not None else given.rows
    manual.import_usage(work, given.pool_id, rows)
    return see_other("usage.index", pool_id=given.pool_id, notice="usage.imported")


def _uploaded(form: Form) -> str:
    try:
        return form.file("file").file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("the file is not UTF-8 text", where="file", hint="save it as CSV UTF-8") from None


# These two open units of work of their own: none may be open while schedulers answer.


@pages.post("/usage/sync", shows="differences")
def sync(request: Request, form: Form) -> Response:
    """Reads the schedulers now."""
    service.sync(_for_operator(request))
    return see_other("usage.index", notice="usage.synced")


@pages.post("/usage/reconcile", shows="differences")
def reconcile(request: Request, form: Form) -> Response:
    """Compares the records now."""
    reconciliation.reconcile(_for_operator(request))
    return see_other("usage.differences", notice="usage.reconciled")


def _for_operator(request: Request) -> Office:
    office = office_of(request)
    with office.work(actor_of(request), read_only=True) as work:
        work.require(Role.OPERATOR)
    return office
