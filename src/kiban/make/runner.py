"""`kiban make`: walk the stage graph, make what is not there, and say what was made and what it cost."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kiban.engines import Engine, Job
from kiban.kit.errors import BadInput
from kiban.kit.store import Store
from kiban.kit.units import format_seconds
from kiban.make.graph import Node, build_graph, why
from kiban.make.recipe import load_recipe
from kiban.make.stage import StageFailed

Action = Literal["make", "keep", "skip"]


@dataclass(frozen=True)
class Step:
    """What happens to one node and why."""

    node: Node
    action: Action
    why: str


def plan_steps(
    nodes: list[Node], store: Store, recipe_name: str, *, only: str | None = None, start: str | None = None
) -> list[Step]:
    """Decide for every node whether it is made, kept (it exists) or skipped (not asked for).

    `only` makes one stage; `start` makes it and the ones after it. What they need from earlier stages must exist.

    Raises:
        BadInput: no such stage, or an earlier stage that is needed is not made.
    """
    stages = [node.stage for node in nodes]
    for wanted in (only, start):
        if wanted is not None and wanted not in stages:
            raise BadInput(f"this recipe has no stage {wanted!r}", hint=f"stages: {', '.join(stages)}")
    steps = []
    for node in nodes:
        asked = node.stage == only if only else start is None or stages.index(node.stage) >= stages.index(start)
        if store.get(node.spec.digest):
            steps.append(Step(node, "keep", "nothing it is made from changed"))
        elif asked:
            steps.append(Step(node, "make", why(node, store, recipe_name)))
        else:
            steps.append(Step(node, "skip", "not asked for"))
    missing = {step.node.spec.digest: step.node.stage for step in steps if step.action == "skip"}
    for step in steps:
        for digest in step.node.inputs.values():
            if step.action == "make" and digest in missing:
                raise BadInput(f"stage {step.node.stage} needs {missing[digest]}, which is not made yet")
    return steps


def make(
    recipe_path: Path,
    store: Store,
    engine: Engine,
    *,
    overrides: Sequence[str] = (),
    only: str | None = None,
    start: str | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Make what `recipe_path` describes; returns the JSON object that `kiban make --json` prints.

    Raises:
        BadInput, Refused: from the recipe or its sources.
        StageFailed: a stage ended badly; it has said why on stderr.
    """
    recipe, _ = load_recipe(recipe_path, overrides)
    with store.in_use():
        nodes = build_graph(recipe, recipe_path.absolute().parent, store)
        steps = plan_steps(nodes, store, recipe.name, only=only, start=start)
        if not dry_run:
            for step in steps:
                if step.action == "make":
                    _run(step, recipe_path, store, engine, overrides)
                if step.action != "skip":
                    store.set_name(f"{recipe.name}/{step.node.stage}", step.node.spec.digest)
    return _report(recipe.name, steps, store, dry_run)


def _run(step: Step, recipe_path: Path, store: Store, engine: Engine, overrides: Sequence[str]) -> None:
    stage = step.node.stage
    print(f"▸ {stage}: {step.why}", file=sys.stderr, flush=True)
    sets = [part for override in overrides for part in ("--set", override)]
    command = (
        sys.executable,
        "-m",
        "kiban",
        "--store",
        str(store.root),
        "stage",
        str(recipe_path),
        stage,
        *sets,
    )
    status = engine.run(Job(stage, (*command, "--digest", step.node.spec.digest)))
    if status != 0:
        if status < 0:
            print(
                f"kiban: stage {stage} was killed by signal {-status}; the same command goes on",
                file=sys.stderr,
            )
        raise StageFailed(stage, 128 - status if status < 0 else status)
    made = store.get(step.node.spec.digest)
    assert made is not None, "a stage that ends well has committed its artifact"
    used = made.manifest.resources
    print(f"✓ {stage} {made.digest[:12]} in {format_seconds(used.wall_s)}", file=sys.stderr, flush=True)


def _report(recipe_name: str, steps: list[Step], store: Store, dry_run: bool) -> dict[str, Any]:
    rows = [
        {"stage": step.node.stage, "action": step.action, "why": step.why, "digest": step.node.spec.digest}
        for step in steps
    ]
    artifacts = {}
    for step in steps:
        if found := store.get(step.node.spec.digest):
            artifacts[step.node.stage] = {"digest": found.digest, "path": str(found.path), "kind": found.kind}
    made = [] if dry_run else [step.node.stage for step in steps if step.action == "make"]
    return {"recipe": recipe_name, "dry_run": dry_run, "made": made, "steps": rows, "artifacts": artifacts}
