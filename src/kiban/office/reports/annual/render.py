"""A fiscal year as a page: every figure by its key, and at the end a table of what each is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markupsafe import Markup, escape

from kiban.kit.errors import Refused
from kiban.kit.page import Table, environment, style
from kiban.office.months import day_of
from kiban.office.reports import figures_repository
from kiban.office.reports import repository as reports_repository
from kiban.office.reports.annual import charts
from kiban.office.reports.models import ModelRelease
from kiban.office.reports.programme import Wanted, fiscal_months, programme, scope_of
from kiban.office.reports.schemas import Figure, Score
from kiban.office.supply.models import Pool
from kiban.office.work import Work

TEMPLATES = Path(__file__).with_name("templates")
Language = Literal["ja", "en"]
GLANCE = (
    ("awarded.yen", "交付決定額", "Awarded"),
    ("used.yen", "利用額", "Used"),
    ("co2.kg", "CO₂排出量", "CO2"),
    ("organisations.funded", "支援した組織", "Organisations"),
    ("models.released", "公開されたモデル", "Models released"),
    ("models.scored", "うち評価値のあるもの", "of these with scores"),
    ("people.trained", "育成した人数", "People trained"),
    ("grants.late", "報告が遅れた採択", "Grants with a late report"),
)
MONEY = (
    ("budget", "予算", "Budget"),
    ("awarded", "交付決定", "Awarded"),
    ("released", "利用可能", "Released"),
    ("used", "利用", "Used"),
    ("expired", "失効", "Expired"),
    ("reused", "再配分", "Reused"),
)
OUTCOMES = (
    ("proposals.received", "受け付けた提案", "Proposals received"),
    ("awards.announced", "公表した採択", "Awards announced"),
    ("grants.opened", "始まった採択", "Grants opened"),
    ("grants.on_time", "報告が期限内の採択", "Grants with reports on time"),
    ("grants.late", "報告が遅れた採択", "Grants with a late report"),
    ("reports.due", "期限が来た報告", "Reports due"),
    ("reports.late", "うち遅れたもの", "of these late"),
    ("jobs.ended", "終了したジョブ", "Jobs ended"),
    ("events.held", "催し", "Events"),
    ("people.reached", "参加者", "People reached"),
    ("people.trained", "育成した人数", "People trained"),
)
UNITS_JA = {"yen": "円", "people": "人", "models": "件", "organisations": "組織", "kg CO2": "kg", "grants": "件"}
KINDS_JA = {"startup": "新興企業", "company": "企業", "university": "大学", "public": "公的機関", "nonprofit": "非営利"}


@dataclass(frozen=True)
class Tile:
    key: str
    name: str
    value: str
    unit: str


@dataclass(frozen=True)
class Section:
    heading: str
    paragraphs: tuple[str, ...] = ()
    charts: tuple[tuple[Markup, str], ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    is_origins: bool = False


@dataclass(frozen=True)
class View:
    language: Language
    programme: str
    title: str
    lead: str
    glance: tuple[Tile, ...]
    sections: tuple[Section, ...]


def annual_html(work: Work, year: int) -> str:
    """The report of the fiscal year from April `year`, as one file that loads nothing else.

    Raises:
        Forbidden: neither operator, auditor nor observer.
        Invalid: not a fiscal year.
    """
    wanted = Wanted(year)
    figures = {each.key: each for each in programme(work, wanted).figures}
    pools = figures_repository.pools(work.session)
    releases = reports_repository.releases_in(work.session, scope_of(work, wanted))
    views = [_Report(work, year, language, figures, pools, releases).view() for language in ("ja", "en")]
    template = environment(TEMPLATES).get_template("annual.html.jinja")
    return template.render(views=views, style=style(TEMPLATES / "annual.css"))


def annual_pdf(work: Work, year: int) -> bytes:
    """The same as PDF, Japanese first, then English.

    Raises:
        As `annual_html`.
        Refused: WeasyPrint is not installed.
    """
    try:
        import weasyprint
    except (ImportError, OSError) as error:  # the package, or the libraries that it draws with
        raise Refused(
            "PDF needs WeasyPrint, which is not installed", hint="pip install 'kiban[pdf]', or write .html"
        ) from error

    def nothing(url: str, *given: object, **named: object) -> object:
        raise ValueError(f"the report loads nothing: {url}")

    html = _resolved(annual_html(work, year))
    return bytes(weasyprint.HTML(string=html, url_fetcher=nothing).write_pdf())


def _resolved(html: str) -> str:
    """Colours of the pictures as values: WeasyPrint reads no variables in SVG."""
    own = (TEMPLATES / "annual.css").read_text(encoding="utf-8")
    colours = {
        name: colour
        for sheet in (html, own)
        for name, colour in re.findall(r"(--[a-z0-9-]+): (#[0-9a-f]{3,6})", sheet[: sheet.index("@media")])
    }
    return re.sub(r'"var\((--[a-z0-9-]+)\)"', lambda match: f'"{colours.get(match[1], "#000000")}"', html)


@dataclass(frozen=True)
class _Report:
    work: Work
    year: int
    language: Language
    figures: dict[str, Figure]
    pools: list[Pool]
    releases: list[tuple[ModelRelease, str]]

    def say(self, ja: str, en: str) -> str:
        return ja if self.language == "ja" else en

    def value(self, key: str) -> str:
        return self.number(self.figures[key].value)

    def number(self, value: float | None) -> str:
        if value is None:
            return self.say("測定なし", "not measured")
        return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"

    def unit(self, key: str) -> str:
        unit = self.figures[key].unit
        return UNITS_JA.get(unit, unit) if self.language == "ja" else unit

    def view(self) -> View:
        say = self.say
        return View(
            language=self.language,
            programme=self.work.settings.programme_name,
            title=say(f"{self.year}年度 年次報告書", f"Annual report, fiscal year {self.year}"),
            lead=say(
                f"{self.year}年4月から{self.year + 1}年3月まで。"
                f"{day_of(self.work.now)}現在の台帳と記録から計算しました。",
                f"April {self.year} to March {self.year + 1}, computed from the ledger and the records as of "
                f"{day_of(self.work.now)}.",
            ),
            glance=tuple(
                Tile(key, say(ja, en), self.value(key), self.unit(key)) for key, ja, en in GLANCE
            ),
            sections=(
                self.money(),
                self.utilisation(),
                self.energy(),
                self.models(),
                self.outcomes(),
                self.organisations(),
                self.origins(),
            ),
        )  # fmt: skip

    def money(self) -> Section:
        months = fiscal_months(self.year)
        used = [(month[2:], int(self.figures[f"used.yen:{month}"].value or 0)) for month in months]
        rows = [[self.say("円", "yen"), *(self.value(f"{name}.yen") for name, _, _ in MONEY)]]
        for pool in self.pools:
            hours = [self.figures[f"{name}.gpu_seconds:{pool.id}"].value or 0 for name, _, _ in MONEY]
            if any(hours):
                rows.append([pool.name, *(f"{each / 3600:,.0f}" for each in hours)])
        heads = ["", *(self.say(ja, en) for _, ja, en in MONEY)]
        caption = self.say("円、および提供元ごとのGPU時間", "Yen, and GPU-hours of each pool")
        by_month = _table(
            self.say("月ごとの利用額", "Used by month"),
            [self.say("月", "Month"), self.say("円", "Yen")],
            [[month, f"{value:,}"] for month, value in used],
        )
        chart = charts.by_month(used, self.say("円", "yen"), f"months-{self.language}", language=self.language)
        return Section(
            self.say("資金と計算資源", "Money and compute"),
            charts=((chart, self.say("月ごとの利用額（円）", "Yen used by month")),),
            tables=(_table(caption, heads, rows), by_month),
        )

    def utilisation(self) -> Section:
        months = fiscal_months(self.year)
        points = [
            (pool.name, month[2:], value)
            for pool in self.pools
            for month in months
            if (value := self.figures[f"utilisation:{pool.id}:{month}"].value) is not None
        ]
        heading = self.say("利用率", "Utilisation")
        if not points:
            return Section(
                heading, paragraphs=(self.say("引き渡された計算資源がありません。", "Nothing was delivered."),)
            )
        rows = []
        for pool in self.pools:
            whole = self.figures[f"utilisation:{pool.id}"].value
            cells = [self.figures[f"utilisation:{pool.id}:{month}"].value for month in months]
            rows.append([pool.name, *("—" if each is None else f"{each:.1%}" for each in (*cells, whole))])
        heads = ["", *(month[5:] for month in months), self.say("通年", "Year")]
        text = self.say(
            "引き渡されたGPU秒のうち、ジョブに割り当てられた割合です。進行中の月は現在までを数えます。",
            "GPU-seconds allocated to jobs, of those delivered; of the month that runs, up to now.",
        )
        chart = charts.utilisation(points, self.say("利用率", "utilisation"), f"utilisation-{self.language}")
        return Section(
            heading,
            paragraphs=(text,),
            charts=((chart, self.say("提供元と月ごとの利用率", "Utilisation by pool and month")),),
            tables=(_table(self.say("利用率", "Utilisation"), heads, rows),),
        )

    def energy(self) -> Section:
        rows, notes = [], []
        for pool in self.pools:
            kwh, co2 = self.figures[f"energy.kwh:pool:{pool.id}"], self.figures[f"co2.kg:{pool.id}"]
            if kwh.source.count:
                rows.append([pool.name, pool.area, self.number(kwh.value), self.number(co2.value)])
                notes.append(f"{pool.name}: {co2.method}. {'; '.join(co2.sources)}")
        total = [self.say("合計", "Total"), "", self.value("energy.kwh"), self.value("co2.kg")]
        heads = [
            self.say("提供元", "Pool"),
            self.say("供給区域", "Area"),
            self.say("サーバー kWh", "Servers, kWh"),
            self.say("CO₂ kg（施設全体）", "CO2, kg (facility)"),
        ]
        text = self.say(
            f"サーバーの電力量のうち、実測 {self.value('energy.kwh:measured')} kWh、"
            f"推計 {self.value('energy.kwh:estimated')} kWh。"
            f"電力量が分からない利用は {self.value('energy.gpu_seconds:unknown')} GPU秒です。",
            f"Of the servers' energy {self.value('energy.kwh:measured')} kWh were measured and "
            f"{self.value('energy.kwh:estimated')} kWh estimated. For {self.value('energy.gpu_seconds:unknown')} "
            "GPU-seconds the energy is unknown.",
        )
        caption = self.say("電力量とCO₂", "Energy and CO2")
        return Section(
            self.say("エネルギーとCO₂", "Energy and CO2"),
            paragraphs=(text,),
            tables=(_table(caption, heads, [*rows, total], numbers_from=2),),
            notes=tuple(notes),
        )

    def models(self) -> Section:
        rows, scores = [], []
        for release, grant in self.releases:
            stated = release.card.get("source") != "artifact"
            source = self.say("採択者の申告", "stated") if stated else self.say("成果物から", "from its artifact")
            rows.append([release.name, grant, release.licence, self.number(release.parameters),
                         self.number(release.tokens), source])  # fmt: skip
            for each in release.scores:
                score = Score.model_validate(each)
                scores.append([release.name, f"{score.task}, {score.metric}", *self.score(score)])
                scores += [
                    [f"　{reference.name}", f"{score.task}, {score.metric}", *self.reference(reference)]
                    for reference in score.references
                ]
        heading = self.say("公開されたモデル", "Models released")
        if not rows:
            return Section(heading, paragraphs=(self.say("この年度にはありません。", "None in this year."),))
        heads = [self.say("モデル", "Model"), self.say("採択", "Grant"), self.say("許諾", "Licence"),
                 self.say("パラメータ", "Parameters"), self.say("トークン", "Tokens"), self.say("数値の出所", "Source")]  # fmt: skip  # noqa: E501
        tables = [_table(heading, heads, rows, numbers_from=3)]
        if scores:
            heads = [self.say("モデル", "Model"), self.say("課題", "Task"), self.say("値", "Value"), "n",
                     self.say("95%区間", "95% interval")]  # fmt: skip
            caption = self.say("評価値（字下げは参照モデル）", "Scores, reference models indented")
            tables.append(_table(caption, heads, scores, numbers_from=2))
        return Section(heading, tables=tuple(tables))

    def score(self, score: Score) -> list[str]:
        if score.value is None or score.ci95 is None:
            return [self.say("測定なし", "not measured"), "", score.not_measured]
        return [f"{score.value:.4g}", f"{score.n:,}", f"{score.ci95[0]:.4g} – {score.ci95[1]:.4g}"]

    def reference(self, given: object) -> list[str]:
        value, n, ci95 = (getattr(given, name) for name in ("value", "n", "ci95"))
        interval = "—" if ci95 is None else f"{ci95[0]:.4g} – {ci95[1]:.4g}"
        return [f"{value:.4g}", "—" if n is None else f"{n:,}", interval]

    def outcomes(self) -> Section:
        rows = [[self.say(ja, en), self.value(key)] for key, ja, en in OUTCOMES]
        heads = ["", self.say("件・人", "Count")]
        heading = self.say("公募、報告、人材育成", "Calls, reports and people")
        return Section(heading, tables=(_table(heading, heads, rows),))

    def organisations(self) -> Section:
        heading = self.say("支援した組織", "Organisations funded")
        rows = []
        for by, title in (("kind", self.say("種別", "Kind")), ("domain", self.say("分野", "Domain"))):
            prefix = f"organisations.funded:{by}:"
            for key in self.figures:
                if key.startswith(prefix):
                    group = key.removeprefix(prefix)
                    name = KINDS_JA.get(group, group) if self.language == "ja" else group
                    rows.append([title, name, self.value(key)])
        if not rows:
            return Section(heading, paragraphs=(self.say("この年度にはありません。", "None in this year."),))
        heads = [self.say("分類", "By"), self.say("区分", "Group"), self.say("組織", "Organisations")]
        return Section(heading, tables=(_table(heading, heads, rows, numbers_from=2),))

    def origins(self) -> Section:
        text = self.say(
            "すべての数値は、台帳の仕訳または記録の和です。次の鍵で、その一つ一つを取り出せます："
            f"kiban office report figures --year {self.year} --key 鍵",
            "Every figure is a sum of postings of the ledger or of records. Its key lists them: "
            f"kiban office report figures --year {self.year} --key KEY",
        )
        rows = []
        for figure in self.figures.values():
            if not figure.source.count or ":20" in figure.key:
                continue
            ends = f" #{figure.source.first}–{figure.source.last}" if figure.source.first is not None else ""
            made = f"{figure.source.count:,} {figure.source.kind}{ends}"
            rows.append([figure.key, self.number(figure.value), figure.unit, made])
        heads = [self.say("鍵", "Key"), self.say("値", "Value"), self.say("単位", "Unit"), self.say("内訳", "Made of")]
        heading = self.say("数値の出所", "Where figures come from")
        return Section(heading, paragraphs=(text,), tables=(_table(heading, heads, rows),), is_origins=True)


def _table(caption: str, heads: list[str], rows: list[list[str]], *, numbers_from: int = 1) -> Table:
    return Table(
        caption=escape(caption),
        heads=tuple(escape(head) for head in heads),
        rows=tuple(tuple(escape(cell) for cell in row) for row in rows),
        numbers_from=numbers_from,
    )
