"""What training will take, shown before it starts, and the budget that may forbid it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kiban.engines import Job
from kiban.kit.errors import Refused
from kiban.kit.store import Store
from kiban.make import forecast
from kiban.make.graph import build_graph
from kiban.make.recipe import BudgetConfig, load_recipe
from kiban.make.runner import make
from kiban.make.stage import StageContext, StageResult
from kiban.make.worker import run_stage
from kiban.plan.quantity import Quantity

RECIPE = """\
name: small
corpus:
  sources:
    - {name: manuals, path: documents, owner: o, licence: CC0-1.0, uses: [train]}
tokenizer: {vocab_size: 400}
model:
  shape: {depth: 2}
training: {tokens: 1000000, device: cpu}
"""
STATS = {"tokenizer": {"vocab_size": 380, "characters_per_token": 2.0}, "corpus": {"train": {"characters": 50_000}}}


class Stub:
    """An engine whose stages write a line, with the figures that predictions read."""

    def __init__(self, recipe: Path, store: Store) -> None:
        self.recipe, self.store = recipe, store
        self.ran: list[str] = []

    def run(self, job: Job) -> int:
        self.ran.append(job.name)
        overrides = tuple(job.command[i + 1] for i, part in enumerate(job.command) if part == "--set")
        loaded, _ = load_recipe(self.recipe, overrides)
        nodes = build_graph(loaded, self.recipe.parent, self.store)

        def stage(context: StageContext) -> StageResult:
            (context.files / "made.txt").write_text(context.name)
            return StageResult(STATS.get(job.name, {}))

        node = next(node for node in nodes if node.stage == job.name)
        run_stage(stage, node, loaded, self.recipe.parent, self.store)
        return 0


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("ポンプの点検手順を定める。" * 10, encoding="utf-8")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def engine(recipe: Path, store: Store) -> Stub:
    return Stub(recipe, store)


def left(store: Store) -> list[Path]:
    return [path for folder in ("artifacts", "partial", "names", "plans") for path in (store.root / folder).iterdir()]


@pytest.mark.parametrize(
    ("budget", "where"),
    [
        ({"hours": 1e-4}, "budget.hours"),
        ({"kwh": 1e-9}, "budget.kwh"),
        ({"yen": 1, "price_yen_per_hour": 1e6}, "budget.yen"),
    ],
)
def test_training_over_budget_is_refused_and_nothing_is_made(
    recipe: Path, store: Store, engine: Stub, budget: dict[str, float], where: str
) -> None:
    with pytest.raises(Refused, match=rf"{where}: training is predicted to take .* more than the budget"):
        make(recipe, store, engine, budget=budget)
    assert (engine.ran, left(store)) == ([], [])
    sections = ", ".join(f"{key}: {value}" for key, value in budget.items())
    recipe.write_text(f"{RECIPE}budget: {{{sections}}}\n", encoding="utf-8")
    with pytest.raises(Refused, match=where):
        make(recipe, store, engine)
    assert (engine.ran, left(store)) == ([], [])


def test_a_sufficient_budget_changes_no_digest_and_what_exists_costs_nothing(
    recipe: Path, store: Store, engine: Stub, capfd: pytest.CaptureFixture[str]
) -> None:
    without = make(recipe, store, engine, dry_run=True)
    made = make(recipe, store, engine, budget={"hours": 1000, "kwh": 1000, "yen": 10**9, "gpu_hours": 0.001})
    assert [step["digest"] for step in made["steps"]] == [step["digest"] for step in without["steps"]]
    said = capfd.readouterr().err
    assert "▸ plan: " in said
    assert "tokens/s" in said
    assert made["plan"]["tokens"] == 1_000_448, "whole sequences"
    assert made["plan"]["seconds"]["low"] < made["plan"]["seconds"]["value"] < made["plan"]["seconds"]["high"]
    again = make(recipe, store, engine, budget={"hours": 1e-4})
    assert (again["made"], again["plan"]) == ([], None)


def test_the_plan_is_kept_beside_the_model_until_the_model_goes(recipe: Path, store: Store, engine: Stub) -> None:
    digest = make(recipe, store, engine)["artifacts"]["model"]["digest"]
    kept = store.plan_of(digest)
    assert kept is not None
    assert kept["estimate"]["params_total"]["value"] > 0
    assert store.collect(dry_run=False, partial_older_than_s=0) == []
    (store.root / "names" / "small" / "model").unlink()
    for name in ("evaluation", "card"):
        (store.root / "names" / "small" / name).unlink()
    assert {path.name for path, _ in store.collect(dry_run=True, partial_older_than_s=0)} >= (
        {digest, f"{digest}.json"}
    )
    store.collect(dry_run=False, partial_older_than_s=0)
    assert store.plan_of(digest) is None
    assert store.get(digest) is None
    assert list((store.root / "plans").iterdir()) == []


def test_a_plan_of_interrupted_work_is_kept_with_it(recipe: Path, store: Store, engine: Stub) -> None:
    loaded, _ = load_recipe(recipe)
    node = build_graph(loaded, recipe.parent, store)[2]
    store.keep_plan(node.spec.digest, {"estimate": {}})
    (store.root / "partial" / node.spec.digest).mkdir()
    assert store.collect(dry_run=False, partial_older_than_s=3600) == []
    assert store.plan_of(node.spec.digest) is not None
    assert len(store.collect(dry_run=False, partial_older_than_s=-1)) == 2
    assert left(store) == []


def test_epochs_are_predicted_when_the_corpus_is_there(
    recipe: Path, store: Store, engine: Stub, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe.write_text(RECIPE.replace("tokens: 1000000", "epochs: 4.0"), encoding="utf-8")
    with pytest.raises(Refused, match=r"budget\.hours"):
        make(recipe, store, engine, budget={"hours": 1e-6})
    assert engine.ran == ["corpus", "tokenizer"]
    assert "not yet" in capfd.readouterr().err
    assert make(recipe, store, engine)["plan"]["tokens"] == 4 * 50_000 // 2


def test_what_only_the_upper_end_exceeds_is_said_and_allowed(recipe: Path, store: Store, engine: Stub) -> None:
    loaded, _ = load_recipe(recipe)
    nodes = build_graph(loaded, recipe.parent, store)
    found = forecast.forecast_training(loaded, recipe.parent, nodes, store, may_measure=False)
    assert isinstance(found, forecast.Forecast)
    assert found.kwh.high is not None
    between = (found.kwh.value + found.kwh.high) / 2
    assert "upper end" in found.check(BudgetConfig(kwh=between))[0]
    assert found.check(BudgetConfig(kwh=found.kwh.high * 1.01)) == []
    with pytest.raises(Refused):
        found.check(BudgetConfig(kwh=found.kwh.value * 0.99))
    assert found.gpu_hours == Quantity(0.0, "GPU-hours", found.gpu_hours.sources, 0.0, 0.0), "a processor takes none"


def test_without_a_measurement_a_budget_cannot_be_kept_and_a_dry_run_measures_nothing(
    recipe: Path, store: Store, engine: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("KIBAN_MACHINE", str(tmp_path / "machine.yaml"))
    asked: list[object] = []
    monkeypatch.setattr(forecast.subprocess, "run", lambda *command, **rest: asked.append(command))
    make(recipe, store, engine, dry_run=True)
    assert asked == []
    assert "kiban plan measure" in capfd.readouterr().err
    with pytest.raises(Refused, match="cannot be predicted"):
        make(recipe, store, engine, budget={"hours": 10})
    assert len(asked) == 1
    assert (engine.ran, left(store)) == ([], [])
    assert make(recipe, store, engine)["plan"] is None


def test_a_wrong_budget_names_its_line(recipe: Path) -> None:
    from kiban.kit.errors import BadInput

    recipe.write_text(f"{RECIPE}budget:\n  yen: 15 apples\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"recipe.yaml:10: budget.yen: '15 apples' is not understood"):
        load_recipe(recipe)
    recipe.write_text(f"{RECIPE}budget: {{yen: 2億, gpu_hours: 1.5M}}\n", encoding="utf-8")
    assert load_recipe(recipe)[0].budget == BudgetConfig(yen=200_000_000, gpu_hours=1.5e6)
    assert json.loads(load_recipe(recipe)[0].model_dump_json())["budget"]["yen"] == 200_000_000
