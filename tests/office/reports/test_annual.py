from __future__ import annotations

import sys
from datetime import date

import pytest
import sqlalchemy as sa

from kiban.kit.errors import Refused
from kiban.office.errors import Forbidden
from kiban.office.members.models import Organisation
from kiban.office.reports.annual import annual_html, annual_pdf, charts
from kiban.office.reports.outcomes import record_release
from kiban.office.reports.schemas import ReferenceScore, ReleaseIn, ScoreIn
from kiban.office.supply.models import Pool

from .conftest import HOSTILE, Running


def season(running: Running) -> None:
    running.use(3600, energy_joules=36_000_000)
    reference = ReferenceScore(name=HOSTILE, value=0.44, source="published")
    score = ScoreIn(task=HOSTILE, metric="accuracy", value=0.5, n=1000, ci95=(0.47, 0.53), references=(reference,))
    given = ReleaseIn(name=HOSTILE, licence="MIT", released_on=date(2026, 4, 1), scores=(score,))
    with running.funded.office.work(running.member) as work:
        record_release(work, running.grant.id, given)
    with running.funded.office.work() as work:
        work.session.execute(sa.update(Organisation).values(domain=HOSTILE))
        work.session.execute(sa.update(Pool).values(name=HOSTILE))


def test_the_page_shows_figures_escapes_names_and_loads_nothing(running: Running) -> None:
    season(running)
    with running.funded.office.work(read_only=True) as work:
        page = annual_html(work, 2026)
    assert page.count("3,200") >= 2  # yen used, in both languages
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "47" in page
    assert "<script" not in page
    assert 'src="http' not in page
    assert page.count("<svg") == 4


def test_an_empty_year_is_a_report_too(running: Running) -> None:
    with running.funded.office.work(read_only=True) as work:
        page = annual_html(work, 2031)
    assert "2031年度" in page


def test_pdf_or_a_clear_reason_why_not(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    running.use(3600)
    with running.funded.office.work(read_only=True) as work:
        assert annual_pdf(work, 2026).startswith(b"%PDF")
        monkeypatch.setitem(sys.modules, "weasyprint", None)
        with pytest.raises(Refused, match="WeasyPrint"):
            annual_pdf(work, 2026)


def test_grantees_do_not_read_it(running: Running) -> None:
    with running.funded.office.work(running.member, read_only=True) as work, pytest.raises(Forbidden):
        annual_html(work, 2026)


def test_amounts_on_an_axis_are_said_as_people_say_them() -> None:
    rows = [("2025-07", 12_000_000), ("2025-08", 163_000_000)]
    japanese, english = (charts.by_month(rows, "円", "months", language=language) for language in ("ja", "en"))
    assert [each in japanese for each in (">5,000万<", ">1億<", ">1.5億<")] == [True] * 3
    assert ">150M<" in english
