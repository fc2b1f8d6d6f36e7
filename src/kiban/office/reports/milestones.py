"""Milestone reports: planned from the proposal, filled from metering, written by the grantee, judged by the office."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from kiban.office import months as calendar
from kiban.office.audit.service import record
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.grants.models import Grant, GrantStatus
from kiban.office.grants.service import get_grant, lock_grant, release_after_report, require_outsider
from kiban.office.grants.telling import tell
from kiban.office.ledger.accounts import YEN
from kiban.office.ledger.accounts import gpu_seconds as gpu_unit
from kiban.office.links import Link, Place
from kiban.office.notices.service import Message
from kiban.office.paging import Page, PageRequest
from kiban.office.proposals.schemas import Kpi as PromisedKpi
from kiban.office.proposals.schemas import Milestone
from kiban.office.reports import figures_repository, repository
from kiban.office.reports.artifacts import describe
from kiban.office.reports.figures import Definition, Reading, Summed, ratio
from kiban.office.reports.models import MilestoneReport, ReportStatus
from kiban.office.reports.programme import energy_definitions
from kiban.office.reports.schemas import Figure, FigureRow, Kpi, ReportBody, ReportOut, Source
from kiban.office.reports.sums import Scope
from kiban.office.work import Role, Work

NO_REPORT = "there is no such report"
_WRITABLE = (ReportStatus.DRAFT, ReportStatus.RETURNED)
_ARTIFACTS = "artifacts.recorded"


def ensure_reports(work: Work, grant_id: uuid.UUID) -> list[MilestoneReport]:
    """Plan a report for each milestone that the proposal promised; those that there are stay.

    A proposal without milestones gets one at the middle of the grant and one at its end: the second half of the
    budget waits for an accepted report.

    Raises:
        NotFound: no such grant, or none this person may see.
    """
    grant = lock_grant(work, grant_id)
    known = repository.milestones_of(work.session, grant.id)
    made = []
    for milestone in _milestones(work, grant):
        if milestone.key not in known:
            made.append(
                MilestoneReport(
                    id=work.new_id(),
                    grant_id=grant.id,
                    milestone=milestone.key,
                    due_on=calendar.first_day(calendar.add(milestone.due_month, 1)) - timedelta(days=1),
                    status=ReportStatus.DRAFT,
                    figures={},
                    body={},
                    updated_at=work.now,
                )
            )
    work.session.add_all(made)
    work.session.flush()
    return made


def plan_reports(work: Work, grant_id: uuid.UUID) -> list[MilestoneReport]:
    """`ensure_reports` for one who asks.

    Raises:
        NotFound: as `ensure_reports`.
        Forbidden: neither an applicant of the grant's organisation nor an operator.
    """
    grant = get_grant(work, grant_id)
    if not (_is_grantee(work, grant) or work.actor.has(Role.OPERATOR, grant.call_id)):
        raise Forbidden("the grant's organisation and operators plan its reports")
    return ensure_reports(work, grant_id)


def _is_grantee(work: Work, grant: Grant) -> bool:
    return work.actor.organisation_id == grant.organisation_id and work.actor.has(Role.APPLICANT)


def _milestones(work: Work, grant: Grant) -> list[Milestone]:
    return _milestones_in(grant, repository.submitted_body(work.session, grant.proposal_id))


def _milestones_in(grant: Grant, body: Mapping[str, Any]) -> list[Milestone]:
    promised = [Milestone.model_validate(each) for each in body.get("milestones") or ()]
    if promised:
        return promised
    first = calendar.month_of_day(grant.starts_on)
    count = max(1, calendar.between(first, calendar.month_of_day(grant.ends_on)))
    return [
        Milestone(key="interim", title="中間報告 / interim", due_month=calendar.add(first, (count - 1) // 2)),
        Milestone(key="final", title="最終報告 / final", due_month=calendar.add(first, count - 1)),
    ]


def get_report(work: Work, report_id: uuid.UUID) -> MilestoneReport:
    """Raises: NotFound: no such report, or none this person may see."""
    return _found(repository.report(work.session, work.actor, report_id))


def list_reports(
    work: Work, page: PageRequest, *, grant_id: uuid.UUID | None = None, status: ReportStatus | None = None
) -> Page[MilestoneReport]:
    return repository.reports(work.session, work.actor, page, grant_id=grant_id, status=status)


def show_reports(work: Work, page: Page[MilestoneReport]) -> Page[ReportOut]:
    """A page of reports as `show_report` shows each, with one query for all that they promised."""
    found = repository.promises(work.session, {report.grant_id for report in page.items})
    shown = []
    for report in page.items:
        grant, body = found[report.grant_id]
        shown.append(_shown(work, report, _milestones_in(grant, body)))
    return Page(shown, page.next_cursor)


def is_late(work: Work, report: MilestoneReport) -> bool:
    """Handed in after its day, or not yet and the day is over. A report that is returned was handed in."""
    handed_in = work.today if report.submitted_at is None else calendar.day_of(report.submitted_at)
    return handed_in > report.due_on


def show_report(work: Work, report: MilestoneReport) -> ReportOut:
    return _shown(work, report, _milestones(work, get_grant(work, report.grant_id)))


def _shown(work: Work, report: MilestoneReport, milestones: list[Milestone]) -> ReportOut:
    milestone = next((each for each in milestones if each.key == report.milestone), None)
    promised: tuple[PromisedKpi, ...] = milestone.kpis if milestone else ()
    return ReportOut(
        id=report.id,
        grant_id=report.grant_id,
        milestone=report.milestone,
        title=milestone.title if milestone else report.milestone,
        kpis=tuple(Kpi(name=kpi.name, unit=kpi.unit, target=kpi.target) for kpi in promised),
        due_on=report.due_on,
        status=report.status,
        is_late=is_late(work, report),
        figures=tuple(Figure.model_validate(each) for each in report.figures.get("figures", ())),
        body=ReportBody.model_validate(report.body),
        version=report.version,
        updated_at=report.updated_at,
        submitted_at=report.submitted_at,
        decided_at=report.decided_at,
        decided_reason=report.decided_reason,
    )


# -- figures --------------------------------------------------------------------------------------------------------


def prefill(work: Work, report: MilestoneReport) -> None:
    """Write the grant's figures up to now into the report, each with what it is a sum of."""
    grant = get_grant(work, report.grant_id)
    last = figures_repository.last_posting(work.session)
    scope = _scope(grant, work.now, last)
    figures = [each.model_dump(mode="json") for each in Reading(work, _definitions(work, grant, scope)).figures()]
    digests = ReportBody.model_validate(report.body).artifacts
    source = Source(kind="artifacts", filter={"digests": list(digests)}, count=len(digests))
    recorded = Figure(key=_ARTIFACTS, value=len(digests), unit="artifacts", source=source)
    report.figures = {
        "at": work.now.isoformat(),
        "last_posting": last,
        "pool_id": str(grant.pool_id),
        "figures": [*figures, recorded.model_dump(mode="json")],
    }


