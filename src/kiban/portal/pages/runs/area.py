"""What the pages of artifacts have in common."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from kiban.kit.manifest import Manifest
from kiban.office.errors import Invalid
from kiban.office.reports.artifacts import scores_of
from kiban.office.reports.schemas import Score
from kiban.portal.artifacts.access import Access
from kiban.portal.artifacts.index import ArtifactIndex
from kiban.portal.format import PlainFormats
from kiban.portal.i18n import _, pgettext
from kiban.portal.web import labels
from kiban.portal.web import page as current
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen
from kiban.portal.web.views import formats

pages = Pages("runs")
labels.register(
    "artifact_kind",
    {
        "corpus": _("Corpus"),
        "tokenizer": _("Tokenizer"),
        "model": pgettext("artifact", "Model"),
        "base": _("Base model"),
        "evaluation": pgettext("artifact", "Evaluation"),
        "card": _("Model card"),
    },
)
labels.register("metric", {"accuracy": _("Accuracy"), "bits per byte": _("Bits per byte (less is better)")})
labels.register("task", {"held-out text": _("Held-out text")})
labels.register("energy_source", {"measured": _("measured"), "estimated": _("estimated"), "unknown": _("not measured")})

# At least as many digits as tell artifacts apart (`artifacts.index.LEAST_DIGITS`).
DigestText = Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")]
ChosenDigest = Chosen[DigestText]
Scale = Literal["linear", "log"]


def kind_of(manifest: Manifest) -> str:
    return str(labels.label(manifest.kind, "artifact_kind"))


def instant(text: str) -> datetime | None:
    """None for what is no instant: a manifest is data from elsewhere."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def plain_formats() -> PlainFormats:
    """Of the page that is being made, for charts."""
    page = current.current()
    return formats(page.language, page.preferences.era).text


def scores_in(evaluations: Iterable[Manifest]) -> list[Score]:
    """The scores of the first evaluation that holds some."""
    for each in evaluations:
        model = each.inputs.get("model")
        if model is not None:
            try:
                found = scores_of(each, model.digest)
            except (ValueError, KeyError, TypeError, Invalid):  # it says something else than evaluations do
                continue
            if found:
                return found
    return []


def scores_seen(store: ArtifactIndex, manifest: Manifest, access: Access) -> list[Score]:
    """An evaluation's own scores; a model's by its newest evaluation that the reader may see."""
    if manifest.kind == "evaluation":
        return scores_in([manifest])
    return scores_in(each for each in store.made_of(manifest.digest, "evaluation") if access.sees(each.digest))
