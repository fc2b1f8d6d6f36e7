"""One artifact: its page, its files, and the card that it may be."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import Path
from fastapi.responses import FileResponse
from starlette.responses import Response

from kiban.kit.figures import headline
from kiban.kit.manifest import FileEntry
from kiban.office.errors import NotFound
from kiban.portal.api.dependencies import Reading
from kiban.portal.artifacts import files
from kiban.portal.artifacts.access import find
from kiban.portal.artifacts.evaluations import evaluation_of
from kiban.portal.artifacts.index import index_of
from kiban.portal.artifacts.settings import plain, tree_of
from kiban.portal.i18n import _, pgettext
from kiban.portal.pages.runs.area import DigestText, Scale, instant, pages, plain_formats, scores_in
from kiban.portal.pages.runs.drawing import curve_charts, lineage_chart, score_charts
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Column, ListQuery, Table
from kiban.portal.web.views import View, url, view

Digest = Annotated[DigestText, Path()]
FILES: Table[FileEntry] = Table(
    "files",
    [
        Column("path", pgettext("file", "Name"), lambda row: plain(row.path), sort="path"),
        Column("bytes", _("Bytes"), kind="number", sort="bytes"),
        Column("sha256", "SHA-256", kind="code"),
    ],
    caption=_("Files"),
)


@pages.get("/runs/{digest}")
def show(work: Reading, query: ListQuery, digest: Digest, scale: Scale = "linear") -> View | Response:
    """What an artifact is, where it comes from, how its making went, and its files."""
    store = index_of(work.settings.store)
    found, access = find(work, store, digest)
    manifest, fmt = found.manifest, plain_formats()
    curve, charts = curve_charts(found, fmt, log=scale == "log")
    is_evaluation = manifest.kind == "evaluation"
    scores = scores_in([manifest]) if is_evaluation else []
    takes = access.takes(found.digest)
    return view(
        "runs/show.html",
        manifest=manifest,
        name=plain(manifest.name),
        kind=label(manifest.kind, "artifact_kind"),
        started=instant(manifest.started),
        finished=instant(manifest.finished),
        figure=headline(manifest, fmt.language),
        recipes=store.contents().names.get(found.digest, ()),
        release_id=access.releases.get(found.digest),
        lineage=lineage_chart(store, found.digest, access, fmt),
        curve=curve,
        charts=charts,
        scale=scale,
        scores=scores,
        score_charts=score_charts([(manifest.name, scores)], fmt),
        evaluation=evaluation_of(found) if is_evaluation else None,
        trees={"config": tree_of(manifest.config), "stats": tree_of(manifest.stats)},
        environment=tree_of(manifest.environment),
        plain=plain,
        has_card=any(each.path == files.CARD_FILE for each in manifest.files),
        listing=FILES.of(query, manifest.files, keep={"scale": scale}),
        file_url=(lambda path: url("runs.file", digest=found.digest, path=quote(path))) if takes else None,
    )


@pages.get("/runs/{digest}/files/{path:path}")
def file(work: Reading, digest: Digest, path: str) -> Response:
    """One of an artifact's files, to be saved."""
    found, access = find(work, index_of(work.settings.store), digest)
    if not access.takes(found.digest):
        raise NotFound("the artifact has no such file", where="path")
    given = files.download(found, path)
    return FileResponse(given.path, media_type=given.media_type, headers=given.headers)


@pages.get("/runs/{digest}/card")
def card(work: Reading, digest: Digest) -> Response:
    """A model card as its makers made it, in a sandbox of its own."""
    found, _access = find(work, index_of(work.settings.store), digest)
    given = files.card_page(found)
    return FileResponse(given.path, media_type=given.media_type, headers=given.headers)
