"""The card stage: card.json (the evidence), card.html and card.md (for people), lineage.svg."""

from __future__ import annotations

from kiban.kit.files import write_json
from kiban.kit.lineage import Lineage, LineageEdge, LineageNode, trace
from kiban.kit.lineage_svg import to_svg
from kiban.kit.manifest import Manifest
from kiban.make.stage import StageContext, StageResult
from kiban.prove.card.collect import collect
from kiban.prove.card.render import LANGUAGES, LINEAGE_FILES, to_html, to_markdown


def run(context: StageContext) -> StageResult:
    """Write the model card of a recipe's artifacts."""
    card = collect(context.inputs, context.recipe.name, context.recipe.card)
    write_json(context.files / "card.json", card.model_dump(mode="json"))
    lineage = _lineage(context)
    for language in LANGUAGES:
        (context.files / LINEAGE_FILES[language]).write_text(to_svg(lineage, language), encoding="utf-8")
    loss = context.inputs["model"].path / card.how.loss_curve if card.how.loss_curve else None
    html = to_html(card, lineage, loss.read_bytes() if loss else None)
    (context.files / "card.html").write_text(html, encoding="utf-8")
    (context.files / "card.md").write_text(to_markdown(card, loss is not None), encoding="utf-8")
    return StageResult(
        stats={"limits": [limit.key for limit in card.limits], "missing": len(card.gaps)},
    )


def _lineage(context: StageContext) -> Lineage:
    """What the card is made from. The card has no digest in this process, so it stands for itself by name."""
    manifests = {artifact.digest: artifact.manifest for artifact in context.inputs.values()}

    def get(digest: str) -> Manifest | None:
        return manifests.get(digest)

    nodes: dict[str, LineageNode] = {}
    edges: list[LineageEdge] = []
    for role, artifact in context.inputs.items():
        below = trace(artifact.manifest, get)
        nodes |= below.nodes
        edges += [edge for edge in below.edges if edge not in edges]
        edges.append(LineageEdge(artifact.digest, context.name, role))
    nodes[context.name] = LineageNode(context.name, "", "card", context.name, "card", "made")
    return Lineage(context.name, nodes, tuple(edges))
