"""Announced awards, the record of each decision, and the letter to each applicant."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import HTMLResponse, Response

from kiban.office.awards import reading
from kiban.office.awards.letters.decision_record import decision_record
from kiban.office.awards.letters.document import Document, to_html
from kiban.office.awards.letters.letter import letter as letter_of
from kiban.office.awards.reading import AnnouncedAward
from kiban.office.calls.service import theme_name
from kiban.office.errors import Unauthenticated
from kiban.office.members.models import OrganisationKind
from kiban.portal import charts
from kiban.portal.api.dependencies import Reading
from kiban.portal.format import PlainFormats
from kiban.portal.i18n import Text, _, in_language, pgettext
from kiban.portal.web import page as pages_web
from kiban.portal.web.labels import label
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, localised_text, url, view

pages = Pages("awards")
_FILE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def _theme(row: AnnouncedAward) -> tuple[str, str]:
    return theme_name(row.call, row.proposal.theme)


def _proposal_url(row: AnnouncedAward) -> str | None:
    actor = pages_web.current().actor
    return url("proposals.show", proposal_id=row.proposal.id) if actor.sees_everything else None


AWARDS: Table[AnnouncedAward] = Table(
    "awards",
    [
        Column("title", _("Project"), lambda row: row.proposal.title, sort="title", href=_proposal_url),
        Column(
            "organisation",
            _("Organisation"),
            lambda row: (row.organisation.name_ja, row.organisation.name_en),
            kind="localised",
            sort="organisation",
        ),
        Column("kind", _("Kind of organisation"), lambda row: row.organisation.kind, kind="enum", sort="kind"),
        Column("theme", _("Theme"), _theme, kind="localised", sort="theme"),
        Column("yen", _("Amount"), lambda row: row.award.yen, kind="yen", sort="yen"),
        Column("gpu_time", _("GPU time"), lambda row: row.award.gpu_seconds, kind="gpu_time", sort="gpu_time"),
        Column("pool", _("Pool"), lambda row: row.pool.name, sort="pool"),
        Column("gpus", _("GPUs"), lambda row: row.award.gpus, kind="number", sort="gpus"),
        Column("start_month", _("From"), lambda row: row.award.start_month, sort="start_month"),
        Column("months", _("Months"), lambda row: row.award.months, kind="number", sort="months"),
        Column("by_lottery", _("By lottery"), lambda row: row.award.by_lottery, kind="bool"),
        Column("receipt", _("Receipt"), lambda row: row.proposal.receipt, kind="code", sort="receipt"),
        Column(
            "call",
            pgettext("award", "Call"),
            lambda row: row.call.code,
            kind="code",
            sort="call",
            href=lambda row: url("calls.show", call_id=row.call.id),
        ),
    ],
    caption=pgettext("public", "Awards"),
)


@pages.get("/awards")
def index(
    work: Reading,
    query: ListQuery,
    call_id: Chosen[uuid.UUID] = None,
    theme: Chosen[Annotated[str, Query(max_length=64)]] = None,
    kind: Chosen[OrganisationKind] = None,
    pool_id: Chosen[uuid.UUID] = None,
) -> View | Response:
    """Announced awards with charts of them, by call, theme, kind of organisation and pool."""
    everything = reading.announced_awards(work)
    wanted = {"call": call_id, "theme": theme, "kind": kind, "pool": pool_id}
    rows = [row for row in everything if all(value in (None, _keys(row)[name]) for name, value in wanted.items())]
    calls = {row.call.id: row.call for row in everything}
    titles = {key: localised_text(call, "title") for key, call in calls.items()}
    themes = {row.proposal.theme: _own(_theme(row)) for row in everything}
    listing = AWARDS.of(
        query,
        rows,
        filters=[
            Filter.select(
                "call_id",
                pgettext("award", "Call"),
                call_id,
                titles,
            ),
            Filter.select("theme", _("Theme"), theme, themes),
            Filter.one_of("kind", _("Kind of organisation"), kind, OrganisationKind),
            Filter.select("pool_id", _("Pool"), pool_id, {row.pool.id: row.pool.name for row in everything}),
        ],
        empty=Empty(_("No awards are announced yet"), _("When a call is decided, what it funds stands here.")),
    )
    return view(
        "awards/index.html",
        listing=listing,
        rows=rows,
        call=calls.get(call_id) if call_id else None,
        calls=list(calls.values()),
        organisations=len({row.organisation.id for row in rows}),
        charts=_charts(rows) if rows else [],
    )


def _keys(row: AnnouncedAward) -> dict[str, Any]:
    return {
        "call": row.call.id,
        "theme": row.proposal.theme,
        "kind": row.organisation.kind,
        "pool": row.pool.id,
    }


def _own(both: tuple[str, str]) -> str:
    return both[0] if pages_web.current().language == "ja" else both[1]


def _said(text: Text) -> str:
    """In the page's language, before the page is made."""
    return in_language(text, pages_web.current().language)


