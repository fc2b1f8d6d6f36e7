from __future__ import annotations

import uuid
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kiban.kit.manifest import InputRef, Resources
from kiban.kit.store import Spec, Store
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.reports import outcomes
from kiban.office.reports.models import ModelRelease
from kiban.office.reports.schemas import EventIn, ReleaseIn, ScoreIn
from kiban.office.work import Actor, Role

from .conftest import Running

DAY = date(2026, 4, 1)
NOTHING_USED = Resources(
    wall_s=0, cpu_s=0, peak_memory_bytes=0, gpu_s=0, energy_j=None, energy_source="unknown", energy_method=""
)
MODEL = {"parameters": {"total": 1_234_567}, "tokens_trained": 40_000_000}
SCORED = {
    "bits_per_byte": {"value": 1.04, "ci95": [1.01, 1.07], "n_documents": 40},
    "bits_per_byte_base": {"value": 1.11, "ci95": [1.08, 1.15], "difference": {}},
    "task_jmmlu": {"accuracy": 0.41, "ci95": [0.38, 0.44], "n": 1200, "errors": 0},
    "task_broken": {"status": "not measured", "reason": "no answers"},
}


def artifact(root: Path, kind: str, stats: dict[str, Any], inputs: dict[str, str] | None = None) -> str:
    refs = {name: InputRef(digest=digest, kind="model") for name, digest in (inputs or {}).items()}
    spec = Spec(kind, kind, "1", {"name": str(stats)}, refs)
    store = Store(root)
    with store.making(spec, kind) as draft:
        (draft.files / "x").write_text("x")
        store.commit(draft, stats=stats, resources=NOTHING_USED, parties=())
    return spec.digest


def record(running: Running, given: ReleaseIn, actor: Actor | None = None) -> ModelRelease:
    with running.funded.office.work(actor or running.member) as work:
        return outcomes.record_release(work, running.grant.id, given)


def stated(**given: Any) -> ReleaseIn:
    return ReleaseIn(**({"name": "外部のモデル", "licence": "MIT", "released_on": DAY} | given))


def test_a_model_elsewhere_is_marked_as_stated(running: Running) -> None:
    score = ScoreIn(task="JMMLU", metric="accuracy", value=0.5, n=1000, ci95=(0.47, 0.53))
    release = outcomes.show_release(record(running, stated(parameters=7_000_000_000, scores=(score,))))
    assert (release.artifact_digest, release.card["source"]) == (None, "stated by the grantee")
    assert release.scores[0].source == "stated"
    record(running, stated())  # a second one is no conflict


@pytest.mark.parametrize(
    "given",
    [
        {"value": 0.5},
        {"value": 0.5, "n": 10},
        {"value": 0.5, "n": 10, "ci95": (0.6, 0.7)},
        {},
        {"n": 10, "not_measured": "x"},
    ],
)
def test_a_score_has_n_and_interval_or_a_reason(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScoreIn(task="JMMLU", metric="accuracy", **given)
    assert ScoreIn(task="JMMLU", metric="accuracy", not_measured="no licence").value is None


def test_who_may_record(running: Running) -> None:
    stranger = running.funded.rows.actor(Role.APPLICANT, organisation=running.funded.rows.organisation())
    with pytest.raises(NotFound):
        record(running, stated(), stranger)
    with pytest.raises(Forbidden):
        record(running, stated(), running.funded.rows.actor(Role.OBSERVER))
    record(running, stated(), running.operator)
    with pytest.raises(Invalid, match="to come"):
        record(running, stated(released_on=date(2026, 4, 3)))


def test_an_artifact_that_is_not_there_is_refused(running: Running) -> None:
    with pytest.raises(Invalid, match="no such artifact"):
        record(running, stated(artifact_digest="a" * 64))


def test_an_event_counts_people(running: Running) -> None:
    given = EventIn(
        kind="course", title_ja="講座", title_en="Course", held_on=DAY, people=30, grant_id=running.grant.id
    )
    with running.funded.office.work(running.member) as work:
        assert outcomes.record_event(work, given).call_id == running.funded.call.id
    with running.funded.office.work(running.member) as work, pytest.raises(Forbidden):
        outcomes.record_event(work, given.model_copy(update={"grant_id": None}))
    with running.funded.office.work(running.operator) as work, pytest.raises(NotFound):
        outcomes.record_event(work, given.model_copy(update={"grant_id": uuid.uuid4()}))
    with pytest.raises(ValidationError, match="no more"):
        EventIn(kind="course", title_ja="a", title_en="a", held_on=DAY, people=1, people_trained=2)


def test_figures_of_an_artifact_are_read_from_its_manifest(running: Running) -> None:
    root = running.funded.office.settings.store
    model = artifact(root, "model", MODEL)
    evaluation = artifact(root, "evaluation", SCORED, {"model": model})
    release = outcomes.show_release(record(running, stated(artifact_digest=model, evaluation_digest=evaluation)))
    assert (release.parameters, release.tokens, release.card["source"]) == (1_234_567, 40_000_000, "artifact")
    by_task = {score.task: score for score in release.scores}
    assert (by_task["jmmlu"].value, by_task["jmmlu"].n, by_task["jmmlu"].ci95) == (0.41, 1200, (0.38, 0.44))
    assert by_task["held-out text"].references[0].value == 1.11
    assert (by_task["broken"].value, by_task["broken"].not_measured) == (None, "no answers")
    with pytest.raises(Conflict):
        record(running, stated(artifact_digest=model))
    other = artifact(root, "model", MODEL | {"tokens_trained": 1})
    with pytest.raises(Invalid, match="another model"):
        record(running, stated(artifact_digest=other, evaluation_digest=evaluation))
    with pytest.raises(Invalid, match="not a model"):
        record(running, stated(artifact_digest=evaluation))