def figure_rows(work: Work, report_id: uuid.UUID, key: str, page: PageRequest) -> Page[FigureRow]:
    """What a report's figure is made of: postings and jobs up to when it was filled, or artifacts.

    Raises:
        NotFound: no such report, or no such figure in it.
    """
    return rows_of_figure(work, get_report(work, report_id), key, page)


def rows_of_figure(work: Work, report: MilestoneReport, key: str, page: PageRequest) -> Page[FigureRow]:
    """As `figure_rows`, of a report that the caller has seen."""
    if not report.figures:
        raise NotFound("the report has no figures yet", where="key")
    if key == _ARTIFACTS:
        digests = next(each for each in report.figures["figures"] if each["key"] == key)["source"]["filter"]["digests"]
        return Page([describe(work.settings.store, digest) for digest in digests], None)
    grant = get_grant(work, report.grant_id)
    scope = _scope(grant, datetime.fromisoformat(report.figures["at"]), report.figures["last_posting"])
    return Reading(work, _definitions(work, grant, scope)).rows(key, page)


def _scope(grant: Grant, at: datetime, last: int) -> Scope:
    """A grant from its opening to an instant, the instant included."""
    return Scope(grant_id=grant.id, until=at + timedelta(microseconds=1), last_posting=last)


def _definitions(work: Work, grant: Grant, scope: Scope) -> dict[str, Definition]:
    own = figures_repository.pools_of_grant(work.session, grant.id) | {grant.pool_id}
    pools = [pool for pool in figures_repository.pools(work.session) if pool.id in own]
    found: dict[str, Definition] = {}
    for unit, suffix in ((YEN, "yen"), *((gpu_unit(pool.id), f"gpu_seconds:{pool.id}") for pool in pools)):
        shown = "yen" if unit == YEN else "GPU-seconds"
        for name in ("awarded", "released", "used"):
            found[f"{name}.{suffix}"] = Summed(shown, getattr(figures_repository, name)(unit, scope))
        found[f"used_of_released.{suffix}"] = ratio(f"used.{suffix}", f"released.{suffix}")
    found["jobs.ended"] = Summed("jobs", figures_repository.jobs(scope))
    found |= energy_definitions(scope, pools)
    found["models.released"] = Summed("models", figures_repository.releases(Scope(grant_id=grant.id)))
    return found


