"""What an artifact was made from, all the way down, as a graph; and that graph as text, Mermaid and JSON.

The drawing is in lineage_svg.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kiban.kit.figures import headline
from kiban.kit.manifest import InputRef, Manifest
from kiban.kit.text import visible_line

State = Literal["made", "missing", "external"]


@dataclass(frozen=True)
class LineageNode:
    """One artifact, or one thing from outside the store.

    Attributes:
        key: digest of an artifact; digest and role of an external input (one file may play two roles).
        stage: what made it; for a missing artifact and an external input, the role it plays.
        state: `missing` is an artifact that the manifests name and the store no longer has.
    """

    key: str
    digest: str
    stage: str
    name: str
    kind: str
    state: State
    manifest: Manifest | None = None


@dataclass(frozen=True)
class LineageEdge:
    """`source` went into `target`, where it played `role`."""

    source: str
    target: str
    role: str


@dataclass(frozen=True)
class Lineage:
    root: str
    nodes: Mapping[str, LineageNode]
    edges: tuple[LineageEdge, ...]

    def inputs(self, key: str) -> list[LineageEdge]:
        return [edge for edge in self.edges if edge.target == key]


def trace(root: Manifest, get: Callable[[str], Manifest | None]) -> Lineage:
    """Follow the inputs of `root` through every manifest that `get` (digest -> manifest) still finds."""
    nodes: dict[str, LineageNode] = {}
    edges: list[LineageEdge] = []
    waiting: list[tuple[LineageNode, Manifest]] = []

    def add(node: LineageNode) -> None:
        if node.key not in nodes:
            nodes[node.key] = node
            if node.manifest:
                waiting.append((node, node.manifest))

    add(_made(root))
    while waiting:
        node, manifest = waiting.pop(0)
        for role, ref in manifest.inputs.items():
            found = _input_node(role, ref, get)
            edges.append(LineageEdge(found.key, node.key, role))
            add(found)
    return Lineage(root.digest, nodes, tuple(edges))


def _made(manifest: Manifest) -> LineageNode:
    return LineageNode(manifest.digest, manifest.digest, manifest.stage, manifest.name, manifest.kind, "made", manifest)


def _input_node(role: str, ref: InputRef, get: Callable[[str], Manifest | None]) -> LineageNode:
    if ref.kind == "external":
        prefix, _, name = role.partition(":")
        return LineageNode(f"{role}@{ref.digest}", ref.digest, prefix, name or role, ref.kind, "external")
    manifest = get(ref.digest)
    if manifest is None:
        return LineageNode(ref.digest, ref.digest, role, role, ref.kind, "missing")
    return _made(manifest)


# -- text ---------------------------------------------------------------------------------------------------------


def to_text(lineage: Lineage) -> str:
    """A tree; what is used more than once is spelled out the first time and referred to after."""
    lines: list[str] = []
    told: set[str] = set()

    def tell(key: str, first: str, rest: str) -> None:
        node = lineage.nodes[key]
        inputs = lineage.inputs(key)
        again = key in told and inputs
        lines.append(first + _line(node) + ("  (above)" if again else ""))
        if again:
            return
        told.add(key)
        for index, edge in enumerate(inputs):
            last = index == len(inputs) - 1
            tell(edge.source, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))

    tell(lineage.root, "", "")
    return "\n".join(lines)


def _line(node: LineageNode) -> str:
    if node.state == "external":
        return f"{external_role(node)}  {node.digest[:12]}  external"
    if node.state == "missing":
        return f"{node.stage}  {node.digest[:12]}  missing: no longer in the store"
    figure = headline(node.manifest) if node.manifest else None
    return "  ".join(part for part in (node.name, node.digest[:12], figure) if part)


def external_role(node: LineageNode) -> str:
    """The role an external input was given in the manifest: `source:manuals`, or `base`."""
    return visible_line(node.stage if node.name == node.stage else f"{node.stage}:{node.name}")


# -- Mermaid ------------------------------------------------------------------------------------------------------


def to_mermaid(lineage: Lineage) -> str:
    """A Mermaid flowchart, inputs above what they went into."""
    ids = {key: f"n{index}" for index, key in enumerate(lineage.nodes)}
    lines = ["flowchart TD"]
    for key, node in lineage.nodes.items():
        title = external_role(node) if node.state == "external" else node.name
        rows = [_mermaid_text(title), node.digest[:12]]
        if node.state == "missing":
            rows.append("missing")
        elif node.manifest and (figure := headline(node.manifest)):
            rows.append(_mermaid_text(figure))
        label = "<br/>".join(rows)
        opening, closing = {"made": ("[", "]"), "external": ("([", "])"), "missing": ("[", "]")}[node.state]
        lines.append(f'  {ids[key]}{opening}"{label}"{closing}{":::missing" if node.state == "missing" else ""}')
    lines += [f"  {ids[edge.source]} --> {ids[edge.target]}" for edge in lineage.edges]
    if any(node.state == "missing" for node in lineage.nodes.values()):
        lines.append("  classDef missing stroke-dasharray: 4 3")
    return "\n".join(lines)


def _mermaid_text(text: str) -> str:
    """Every character that means something to Mermaid, Markdown or HTML as Mermaid's own numeric entity."""
    return "".join(f"#{ord(char)};" if char in "#&<>\"'`;[](){}|\\*_~" else char for char in text)


# -- JSON ---------------------------------------------------------------------------------------------------------


def to_json(lineage: Lineage) -> dict[str, Any]:
    return {
        "root": lineage.root,
        "nodes": [
            {
                "key": node.key,
                "digest": node.digest,
                "stage": node.stage,
                "name": node.name,
                "kind": node.kind,
                "state": node.state,
                "headline": headline(node.manifest) if node.manifest else None,
            }
            for node in lineage.nodes.values()
        ],
        "edges": [{"from": edge.source, "to": edge.target, "role": edge.role} for edge in lineage.edges],
    }
