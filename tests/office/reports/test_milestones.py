from __future__ import annotations

import threading
from datetime import date

import pytest
import sqlalchemy as sa

from kiban.kit.errors import KibanError
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.grants.models import Tranche, TrancheStatus
from kiban.office.notices.models import Notice
from kiban.office.paging import PageRequest
from kiban.office.reports import milestones
from kiban.office.reports.models import MilestoneReport, ReportStatus
from kiban.office.reports.schemas import KpiResult, ReportBody
from kiban.office.work import Actor, Role

from ..grants.conftest import YEN
from .conftest import Running

BODY = ReportBody(text="学習を終えた。", next_steps="評価", kpis=(KpiResult(name="JMMLU", achieved=61.5),))


def save(running: Running, report: MilestoneReport, version: int, actor: Actor | None = None) -> MilestoneReport:
    with running.funded.office.work(actor or running.member) as work:
        return milestones.save(work, report.id, BODY, version)


def submitted(running: Running) -> MilestoneReport:
    report = running.report()
    save(running, report, 0)
    with running.funded.office.work(running.member) as work:
        return milestones.submit(work, report.id, 1)


def test_reports_are_those_the_proposal_promised(running: Running) -> None:
    first, second = running.report(0), running.report(1)
    assert [(row.milestone, row.due_on) for row in (first, second)] == [
        ("m1", date(2026, 5, 31)),
        ("m2", date(2026, 6, 30)),
    ]
    with running.funded.office.work() as work:
        assert milestones.ensure_reports(work, running.grant.id) == []  # once, however often asked


def test_a_page_of_reports_takes_as_many_queries_as_one_report(running: Running) -> None:
    office, asked = running.funded.office, []
    running.report()
    with office.work(running.member, read_only=True) as work:
        listed = milestones.list_reports(work, PageRequest())
        alone = [milestones.show_report(work, report) for report in listed.items]
    assert len(alone) == 2
    counts = []
    for limit in (1, 2):
        asked.clear()
        with office.work(running.member, read_only=True) as work:
            sa.event.listen(work.session.connection(), "before_cursor_execute", lambda *given: asked.append(given[2]))
            page = milestones.show_reports(work, milestones.list_reports(work, PageRequest(limit=limit)))
        counts.append(len(asked))
        assert page.items == alone[:limit]
    assert counts == [2, 2]


def test_figures_are_sums_of_the_postings_they_name(running: Running) -> None:
    running.use(3600, energy_joules=36_000_000)
    report = running.report()
    save(running, report, 0)
    running.use(3600, number=2)  # after the report was filled
    with running.funded.office.work(running.member, read_only=True) as work:
        shown = milestones.show_report(work, milestones.get_report(work, report.id))
        figures = {figure.key: figure for figure in shown.figures}
        used = figures["used.yen"]
        assert used.value == 8 * 400
        rows = milestones.figure_rows(work, report.id, "used.yen", PageRequest()).items
        assert (sum(row.value or 0 for row in rows), len(rows)) == (used.value, used.source.count)
        assert [str(used.source.first), str(used.source.last)] == [rows[0].id, rows[-1].id]
        assert figures["energy.kwh"].value == pytest.approx(10)
        assert figures["used_of_released.yen"].value == pytest.approx(8 * 400 / (YEN // 2))
        with pytest.raises(NotFound):
            milestones.figure_rows(work, report.id, "budget.yen", PageRequest())


def test_an_accepted_report_releases_the_second_half(running: Running) -> None:
    report = submitted(running)
    assert running.funded.standing(running.grant).available.yen == YEN // 2
    with running.funded.office.work(running.operator) as work:
        accepted = milestones.accept(work, report.id)
    assert accepted.status is ReportStatus.ACCEPTED
    assert running.funded.standing(running.grant).available.yen == YEN
    with running.funded.office.work(running.operator) as work, pytest.raises(Conflict):
        milestones.accept(work, report.id)


def test_a_returned_report_can_be_written_and_handed_in_again(running: Running) -> None:
    report = submitted(running)
    with running.funded.office.work(running.operator) as work:
        milestones.send_back(work, report.id, "目標値の説明が足りない")
    with running.funded.office.work(running.member) as work:
        again = milestones.submit(work, report.id, 3)
    assert again.status is ReportStatus.SUBMITTED
    # Nothing is released for a report that was returned.
    with running.funded.office.work(read_only=True) as work:
        waiting = work.session.scalars(sa.select(Tranche).where(Tranche.needs_report)).one()
    assert waiting.status is TrancheStatus.DUE


def test_notices_go_to_operators_then_to_the_grantee(running: Running) -> None:
    report = submitted(running)
    with running.funded.office.work(running.operator) as work:
        milestones.send_back(work, report.id, "説明が足りない。")
    with running.funded.office.work(read_only=True) as work:
        told = {row.event for row in work.session.scalars(sa.select(Notice).where(Notice.cause.like("report:%")))}
    assert told == {"reports.submitted", "reports.returned"}


def test_another_ones_save_is_not_overwritten(running: Running) -> None:
    report = running.report()
    save(running, report, 0)
    with pytest.raises(Conflict, match="meanwhile"):
        save(running, report, 0)


def test_only_the_grantee_writes_and_only_an_operator_judges(running: Running) -> None:
    report = running.report()
    with pytest.raises(Forbidden):
        save(running, report, 0, running.operator)
    stranger = running.funded.rows.actor(Role.APPLICANT, organisation=running.funded.rows.organisation())
    with pytest.raises(NotFound):
        save(running, report, 0, stranger)
    submitted(running)
    with running.funded.office.work(running.member) as work, pytest.raises(Forbidden):
        milestones.accept(work, report.id)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (ReportBody(text="x", kpis=(KpiResult(name="別のもの", achieved=1),)), "no KPI"),
        (ReportBody(text="x", kpis=(KpiResult(name="JMMLU"), KpiResult(name="JMMLU"))), "twice"),
    ],
)
def test_kpis_are_those_promised(running: Running, body: ReportBody, message: str) -> None:
    report = running.report()
    with running.funded.office.work(running.member) as work, pytest.raises(Invalid, match=message):
        milestones.save(work, report.id, body, 0)


def test_an_empty_report_is_not_handed_in(running: Running) -> None:
    report = running.report()
    with running.funded.office.work(running.member) as work, pytest.raises(Invalid, match="nothing"):
        milestones.submit(work, report.id, 0)


def test_two_operators_accept_at_once_and_one_tranche_is_released(running: Running) -> None:
    report = submitted(running)
    start = threading.Barrier(2)
    outcomes: list[str] = []

    def accept() -> None:
        start.wait()
        try:
            with running.funded.office.work(running.operator) as work:
                milestones.accept(work, report.id)
            outcomes.append("accepted")
        except KibanError as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=accept) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["Conflict", "accepted"]
    assert running.funded.standing(running.grant).committed.yen == 0