# -- writing and judging --------------------------------------------------------------------------------------------


def save(work: Work, report_id: uuid.UUID, body: ReportBody, version: int) -> MilestoneReport:
    """Keep what the grantee has written, with figures of now.

    Raises:
        NotFound: no such report, or none this person may see.
        Forbidden: not an applicant of the grant's organisation.
        Conflict: somebody else saved it since `version`, or it is handed in.
        Invalid: a KPI that the milestone does not have.
    """
    report = _own(work, report_id, version)
    promised = {kpi.name for kpi in show_report(work, report).kpis}
    given = [kpi.name for kpi in body.kpis]
    for name in given:
        if name not in promised:
            raise Invalid(f"the milestone has no KPI {name!r}", where="body.kpis")
    if len(set(given)) < len(given):
        raise Invalid("a KPI is reported twice", where="body.kpis")
    report.body = body.model_dump(mode="json")
    report.version += 1
    report.updated_at = work.now
    prefill(work, report)
    return report


def submit(work: Work, report_id: uuid.UUID, version: int) -> MilestoneReport:
    """Hand a report in. Its figures stay as they are now.

    Raises:
        As `save`.
        Invalid: nothing is written, or a KPI is missing.
    """
    report = _own(work, report_id, version)
    shown = show_report(work, report)
    if not shown.body.text.strip():
        raise Invalid("the report says nothing yet", where="body.text")
    missing = {kpi.name for kpi in shown.kpis} - {kpi.name for kpi in shown.body.kpis}
    if missing:
        raise Invalid(f"KPIs are missing: {', '.join(sorted(missing))}", where="body.kpis")
    prefill(work, report)
    report.status = ReportStatus.SUBMITTED
    report.submitted_by = work.actor.person_id
    # The first time counts against the due day: a report that was returned had been handed in.
    report.submitted_at = report.submitted_at or work.now
    report.version += 1
    report.updated_at = work.now
    grant = get_grant(work, report.grant_id)
    late = is_late(work, report)
    record(work, "reports.submitted", "milestone_report", report.id, milestone=report.milestone, late=late)
    tell(
        work,
        grant,
        cause=f"report:{report.id}:{report.version}",
        event="reports.submitted",
        ja=Message(
            f"報告書「{shown.title}」が提出されました", f"期限は{report.due_on}です。{'期限後の提出です。' * late}"
        ),
        en=Message(f"Report {shown.title} was submitted", f"It was due on {report.due_on}.{' It is late.' * late}"),
        link=Link(Place.REPORT, report_id=report.id),
        payload={"report_id": str(report.id), "milestone": report.milestone, "late": late},
        to_grantee=False,
    )
    return report


