"""Charts of artifacts and of scores, for the pages of models and of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kiban.kit.figures import headline, stage_word
from kiban.kit.lineage import LineageEdge, LineageNode, external_role
from kiban.kit.store import Artifact
from kiban.office.reports.schemas import ReferenceScore, Score
from kiban.portal import charts
from kiban.portal.artifacts.access import Access
from kiban.portal.artifacts.index import ArtifactIndex
from kiban.portal.artifacts.settings import plain
from kiban.portal.artifacts.training import Curve, Point, loss_curve
from kiban.portal.charts import Chart, Interval, IntervalRow, Quantity, StepSeries
from kiban.portal.charts.plot import SERIES
from kiban.portal.format import PlainFormats
from kiban.portal.i18n import _, in_language, pgettext
from kiban.portal.web.labels import label
from kiban.portal.web.views import url

MOST_BOXES = 40


def lineage_chart(index: ArtifactIndex, digest: str, access: Access, fmt: PlainFormats) -> Chart | None:
    """What an artifact was made from and, of what the reader may see, what was made from it.

    None where its manifests contradict each other.
    """
    below, above = index.lineage(digest), index.descendants(digest)
    seen = {key: node for key, node in above.nodes.items() if access.sees(node.digest)}
    nodes = dict([*(dict(below.nodes) | seen).items()][:MOST_BOXES])
    edges = [*below.edges, *(edge for edge in above.edges if edge.target in nodes)]
    boxes = [_box(node, edges, access, fmt, is_present=key == digest) for key, node in nodes.items()]
    try:
        return charts.lineage("lineage", in_language(_("What it was made from"), fmt.language), boxes, fmt.language)
    except ValueError:
        return None


def _box(
    node: LineageNode, edges: Sequence[LineageEdge], access: Access, fmt: PlainFormats, *, is_present: bool
) -> charts.Artifact:
    note = (headline(node.manifest, fmt.language) or "") if node.manifest is not None else ""
    if node.state == "missing":
        note = in_language(_("no longer in the store"), fmt.language)
    return charts.Artifact(
        node.key,
        stage_word(node.stage, fmt.language),
        plain(external_role(node) if node.state == "external" else node.name),
        url("runs.show", digest=node.digest) if node.state == "made" and access.sees(node.digest) else None,
        note,
        tuple(edge.source for edge in edges if edge.target == node.key),
        is_present,
    )


def curve_charts(artifact: Artifact, fmt: PlainFormats, *, log: bool) -> tuple[Curve | None, list[Chart]]:
    """Loss, learning rate and speed of a training over its steps."""
    curve = loss_curve(artifact)
    if curve is None or not curve.points:
        return curve, []

    def say(text: object) -> str:
        return in_language(text, fmt.language)  # type: ignore[arg-type]

    steps = Quantity(say(_("Step")), fmt)
    loss = Quantity(say(_("Loss")), fmt, unit=say(_("nats/token")), decimals=3)
    rate = Quantity(say(_("Learning rate")), fmt, decimals=6)
    speed = Quantity(say(_("Speed")), fmt, unit=say(_("tokens/s")))
    return curve, [
        charts.over_steps(name, quantity.name, [StepSeries(quantity.name, values)], quantity, steps, log=is_log)
        for name, quantity, values, is_log in (
            ("loss", loss, _values(curve, lambda point: point.loss), log),
            ("learning-rate", rate, _values(curve, lambda point: point.lr), False),
            ("speed", speed, _values(curve, lambda point: point.tokens_per_s), False),
        )
        if any(value is not None for _step, value in values)
    ]


def _values(curve: Curve, read: Callable[[Point], float | None]) -> tuple[tuple[float, float | None], ...]:
    return tuple((float(point.step), read(point)) for point in curve.points)


def overlaid_losses(named: Sequence[tuple[str, Artifact]], fmt: PlainFormats, *, log: bool) -> Chart | None:
    """Losses of several trainings over the tokens that each had seen; None unless all have a curve."""
    series = []
    for name, artifact in named:
        curve = loss_curve(artifact)
        if curve is None or not curve.points:
            return None
        series.append(StepSeries(plain(name), tuple((float(point.tokens), point.loss) for point in curve.points)))
    loss = Quantity(
        in_language(_("Loss"), fmt.language), fmt, unit=in_language(_("nats/token"), fmt.language), decimals=3
    )
    tokens = Quantity(in_language(_("Tokens trained"), fmt.language), fmt)
    return charts.over_steps("losses", loss.name, series, loss, tokens, log=log)


def score_charts(named: Sequence[tuple[str, Sequence[Score]]], fmt: PlainFormats) -> list[Chart]:
    """A chart for each measure: a row for each task, a dot for each model, and for the reference models beside it."""
    found = []
    metrics = dict.fromkeys(score.metric for _name, scores in named for score in scores if score.value is not None)
    for number, metric in enumerate(metrics, 1):
        of_metric = [(name, [score for score in scores if score.metric == metric]) for name, scores in named]
        parts = _parts(of_metric)
        tasks = dict.fromkeys(score.task for _name, scores in of_metric for score in scores)
        rows = [
            IntervalRow(
                in_language(label(task, "task"), fmt.language), tuple(part.get(task) for part in parts.values())
            )
            for task in tasks
        ]
        name = in_language(label(metric, "metric"), fmt.language)
        title = in_language(_("Scores: %(measure)s", measure=name), fmt.language)
        quantity = Quantity(name, fmt, decimals=3)
        found.append(
            charts.intervals(
                f"scores-{number}",
                title,
                rows,
                quantity,
                heading=in_language(pgettext("evaluation", "Task"), fmt.language),
                spread=in_language(_("95%% interval"), fmt.language),
                parts=[*parts] if len(parts) > 1 else (),
            )
        )
    return found


def _parts(named: Sequence[tuple[str, Sequence[Score]]]) -> dict[str, dict[str, Interval]]:
    """By model, and by reference model where there is room for more colours, the intervals by task."""
    found: dict[str, dict[str, Interval]] = {}
    for name, scores in named:
        own = found.setdefault(plain(name), {})
        own |= {each.task: interval for each in scores if (interval := _interval(each)) is not None}
    for _name, scores in named:
        for score in scores:
            for reference in score.references:
                interval = _interval(reference)
                if interval is not None and (reference.name in found or len(found) < SERIES):
                    found.setdefault(plain(reference.name), {}).setdefault(score.task, interval)
    return found


def _interval(score: Score | ReferenceScore) -> Interval | None:
    if score.value is None:
        return None
    low, high = score.ci95 or (score.value, score.value)
    # What was stated of a reference may contradict itself.
    return Interval(score.value, min(low, score.value), max(high, score.value), n=score.n)
