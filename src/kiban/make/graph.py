"""The stage graph: a recipe resolved to what must be made, each artifact's digest known before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiban.kit.differences import differences
from kiban.kit.errors import BadInput, Refused
from kiban.kit.files import digest_json
from kiban.kit.manifest import InputRef
from kiban.kit.store import FingerprintCache, Spec, Store
from kiban.kit.withdrawals import COMPARED
from kiban.make.corpus.config import CorpusConfig, owners_of
from kiban.make.corpus.rights.withdrawal import concerning, withdrawals_input
from kiban.make.corpus.sources import fingerprint_source
from kiban.make.model.base import fingerprint_base
from kiban.make.recipe import Recipe, TokenizerConfig

# The version of a stage's code: raise it when the same input would give another result.
STAGE_VERSIONS = {"base": "1", "corpus": "2", "tokenizer": "1", "model": "1", "evaluation": "1", "card": "1"}
KINDS = {
    "base": "model",
    "corpus": "corpus",
    "tokenizer": "tokenizer",
    "model": "model",
    "evaluation": "evaluation",
    "card": "card",
}


@dataclass(frozen=True)
class Node:
    """One stage of a recipe and the artifacts it reads."""

    stage: str
    spec: Spec
    inputs: Mapping[str, str]  # role -> digest of an artifact


def build_graph(recipe: Recipe, base_folder: Path, store: Store) -> list[Node]:
    """Every stage of `recipe` in the order it can be made.

    Raises:
        BadInput: a source, base model or task file that is not there.
        Refused: a source that is not cleared for training.
    """
    for source in recipe.corpus.sources:
        if "train" not in source.uses:
            raise Refused(
                f"source {source.name!r} is not cleared for training (its owner allows: {', '.join(source.uses)})",
                hint="ask the owner, or take it out of the recipe",
            )
    cache = FingerprintCache(store)
    try:
        builder = _Builder(recipe, base_folder, store, cache)
        return builder.nodes()
    finally:
        cache.close()


class _Builder:
    def __init__(self, recipe: Recipe, base_folder: Path, store: Store, cache: FingerprintCache) -> None:
        self.recipe, self.base_folder, self.store, self.cache = recipe, base_folder, store, cache
        self.made: dict[str, Node] = {}

    def nodes(self) -> list[Node]:
        recipe = self.recipe
        self._add_corpus(recipe.corpus)
        # How often progress is saved does not change the weights, so it does not name them.
        training = recipe.training.model_dump(mode="json", exclude={"checkpoint_every_seconds"})
        if recipe.corpus.mix is not None:
            training["mix"] = recipe.corpus.mix.model_dump(mode="json")  # one corpus serves many mixes
        if recipe.model.base:
            base = recipe.model.base.model_dump(mode="json", exclude={"model"})
            fingerprint = fingerprint_base(recipe.model.base, self.base_folder, self.cache)
            self._add("base", base, (), {"base": InputRef(kind="external", digest=fingerprint)})
            self._add("tokenizer", {}, ("corpus", "base"))
            self._add("model", training, ("corpus", "tokenizer", "base"))
        else:
            assert recipe.model.shape is not None
            tokenizer = recipe.tokenizer or TokenizerConfig()
            self._add("tokenizer", tokenizer.model_dump(mode="json"), ("corpus",))
            shape = recipe.model.shape.model_dump(mode="json")
            self._add("model", {"shape": shape, **training}, ("corpus", "tokenizer"))
        tasks = {
            f"task:{task.name}": InputRef(kind="external", digest=self._task_digest(task.path))
            for task in recipe.evaluation.tasks
        }
        evaluated = ("corpus", "tokenizer", "model", *(("base",) if recipe.model.base else ()))
        self._add("evaluation", recipe.evaluation.model_dump(mode="json"), evaluated, tasks)
        self._add("card", {"name": recipe.name, **recipe.card.model_dump(mode="json")}, (*evaluated, "evaluation"))
        return list(self.made.values())

    def _add_corpus(self, corpus: CorpusConfig) -> None:
        """Of everything that lies somewhere the content decides, not where it lies: its fingerprint is an input."""
        config = corpus.model_dump(mode="json", exclude={"mix"})
        for named in (*config["sources"], *config["protected"]):
            del named["path"]
        files: list[tuple[str, str | None]] = [(f"protected:{task.name}", task.path) for task in corpus.protected]
        if corpus.quality is not None:
            files += [(f"quality:{key}", getattr(corpus.quality, key)) for key in ("word_lists", "classifier")]
        if corpus.privacy is not None:
            files.append(("privacy:pseudonym_key", corpus.privacy.pseudonym_key))
        external = {
            f"source:{source.name}": InputRef(
                kind="external", digest=fingerprint_source(source, self.base_folder, self.cache)
            )
            for source in corpus.sources
        }
        external |= {
            role: InputRef(kind="external", digest=self._digest_of(path, role)) for role, path in files if path
        }
        known = {f"{COMPARED}{name}": self.store.find(name) for name in corpus.duplicates.against}
        artifacts = {role: InputRef(kind=artifact.kind, digest=artifact.digest) for role, artifact in known.items()}
        withdrawn = withdrawals_input(concerning(self.store, owners_of(corpus)))
        self._add("corpus", config, (), external | artifacts | withdrawn)

    def _digest_of(self, path: str, role: str) -> str:
        """Of a file, or of all files in a folder with their names."""
        there = self.base_folder / path
        if there.is_file():
            return self.cache.digest(there)
        if not there.is_dir():
            raise BadInput(f"there is no {path} ({there})", where=f"corpus, {role}")
        files = sorted(file for file in there.rglob("*") if file.is_file())
        return digest_json([[str(file.relative_to(there)), self.cache.digest(file)] for file in files])

    def _add(
        self,
        stage: str,
        config: dict[str, Any],
        roles: tuple[str, ...],
        external: Mapping[str, InputRef] | None = None,
    ) -> None:
        inputs = {role: InputRef(digest=self.made[role].spec.digest, kind=KINDS[role]) for role in roles} | dict(
            external or {}
        )
        spec = Spec(KINDS[stage], stage, STAGE_VERSIONS[stage], config, inputs, self.recipe.seed)
        self.made[stage] = Node(
            stage, spec, {role: ref.digest for role, ref in inputs.items() if ref.kind != "external"}
        )

    def _task_digest(self, path: str) -> str:
        file = self.base_folder / path
        if not file.is_file():
            raise BadInput("there is no such task file", where=str(file))
        return self.cache.digest(file)


def why(node: Node, store: Store, recipe_name: str) -> str:
    """Why a stage has to run: what differs from what its name stood for last time."""
    before_digest = store.names().get(f"{recipe_name}/{node.stage}")
    before = store.get(before_digest) if before_digest else None
    if before is None:
        return "new"
    changes = []
    if before.manifest.stage_version != node.spec.stage_version:
        changes.append("kiban's code for it changed")
    changes += [
        f"{key}: {old} → {new}" for key, old, new in differences(before.manifest.config, dict(node.spec.config))
    ]
    for role, ref in node.spec.inputs.items():
        known = before.manifest.inputs.get(role)
        if known is None or known.digest != ref.digest:
            changes.append(f"{role} changed" if known else f"{role} is new")
    changes += [f"{role} is gone" for role in before.manifest.inputs if role not in node.spec.inputs]
    if before.manifest.seed != node.spec.seed:
        changes.append(f"seed: {before.manifest.seed} → {node.spec.seed}")
    return "; ".join(changes) or "its artifact is gone"
