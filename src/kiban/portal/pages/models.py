"""Released models, for everybody: what each can do and how sure that is, who made it, from what, and at which cost."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import Response

from kiban.kit.figures import short_count
from kiban.kit.manifest import Manifest
from kiban.kit.store import Artifact
from kiban.office.errors import NotFound
from kiban.office.reports import released
from kiban.office.reports.released import Released
from kiban.office.reports.schemas import Score
from kiban.office.work import Work
from kiban.portal.api.dependencies import Reading
from kiban.portal.artifacts import comparison, files
from kiban.portal.artifacts.access import Access, access_of
from kiban.portal.artifacts.index import ArtifactIndex, index_of, total_resources
from kiban.portal.artifacts.settings import plain
from kiban.portal.artifacts.training import stated_training
from kiban.portal.format import PlainFormats
from kiban.portal.i18n import _, current_language, in_language, pgettext
from kiban.portal.pages.runs.area import Scale, plain_formats
from kiban.portal.pages.runs.comparing import sides_of
from kiban.portal.pages.runs.drawing import curve_charts, lineage_chart, score_charts
from kiban.portal.pages.runs.reading import FILES
from kiban.portal.web.labels import label
from kiban.portal.web.page import current as current_page
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen, ChosenText, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, formats, url, view

pages = Pages("models")
CHOICES = 500  # of models to compare with


def _scores_in_words(row: Released) -> str | None:
    """`Accuracy, reading 0.776 (0.753–0.800, n=1,200); …`, the first two."""
    fmt = formats(current_language(), False).text
    known = [score for score in row.model.scores if score.value is not None]
    return "; ".join(score_in_words(each, fmt) for each in known[:2]) or None


def score_in_words(score: Score, fmt: PlainFormats) -> str:
    assert score.value is not None
    assert score.ci95 is not None  # a score with a value has both
    task = in_language(label(score.task, "task"), fmt.language)
    low, high = (fmt.number(end, 3) for end in score.ci95)
    return f"{task} {fmt.number(score.value, 3)} ({low}–{high}, n={score.n:,})"


def _grant_url(row: Released) -> str:
    """The grant for who may read it; for others the awards of its call."""
    actor = current_page().actor
    if actor.sees_everything or actor.organisation_id == row.organisation.id:
        return url("grants.show", grant_id=row.grant.id)
    return url("awards.index", call_id=row.grant.call_id)


MODELS: Table[Released] = Table(
    "models",
    [
        Column(
            "name",
            pgettext("model", "Name"),
            lambda row: row.model.name,
            sort="name",
            href=lambda row: url("models.show", release_id=row.model.id),
        ),
        Column("maker", _("Made by"), lambda row: (row.organisation.name_ja, row.organisation.name_en), "localised"),
        Column("grant", pgettext("model", "Grant"), lambda row: row.grant.code, "code", href=_grant_url),
        Column("parameters", _("Parameters"), lambda row: row.model.parameters, "number", "parameters"),
        Column("tokens", _("Tokens trained"), lambda row: row.model.tokens, "number", "tokens", none=_("not said")),
        Column("licence", _("Licence"), lambda row: row.model.licence),
        Column("scores", _("Scores with 95%% interval"), _scores_in_words, none=_("not measured")),
        Column("released_on", _("Released on"), lambda row: row.model.released_on, "date", "released_on"),
    ],
    caption=_("Models"),
)


@pages.get("/models")
def index(work: Reading, query: ListQuery, q: ChosenText = None, licence: ChosenText = None) -> View | Response:
    """All models that grants led to."""
    licences = {each: each for each in released.licences(work)}
    listing = MODELS.list(
        query,
        lambda page: released.list_released(work, page, text=q or "", licence=licence),
        filters=[
            Filter.search("q", _("Model, maker or grant"), q),
            Filter.select("licence", _("Licence"), licence, licences),
        ],
        empty=Empty(
            _("No models yet"), _("Models are listed here when those who got a grant have recorded their release.")
        ),
    )
    return view("models/index.html", listing=listing)


@pages.get("/models/{release_id:uuid}")
def show(work: Reading, query: ListQuery, release_id: uuid.UUID, scale: Scale = "linear") -> View | Response:
    """One model; what the store holds of it is shown beside what its release says."""
    shown, fmt = released.get_released(work, release_id), plain_formats()
    context: dict[str, Any] = {
        "released": shown,
        "model": shown.model,
        "score_charts": score_charts([(shown.model.name, shown.model.scores)], fmt),
        "choices": _choices(work, shown.model.id),
        "count": short_count,
        "manifest": None,
        "listing": None,
        "scale": scale,
    }
    if shown.model.artifact_digest is not None:
        store = index_of(work.settings.store)
        access = access_of(work, store.contents())
        artifact = _artifact(store, shown)
        if artifact is not None:
            context |= _of_artifact(store, artifact, shown, access, fmt, scale)
            context["listing"] = FILES.of(query, artifact.manifest.files, keep={"scale": scale})
    return view("models/show.html", **context)


def _artifact(store: ArtifactIndex, shown: Released) -> Artifact | None:
    """None for a model that lies elsewhere, or that the store no longer has."""
    try:
        return store.find(shown.model.artifact_digest or "")
    except NotFound:
        return None


def _of_artifact(
    store: ArtifactIndex, artifact: Artifact, shown: Released, access: Access, fmt: PlainFormats, scale: Scale
) -> dict[str, Any]:
    manifest = artifact.manifest
    curve, charts = curve_charts(artifact, fmt, log=scale == "log")
    chain = [node.manifest for node in store.lineage(artifact.digest).nodes.values() if node.manifest is not None]
    return {
        "manifest": manifest,
        "parties": [(plain(each.source), plain(each.owner), plain(each.licence)) for each in manifest.parties],
        "training": stated_training(manifest),
        "resources": total_resources(chain),
        "card": _card(store, manifest, shown, access),
        "lineage": lineage_chart(store, artifact.digest, access, fmt),
        "curve": curve,
        "charts": charts,
        "takes": access.takes(artifact.digest),
    }


def _card(store: ArtifactIndex, model: Manifest, shown: Released, access: Access) -> str | None:
    """The newest card that the reader may see; one that tells of the recorded evaluation goes before others."""
    cards = [
        each
        for each in store.made_of(model.digest, "card")
        if access.sees(each.digest) and any(entry.path == files.CARD_FILE for entry in each.files)
    ]
    told = [each for each in cards if shown.evaluation_digest in {ref.digest for ref in each.inputs.values()}]
    return next((each.digest for each in (*told, *cards)), None)


ReleaseId = Chosen[uuid.UUID]


@pages.get("/models/compare")
def compare(work: Reading, one: ReleaseId = None, other: ReleaseId = None, scale: Scale = "linear") -> View | Response:
    """Two models on the same tasks; without two, the choice of them."""
    shown: dict[str, Any] = {"choices": _choices(work), "one": one, "other": other, "scale": scale}
    if one is None or other is None:
        return view("models/compare.html", **shown, pair=None)
    pair = [released.get_released(work, each) for each in (one, other)]
    fmt = plain_formats()
    names = [plain(each.model.name) for each in pair]
    if names[0] == names[1]:
        names = [f"{each.model.name} ({each.grant.code})" for each in pair]
    artifacts: list[Artifact | None] = [None, None]
    if all(each.model.artifact_digest for each in pair):
        store = index_of(work.settings.store)
        artifacts = [_artifact(store, each) for each in pair]
    first, second = artifacts
    return view(
        "models/compare.html",
        **shown,
        pair=pair,
        names=names,
        compared=comparison.compare(pair[0].model.scores, pair[1].model.scores),
        score_charts=score_charts(
            [(name, each.model.scores) for name, each in zip(names, pair, strict=True)] if names[0] != names[1] else [],
            fmt,
        ),
        sides=sides_of(first, second, names, scale) if first is not None and second is not None else None,
    )


def _choices(work: Work, without: uuid.UUID | None = None) -> list[tuple[str, str]]:
    found = released.latest(work, CHOICES)
    return [(str(release_id), name) for release_id, name in found if release_id != without]