def _charts(rows: list[AnnouncedAward]) -> list[charts.Chart]:
    fmt = PlainFormats(pages_web.current().language)
    yen = charts.Quantity(_said(_("Amount")), fmt, "yen")
    time = charts.Quantity(_said(_("GPU time")), fmt, "gpu_time")
    source = _said(_("The awards listed above"))

    by_theme = _sums(rows, lambda row: _own(_theme(row)), lambda row: row.award.yen)
    by_kind = _sums(rows, lambda row: _said(label(row.organisation.kind)), lambda row: row.award.yen)
    by_pool = _sums(rows, lambda row: row.pool.name, lambda row: row.award.gpu_seconds)
    kinds, themes, pools = _said(_("Kind of organisation")), _said(_("Theme")), _said(_("Pool"))
    return [
        charts.bars("by-theme", _said(_("Amount by theme")), by_theme, yen, heading=themes, source=source),
        charts.bars("by-kind", _said(_("Amount by kind of organisation")), by_kind, yen, heading=kinds, source=source),
        charts.bars("by-pool", _said(_("GPU time by pool")), by_pool, time, heading=pools, source=source),
    ]


def _sums(
    rows: Iterable[AnnouncedAward], of: Callable[[AnnouncedAward], str], amount: Callable[[AnnouncedAward], int]
) -> tuple[charts.Bar, ...]:
    """The largest first."""
    found: Counter[str] = Counter()
    for row in rows:
        found[of(row)] += amount(row)
    return tuple(charts.Bar(name, (float(value),)) for name, value in found.most_common())


@pages.get("/awards/calls/{call_id}/record")
def record(work: Reading, call_id: uuid.UUID, public: bool = False, file: bool = False) -> View | Response:
    """How a call's awards came about: whole for those who decide and audit, redacted for everybody once announced."""
    documents = decision_record(work, call_id, public=public)
    if file:
        return _as_file(documents, f"record-{call_id}.html")
    return view("awards/document.html", document=_in_own_language(documents), back=url("awards.index", call_id=call_id))


@pages.get("/awards/proposals/{proposal_id}/letter")
def letter(work: Reading, proposal_id: uuid.UUID, file: bool = False) -> View | Response:
    """The letter to an applicant: what is awarded, or why not and what would have funded the proposal."""
    if work.actor.person_id is None:
        raise Unauthenticated("sign in first")
    documents = letter_of(work, proposal_id)
    if file:
        return _as_file(documents, f"letter-{proposal_id}.html")
    back = url("proposals.outcome", proposal_id=proposal_id)
    return view("awards/document.html", document=_in_own_language(documents), back=back)


def _in_own_language(documents: list[Document]) -> Document:
    return next(each for each in documents if each.language == pages_web.current().language)


def _as_file(documents: list[Document], name: str) -> Response:
    headers = _FILE | {"Content-Disposition": f'attachment; filename="{name}"'}
    return HTMLResponse(to_html(documents), headers=headers)
