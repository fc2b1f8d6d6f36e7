"""A store with one model's whole way in it, and the grant whose job made the model."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from tests.office.reports.conftest import Running

from kiban.kit.manifest import Party
from kiban.kit.store import Artifact, Store
from kiban.office.office import Office
from kiban.office.reports.outcomes import record_release
from kiban.office.reports.schemas import ReleaseIn
from kiban.office.usage.models import UsageRecord

HOSTILE = "<script>alert(1)</script>"
SECRET = "/home/sato/private"


class Shelf:
    """Artifacts by kind; `others` is another evaluation of the model, with a card of its own."""

    def __init__(self, office: Office, running: Running, put: Callable[..., Artifact]) -> None:
        self.office, self.running, self._put = office, running, put
        self.store = Store(office.settings.store)
        self.corpus = self.put(
            "hinoki/corpus",
            config={"sources": [{"path": f"{SECRET}/manuals"}], "note": HOSTILE},
            inputs={"source:manuals": "ab" * 32},
            parties=[Party(source="manuals", owner=f"権利者{HOSTILE}", licence="CC0-1.0")],
        )
        self.model = self.made_model("hinoki/model", learning_rate=0.003)
        self.evaluation = self.put(
            "hinoki/evaluation", inputs={"model": self.model, "corpus": self.corpus}, stats=accuracy(0.7, 0.65, 0.75)
        )
        made = {"corpus": self.corpus, "model": self.model}
        page = {"card.html": f"<h1>card</h1>{HOSTILE}"}
        self.card = self.put("hinoki/card", inputs=made | {"evaluation": self.evaluation}, files=page)
        others = self.put("others/evaluation", inputs={"model": self.model}, stats=accuracy(0.1, 0.05, 0.15))
        self.others = {"evaluation": others, "card": self.put("others/card", inputs={"evaluation": others} | made)}

    def put(self, name: str, **given: Any) -> Artifact:
        return self._put(self.store, name, **given)

    def made_model(self, name: str, learning_rate: float) -> Artifact:
        steps = [{"step": step, "tokens": 100 * step, "loss": 9.0 / step, "lr": 0.1} for step in range(1, 20)]
        return self.put(
            name,
            config={"learning_rate": learning_rate, "depth": 4},
            inputs={"corpus": self.corpus},
            stats={"parameters": {"total": 4_000_512}, "tokens_trained": 700_160},
            files={"weights.bin": "w", "metrics.jsonl": "\n".join(map(json.dumps, steps)) + "\nbroken"},
        )

    def release(self, model: Artifact, evaluation: Artifact | None, name: str = "hinoki") -> uuid.UUID:
        given = ReleaseIn(
            name=name,
            artifact_digest=model.digest,
            evaluation_digest=evaluation.digest if evaluation else None,
            licence="Apache-2.0",
            released_on=self.running.clock.now.date(),
        )
        with self.office.work(self.running.operator) as work:
            return record_release(work, self.running.grant.id, given).id

    def made_by_a_job(self, artifact: Artifact) -> None:
        self.running.use(60)
        with self.office.work() as work:
            work.session.execute(sa.update(UsageRecord).values(artifact_digest=artifact.digest))


def accuracy(value: float, low: float, high: float) -> dict[str, Any]:
    return {"task_quiz": {"accuracy": value, "ci95": [low, high], "n": 400}}
