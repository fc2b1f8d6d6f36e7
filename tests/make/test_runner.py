"""The stage graph and its runner, with stages that write one line instead of training for hours."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kiban.engines import Job
from kiban.kit.errors import BadInput, Refused
from kiban.kit.manifest import Party
from kiban.kit.store import Store
from kiban.make.graph import build_graph
from kiban.make.recipe import load_recipe
from kiban.make.runner import make
from kiban.make.stage import StageContext, StageFailed, StageResult
from kiban.make.worker import run_stage

RECIPE = """\
name: small
corpus:
  sources:
    - {name: manuals, path: documents, owner: 潮見ヶ丘, licence: CC0-1.0, uses: [train]}
tokenizer: {vocab_size: 400}
model:
  shape: {depth: 2}
training: {tokens: 1000}
evaluation:
  tasks: [{name: quiz, path: quiz.jsonl}]
"""


class InProcess:
    """An engine that runs stages here, so that a test can see what ran and make one fail."""

    def __init__(self, recipe: Path, store: Store) -> None:
        self.recipe, self.store = recipe, store
        self.ran: list[str] = []
        self.fail_at: str | None = None

    def run(self, job: Job) -> int:
        self.ran.append(job.name)
        overrides = tuple(job.command[i + 1] for i, part in enumerate(job.command) if part == "--set")
        loaded, _ = load_recipe(self.recipe, overrides)
        nodes = build_graph(loaded, self.recipe.parent, self.store)
        node = next(node for node in nodes if node.stage == job.name)
        assert job.command[job.command.index("--digest") + 1] == node.spec.digest
        if job.name == self.fail_at:
            return 2

        def stage(context: StageContext) -> StageResult:
            (context.files / "made.txt").write_text(context.name)
            parties = (Party(source="manuals", owner="潮見ヶ丘", licence="CC0-1.0"),) if job.name == "corpus" else ()
            return StageResult({"n": 1}, parties)

        run_stage(stage, node, loaded, self.recipe.parent, self.store)
        return 0


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("ポンプの点検手順を定める。" * 10, encoding="utf-8")
    (tmp_path / "quiz.jsonl").write_text('{"id": "1", "prompt": "p", "choices": ["a", "b"], "answer": 0}\n')
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def engine(recipe: Path, store: Store) -> InProcess:
    return InProcess(recipe, store)


ALL = ["corpus", "tokenizer", "model", "evaluation", "card"]


def test_everything_is_made_once_and_then_kept(recipe: Path, store: Store, engine: InProcess) -> None:
    first = make(recipe, store, engine)
    assert engine.ran == first["made"] == list(first["artifacts"]) == ALL
    again = make(recipe, store, engine)
    assert (again["made"], engine.ran) == ([], ALL)
    assert again["artifacts"] == first["artifacts"]
    card = store.find("small")
    assert card.kind == "card"
    assert [party.owner for party in card.manifest.parties] == ["潮見ヶ丘"]


@pytest.mark.parametrize(
    ("override", "remade", "says"),
    [
        ("card.contact=someone@example.com", ["card"], "contact: None → someone@example.com"),
        ("evaluation.samples.temperature=0.5", ["evaluation", "card"], "samples.temperature: 0.8 → 0.5"),
        ("training.learning_rate=0.5", ["model", "evaluation", "card"], "learning_rate: 0.001 → 0.5"),
        ("model.shape.depth=3", ["model", "evaluation", "card"], "shape.depth: 2 → 3"),
        ("tokenizer.vocab_size=500", ALL[1:], "vocab_size: 400 → 500"),
        ("corpus.sources.0.licence=MIT", ALL, "licence: CC0-1.0 → MIT"),
        ("seed=2", ALL, "seed: 1 → 2"),
        ("training.checkpoint_every_seconds=1", [], ""),
    ],
)
def test_only_what_changed_is_remade_and_the_reason_said(
    recipe: Path, store: Store, engine: InProcess, override: str, remade: list[str], says: str
) -> None:
    make(recipe, store, engine)
    planned = make(recipe, store, engine, overrides=(override,), dry_run=True)
    assert engine.ran == ALL, "a dry run makes nothing"
    reasons = {step["stage"]: step["why"] for step in planned["steps"] if step["action"] == "make"}
    assert list(reasons) == remade
    if remade:
        assert says in reasons[remade[0]]
    assert make(recipe, store, engine, overrides=(override,))["made"] == remade


def test_a_changed_document_or_task_is_noticed_and_a_moved_folder_is_not(
    recipe: Path, store: Store, engine: InProcess
) -> None:
    make(recipe, store, engine)
    (recipe.parent / "quiz.jsonl").write_text('{"id": "2", "prompt": "p", "choices": ["a", "b"], "answer": 1}\n')
    report = make(recipe, store, engine)
    assert report["made"] == ["evaluation", "card"]
    assert "task:quiz changed" in report["steps"][3]["why"]
    (recipe.parent / "documents").rename(recipe.parent / "elsewhere")
    assert make(recipe, store, engine, overrides=("corpus.sources.0.path=elsewhere",))["made"] == []
    (recipe.parent / "elsewhere" / "b.txt").write_text("別の文書である。" * 10, encoding="utf-8")
    report = make(recipe, store, engine, overrides=("corpus.sources.0.path=elsewhere",))
    assert report["made"] == ALL
    assert "source:manuals changed" in report["steps"][0]["why"]


def test_only_and_from(recipe: Path, store: Store, engine: InProcess) -> None:
    with pytest.raises(BadInput, match="needs corpus, which is not made yet"):
        make(recipe, store, engine, only="tokenizer")
    with pytest.raises(BadInput, match="no stage 'tokeniser'"):
        make(recipe, store, engine, only="tokeniser")
    assert make(recipe, store, engine, only="corpus")["made"] == ["corpus"]
    report = make(recipe, store, engine, start="tokenizer")
    assert report["made"] == ALL[1:]


def test_a_stage_that_fails_stops_the_run_and_the_next_one_goes_on(
    recipe: Path, store: Store, engine: InProcess
) -> None:
    engine.fail_at = "model"
    with pytest.raises(StageFailed) as failed:
        make(recipe, store, engine)
    assert failed.value.exit_code == 2
    assert set(store.names()) == {"small/corpus", "small/tokenizer"}
    engine.fail_at = None
    assert make(recipe, store, engine)["made"] == ALL[2:]


def test_a_source_not_cleared_for_training_is_refused_by_name(recipe: Path, store: Store, engine: InProcess) -> None:
    recipe.write_text(RECIPE.replace("uses: [train]", "uses: [rag, evaluate]"), encoding="utf-8")
    with pytest.raises(Refused, match="'manuals' is not cleared for training"):
        make(recipe, store, engine)
    assert engine.ran == []


def test_missing_documents_and_tasks_are_named_before_anything_runs(
    recipe: Path, store: Store, engine: InProcess
) -> None:
    (recipe.parent / "quiz.jsonl").unlink()
    with pytest.raises(BadInput, match="no such task file"):
        make(recipe, store, engine)
    with pytest.raises(BadInput, match="manuals"):
        make(recipe, store, engine, overrides=("corpus.sources.0.path=nowhere",))
    assert engine.ran == []


def test_a_full_disk_is_one_line_and_leaves_nothing(recipe: Path, store: Store) -> None:
    loaded, _ = load_recipe(recipe)
    node = build_graph(loaded, recipe.parent, store)[0]

    def fill(context: StageContext) -> StageResult:
        (context.files / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(BadInput, match="the disk is full"):
        run_stage(fill, node, loaded, recipe.parent, store)
    assert store.all() == []
    assert not list((store.root / "partial").glob("*/files"))
