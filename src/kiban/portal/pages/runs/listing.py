"""The list of artifacts, and of what is being made."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from starlette.responses import Response

from kiban.kit.figures import headline
from kiban.kit.manifest import Manifest
from kiban.kit.store import DIGEST
from kiban.office.errors import Invalid
from kiban.office.members import policy
from kiban.office.paging import Page, PageRequest
from kiban.office.work import JST
from kiban.portal.api.dependencies import Reading
from kiban.portal.artifacts.access import access_of
from kiban.portal.artifacts.index import index_of
from kiban.portal.artifacts.settings import plain
from kiban.portal.i18n import _, current_language, pgettext
from kiban.portal.pages.runs.area import instant, kind_of, pages
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Chosen, ChosenText, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, url, view

UNDER_WAY_SHOWN = 20
SORTS: dict[str, Callable[[Manifest], Any]] = {
    "name": lambda row: row.name.casefold(),
    "kind": lambda row: row.kind,
    "finished": lambda row: row.finished,
    "wall_s": lambda row: row.resources.wall_s,
    "gpu_s": lambda row: row.resources.gpu_s,
}
ARTIFACTS: Table[Manifest] = Table(
    "artifacts",
    [
        Column(
            "name",
            pgettext("artifact", "Name"),
            lambda row: plain(row.name),
            sort="name",
            href=lambda row: url("runs.show", digest=row.digest),
        ),
        Column("kind", pgettext("artifact", "Kind"), kind_of, sort="kind"),
        Column("figure", _("Size or score"), lambda row: headline(row, current_language()), none="–"),
        Column("finished", _("Made at"), lambda row: instant(row.finished), kind="datetime", sort="finished"),
        Column("wall_s", _("Seconds taken"), lambda row: row.resources.wall_s, kind="decimal", sort="wall_s"),
        Column("gpu_s", _("GPU time"), lambda row: round(row.resources.gpu_s), kind="gpu_time", sort="gpu_s"),
        Column("digest", _("Digest"), lambda row: row.digest[:12], kind="code"),
    ],
    caption=_("Artifacts"),
)


@dataclass(frozen=True)
class UnderWay:
    """A stage at work, or one that was interrupted: the store does not tell which."""

    digest: str
    changed: datetime


@pages.get("/runs")
def index(
    work: Reading,
    query: ListQuery,
    kind: ChosenText = None,
    q: ChosenText = None,
    since: Chosen[date] = None,
    until: Chosen[date] = None,
) -> View | Response:
    """Artifacts that the reader may see."""
    policy.require_somebody(work)
    root = work.settings.store
    store = index_of(root)
    contents = store.contents()
    access = access_of(work, contents)
    found = store.search(kind=kind or "", text=q or "", since=_midnight(since), until=_midnight(until, days=1))
    rows = [each for each in found if access.sees(each.digest)]
    kinds = sorted({each.kind for each in contents.manifests.values() if access.sees(each.digest)})
    named = {each: label(each, "artifact_kind") for each in kinds}
    listing = ARTIFACTS.list(
        query,
        lambda page: _page_of(rows, page),
        count=len(rows),
        filters=[
            Filter.select("kind", pgettext("artifact", "Kind"), kind, named),
            Filter.search("q", _("Name or digest"), q),
            Filter.date("since", _("From this day"), since),
            Filter.date("until", _("To this day"), until),
        ],
        empty=Empty(
            _("No artifacts to see"),
            _("What your grants' jobs make is listed here once the office has matched it with the jobs."),
        ),
    )
    return view(
        "runs/index.html",
        listing=listing,
        unreadable=contents.unreadable if access.sees_all else (),
        under_way=_under_way(root) if access.sees_all else [],
        has_pair=len(rows) > 1,
    )


def _page_of(rows: list[Manifest], page: PageRequest) -> Page[Manifest]:
    """Some of the rows, which are the newest first; a cursor is the digest of the last one shown.

    Raises:
        Invalid: that one is not in the list any more.
    """
    if page.sort is not None:
        rows = sorted(rows, key=SORTS[page.sort.removeprefix("-")], reverse=page.sort.startswith("-"))
    start = 0
    if page.cursor is not None:
        places = [place for place, each in enumerate(rows) if each.digest == page.cursor]
        if not places:
            raise Invalid("this list did not give out that cursor", where="cursor")
        start = places[0] + 1
    shown = rows[start : start + page.limit]
    return Page(shown, shown[-1].digest if start + len(shown) < len(rows) else None)


def _under_way(root: Path) -> list[UnderWay]:
    """The latest first."""
    found = []
    try:
        with os.scandir(root / "partial") as folders:
            for each in folders:
                if DIGEST.fullmatch(each.name):
                    found.append(UnderWay(each.name, datetime.fromtimestamp(each.stat().st_mtime, UTC)))
    except OSError:  # nothing was ever begun, or something ended while it was looked at
        pass
    return sorted(found, key=lambda each: each.changed, reverse=True)[:UNDER_WAY_SHOWN]


def _midnight(day: date | None, days: int = 0) -> datetime | None:
    """At which a day begins in Japan, or one `days` later."""
    return None if day is None else datetime.combine(day + timedelta(days=days), time(), JST)
