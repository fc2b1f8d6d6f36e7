"""Two artifacts side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from kiban.kit.manifest import Manifest
from kiban.kit.store import Artifact
from kiban.office.members import policy
from kiban.portal.api.dependencies import Reading
from kiban.portal.artifacts import comparison
from kiban.portal.artifacts.access import access_of, find_seen
from kiban.portal.artifacts.index import index_of
from kiban.portal.artifacts.settings import Difference, differences, plain
from kiban.portal.charts import Chart
from kiban.portal.pages.runs.area import ChosenDigest, Scale, pages, plain_formats, scores_seen
from kiban.portal.pages.runs.drawing import overlaid_losses
from kiban.portal.web.views import View, view

CHOICES = 200


@dataclass(frozen=True)
class Sides:
    """In what two artifacts differ, each part by name."""

    settings: list[Difference]
    data: list[Difference]
    figures: list[Difference]
    losses: Chart | None


def sides_of(one: Artifact, other: Artifact, names: Sequence[str], scale: Scale) -> Sides:
    """Args: names: of the two, for the chart; their digests stand behind where the names are the same."""
    first, second = one.manifest, other.manifest
    named = [*names]
    if named[0] == named[1]:
        named = [f"{named[0]} {one.digest[:8]}", f"{named[1]} {other.digest[:8]}"]
    losses = None
    if one.digest != other.digest:
        losses = overlaid_losses([(named[0], one), (named[1], other)], plain_formats(), log=scale == "log")
    return Sides(
        differences(first.config, second.config),
        differences(_data_of(first), _data_of(second)),
        differences(first.stats, second.stats),
        losses,
    )


def _data_of(manifest: Manifest) -> dict[str, str]:
    """Whose material is in it, by source, and which version of each direct input."""
    parties = {party.source: f"{party.owner} ({party.licence})" for party in manifest.parties}
    return parties | {role: ref.digest[:12] for role, ref in manifest.inputs.items()}


@pages.get("/runs/compare")
def compare(
    work: Reading, one: ChosenDigest = None, other: ChosenDigest = None, scale: Scale = "linear"
) -> View | Response:
    """Settings, data, figures, scores and curves of two artifacts; without two, what can be compared."""
    policy.require_somebody(work)
    store = index_of(work.settings.store)
    access = access_of(work, store.contents())
    seen = [each for each in store.search() if access.sees(each.digest)][:CHOICES]
    choices = [(each.digest, f"{plain(each.name)} ({each.digest[:12]})") for each in seen]
    shown: dict[str, Any] = {"choices": choices, "one": one, "other": other, "scale": scale}
    if one is None or other is None:
        return view("runs/compare.html", **shown, sides=None)
    first, second = (find_seen(work, store, access, each) for each in (one, other))
    scores = [scores_seen(store, each.manifest, access) for each in (first, second)]
    names = [plain(each.manifest.name) for each in (first, second)]
    return view(
        "runs/compare.html",
        **shown | {"one": first.digest, "other": second.digest},
        names=names,
        pair=(first.manifest, second.manifest),
        sides=sides_of(first, second, names, scale),
        scores=comparison.compare(*scores),
    )
