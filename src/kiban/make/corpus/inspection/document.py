"""One document through all steps of a recipe's curation, and what the finished corpus says about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from kiban.kit.store import Store
from kiban.make.corpus.curator import MARK, Candidate, Curated, Curator
from kiban.make.corpus.formats.events import Event, Record
from kiban.make.corpus.gathering import raw_batch
from kiban.make.corpus.inspection.excerpts import Excerpts, unchanged
from kiban.make.corpus.inspection.finished import look_up
from kiban.make.corpus.inspection.locating import Located, locate
from kiban.make.corpus.letters import letters
from kiban.make.corpus.privacy.finding import Finding
from kiban.make.recipe import Recipe


def inspect(
    recipe: Recipe, base_folder: Path, identity: str, source_name: str | None = None, store: Store | None = None
) -> dict[str, Any]:
    """What becomes of the document `identity`, as JSON values.

    Personal data that is found is named by kind and place, and hidden wherever the text is shown.

    Args:
        base_folder: where the recipe's paths start from.
        source_name: of the source that has it; default: the first that does.
        store: where the recipe's finished corpus may be.

    Raises:
        BadInput: there is no such document or source, or the recipe's files are not there.
    """
    located = locate(recipe.corpus, base_folder, identity, source_name)
    found = _about(located, identity)
    text, excerpts = None, Excerpts([])
    if located.event is None:
        found["verdict"] = _verdict("drop", located.reason, detail=located.detail)
    else:
        curator = Curator(recipe.corpus, base_folder)
        followed = _Followed(located.event)
        curated = Curated()
        curator.curate(followed.batch, located.source, curated, watch=followed.watch)
        (candidate,) = curated.candidates
        before = followed.before("privacy")
        findings = _personal_data(curator, before)
        text, excerpts = candidate.text, Excerpts(before[one.start : one.end] for one in findings)
        found["steps"] = followed.steps(excerpts)
        found["quality"] = _quality(curator, followed.before("quality")) if recipe.corpus.quality else None
        found["personal_data"] = _said(findings, curator, before, excerpts)
        found["verdict"] = _decided(candidate)
    digest = store.names().get(f"{recipe.name}/corpus") if store else None
    artifact = store.get(digest) if store and digest else None
    if artifact is not None:
        found["corpus"] = {
            "name": artifact.manifest.name,
            "digest": artifact.digest,
            **look_up(artifact.path, located.source.name, identity, located.file, text, excerpts),
        }
    return found


def _about(located: Located, identity: str) -> dict[str, Any]:
    record = located.event if isinstance(located.event, Record) else None
    return {
        "id": identity,
        "source": located.source.name,
        "owner": located.source.owner,
        "licence": located.source.licence,
        "file": located.file,
        "characters": len(record.text) if record else None,
        "anchors": [anchor.label for anchor in record.anchors] if record else [],
        "fields": dict(record.fields) if record else {},
        "steps": [],
        "quality": None,
        "personal_data": [],
        "verdict": None,
        "corpus": None,
    }


class _Followed:
    """A document while it goes through the steps."""

    def __init__(self, event: Event) -> None:
        self.batch = raw_batch([event])
        (text,) = self.batch["text"].to_pylist()
        self._alive = text is not None
        self._texts: list[tuple[str, str]] = [("read", text or "")]
        self._verdicts: dict[str, dict[str, Any]] = {}

    def watch(self, step: str, candidates: Sequence[Candidate]) -> None:
        if not self._alive:
            return
        candidate = candidates[0]
        self._texts.append((step, candidate.text.replace(MARK, "")))
        if candidate.rule or (candidate.rephrase and not self._verdicts):
            self._verdicts[step] = _decided(candidate)
        self._alive = not candidate.rule

    def before(self, step: str) -> str:
        """The text that the step was given, or the last one if it did not come so far."""
        names = [name for name, _ in self._texts]
        return self._texts[names.index(step) - 1 if step in names else -1][1]

    def steps(self, excerpts: Excerpts) -> list[dict[str, Any]]:
        said = []
        for (_, before), (step, after) in zip(self._texts, self._texts[1:], strict=False):
            # What is done about personal data is said by place, without the data.
            shown = excerpts.changes(before, after) if step != "privacy" else unchanged()
            said.append({"step": step, "characters": len(after), "verdict": self._verdicts.get(step), **shown})
        return said


def _decided(candidate: Candidate) -> dict[str, Any]:
    decision: Literal["drop", "rephrase", "keep"] = (
        "drop" if candidate.rule else "rephrase" if candidate.rephrase else "keep"
    )
    rule = candidate.rule or candidate.rephrase
    return _verdict(decision, rule, candidate.value, candidate.limit, candidate.detail)


def _verdict(
    decision: str, rule: str, value: float | None = None, limit: float | None = None, detail: str = ""
) -> dict[str, Any]:
    return {"decision": decision, "rule": rule or None, "value": value, "limit": limit, "detail": detail or None}


def _quality(curator: Curator, text: str) -> dict[str, Any] | None:
    """All rules and statistics of the recipe's profile for a text."""
    if not text:
        return None
    explained = curator.profile.explain(text)
    return {
        "profile": curator.profile.name,
        "decision": explained.verdict.decision,
        "rules": [asdict(check) for check in explained.checks],
        "statistics": explained.statistics,
    }


def _personal_data(curator: Curator, text: str) -> list[Finding]:
    """What the recipe does something about, also in a document that did not come so far."""
    privacy = curator.config.privacy
    if privacy is None or not text:
        return []
    found: list[Finding] = curator.finder.find([text], letters([text]))[0]
    return [one for one in found if privacy.actions[one.kind] != "ignore"]


def _said(findings: Sequence[Finding], curator: Curator, text: str, excerpts: Excerpts) -> list[dict[str, Any]]:
    said = []
    for one in findings:
        action = curator.config.privacy.actions[one.kind] if curator.config.privacy else None
        place = {"line": text.count("\n", 0, one.start) + 1, "start": one.start, "end": one.end}
        shown = excerpts.around(text, one.start, one.end, f"[{one.kind}]")
        special = list(one.special_care)
        said.append(
            {"kind": one.kind, "rule": one.rule, "action": action, **place, "special_care": special, "text": shown}
        )
    return said