def accept(work: Work, report_id: uuid.UUID, remark: str = "") -> MilestoneReport:
    """Accept a report: the next tranche that waits for one is released in the same work.

    Raises:
        NotFound: no such report.
        Forbidden: not an operator.
        Conflict: it is not handed in.
    """
    report = _judged(work, report_id)
    grant = get_grant(work, report.grant_id)
    require_outsider(work, grant)
    report.status = ReportStatus.ACCEPTED
    _decide(work, report, "accepted", remark)
    # A last report comes after the grant's end, when there is nothing left to release.
    released = [] if grant.status is GrantStatus.CLOSED else release_after_report(work, grant.id)
    yen = sum(tranche.yen for tranche in released)
    _tell_grantee(
        work,
        grant,
        report,
        ja=("受理されました", f"{yen:,}円分が利用できるようになりました。" if yen else ""),
        en=("was accepted", f"{yen:,} yen became available." if yen else ""),
        reason=remark,
    )
    return report


def send_back(work: Work, report_id: uuid.UUID, reason: str) -> MilestoneReport:
    """Return a report to the grantee with what is missing.

    Raises:
        As `accept`.
    """
    report = _judged(work, report_id)
    report.status = ReportStatus.RETURNED
    _decide(work, report, "returned", reason)
    _tell_grantee(
        work,
        get_grant(work, report.grant_id),
        report,
        ja=("差し戻されました", "修正して再度提出してください。"),
        en=("was returned", "Please correct it and submit it again."),
        reason=reason,
    )
    return report


def _own(work: Work, report_id: uuid.UUID, version: int) -> MilestoneReport:
    report = _found(repository.report(work.session, work.actor, report_id, lock=True))
    grant = get_grant(work, report.grant_id)
    if not (_is_grantee(work, grant) or work.actor.is_system):
        raise Forbidden("the grant's organisation writes its reports")
    if report.status not in _WRITABLE:
        raise Conflict(f"the report is {report.status}", where=report.milestone)
    if report.version != version:
        raise Conflict(
            "somebody else has saved the report meanwhile", where="version", hint=f"it is now {report.version}"
        )
    return report


def _judged(work: Work, report_id: uuid.UUID) -> MilestoneReport:
    work.require(Role.OPERATOR)
    # The grant first, as releasing a tranche does: two that wait for one another would both fail.
    lock_grant(work, _found(repository.report(work.session, work.actor, report_id)).grant_id)
    report = _found(repository.report(work.session, work.actor, report_id, lock=True))
    if report.status is not ReportStatus.SUBMITTED:
        raise Conflict(f"the report is {report.status}", where=report.milestone)
    return report


def _decide(work: Work, report: MilestoneReport, verb: str, reason: str) -> None:
    report.decided_by, report.decided_at, report.decided_reason = work.actor.person_id, work.now, reason
    report.version += 1
    report.updated_at = work.now
    record(work, f"reports.{verb}", "milestone_report", report.id, milestone=report.milestone, reason=reason)
    work.session.flush()


def _tell_grantee(
    work: Work, grant: Grant, report: MilestoneReport, *, ja: tuple[str, str], en: tuple[str, str], reason: str
) -> None:
    title = show_report(work, report).title
    tell(
        work,
        grant,
        cause=f"report:{report.id}:{report.version}",
        event=f"reports.{report.status}",
        ja=Message(f"報告書「{title}」が{ja[0]}", "\n".join(part for part in (ja[1], reason) if part)),
        en=Message(f"Report {title} {en[0]}", "\n".join(part for part in (en[1], reason) if part)),
        link=Link(Place.REPORT, report_id=report.id),
        payload={"report_id": str(report.id), "milestone": report.milestone, "status": report.status.value},
        to_operators=False,
    )


def _found(report: MilestoneReport | None) -> MilestoneReport:
    if report is None:
        raise NotFound(NO_REPORT, where="report_id")
    return report
