"""`kiban make`: walk the stage graph, make what is not there, and say what was made and what it cost."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kiban.engines import Engine, Job
from kiban.kit.errors import BadInput, Refused
from kiban.kit.figures import look_up
from kiban.kit.store import Store
from kiban.kit.units import format_seconds
from kiban.kit.withdrawals import warn_if_stale
from kiban.make.corpus.rights.policy import overdue
from kiban.make.corpus.rights.withdrawal import search_corpora
from kiban.make.forecast import Forecast, Unknown, forecast_training
from kiban.make.graph import Node, build_graph, why
from kiban.make.recipe import BudgetConfig, Recipe, load_recipe
from kiban.make.stage import StageFailed, Where

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
    budget: Mapping[str, float] | None = None,
    where: Where = "here",
    workers: int | None = None,
) -> dict[str, Any]:
    """Make what `recipe_path` describes; returns the JSON object that `kiban make --json` prints.

    Args:
        budget: fields of BudgetConfig that take the place of the recipe's.
        where, workers: see StageContext.

    Raises:
        BadInput: from the recipe or its sources.
        Refused: sources that are not cleared, or training predicted to exceed the budget; nothing was made then,
            unless its length was known only when the corpus was.
        StageFailed: a stage ended badly; it has said why on stderr.
    """
    recipe, _ = load_recipe(recipe_path, overrides)
    if budget:
        allowed = BudgetConfig.model_validate({**recipe.budget.model_dump(), **budget})
        recipe = recipe.model_copy(update={"budget": allowed})
    with store.in_use():
        base_folder = recipe_path.absolute().parent
        search_corpora(store)
        nodes = build_graph(recipe, base_folder, store)
        steps = plan_steps(nodes, store, recipe.name, only=only, start=start)
        planner = _Planner(recipe, base_folder, nodes, store, dry_run)
        planner.before_all(steps)
        if not dry_run:
            for step in steps:
                if step.action == "make":
                    planner.before(step)
                    options = [
                        *(("--on", where) if where != "here" else ()),
                        *(("--workers", str(workers)) if workers else ()),
                    ]
                    _run(step, recipe_path, store, engine, overrides, options)
                if step.action != "skip":
                    _say_what_ended(step, recipe.name, store)
                    store.set_name(f"{recipe.name}/{step.node.stage}", step.node.spec.digest)
    return {**_report(recipe.name, steps, store, dry_run), "plan": planner.json()}


class _Planner:
    """Shows what training will take, once, as early as that is known, and refuses what the budget does not allow."""

    def __init__(self, recipe: Recipe, base_folder: Path, nodes: list[Node], store: Store, dry_run: bool) -> None:
        self.recipe, self.base_folder, self.nodes, self.store = recipe, base_folder, nodes, store
        self.dry_run = dry_run
        self.found: Forecast | Unknown | None = None

    def before_all(self, steps: list[Step]) -> None:
        if any(step.node.stage == "model" and step.action == "make" for step in steps):
            self.predict(last_chance=False)

    def before(self, step: Step) -> None:
        if step.node.stage != "model":
            return
        if isinstance(self.found, Unknown) and self.found.later:
            self.predict(last_chance=True)
        if isinstance(self.found, Forecast):
            self.store.keep_plan(step.node.spec.digest, {**self.found.json(), "estimate": dict(self.found.estimate)})

    def predict(self, *, last_chance: bool) -> None:
        self.found = forecast_training(
            self.recipe, self.base_folder, self.nodes, self.store, may_measure=not self.dry_run
        )
        if isinstance(self.found, Unknown):
            self.refuse_unknown(self.found, last_chance)
            return
        _say(self.found.lines())
        for remark in self.found.check(self.recipe.budget):
            _say(f"kiban: {remark}")

    def refuse_unknown(self, unknown: Unknown, last_chance: bool) -> None:
        limits = self.recipe.budget.model_dump(exclude={"price_yen_per_hour"}, exclude_none=True)
        if limits and not self.dry_run and (last_chance or not unknown.later):
            raise Refused(f"what training takes cannot be predicted, and there is a budget: {unknown.why}")
        _say(f"▸ plan: not yet: {unknown.why}" if unknown.later else f"▸ plan: none: {unknown.why}")

    def json(self) -> dict[str, Any] | None:
        return self.found.json() if isinstance(self.found, Forecast) else None


def _say_what_ended(step: Step, recipe_name: str, store: Store) -> None:
    """What may no longer be used of an artifact that is: withdrawn, or past the day its owner gave."""
    name = f"{recipe_name}/{step.node.stage}"
    warn_if_stale(store, step.node.spec.digest, name, lambda said: _say(f"kiban: {said}"))
    made = store.get(step.node.spec.digest)
    expiry = look_up(made.manifest.stats, "rights", "first_expiry") if made else None
    if isinstance(expiry, str) and (said := overdue(dt.date.fromisoformat(expiry), dt.date.today())):
        _say(f"kiban: {said}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run(
    step: Step, recipe_path: Path, store: Store, engine: Engine, overrides: Sequence[str], options: Sequence[str]
) -> None:
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
        *options,
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
