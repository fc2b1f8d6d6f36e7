"""What a stage is to the code that runs it: a function from a context to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kiban.kit.errors import KibanError
from kiban.kit.manifest import Party
from kiban.kit.store import Artifact
from kiban.make.corpus.rights.withdrawal import Withdrawn
from kiban.make.recipe import Recipe

Where = Literal["here", "slurm", "ray"]


@dataclass(frozen=True)
class StageContext:
    """All a stage may look at.

    Attributes:
        recipe: the validated recipe; a stage reads its own section (a change elsewhere does not remake it).
        base_folder: the folder that the recipe's relative paths start from.
        inputs: finished artifacts by role, e.g. {"corpus": …, "tokenizer": …}.
        files: empty folder; what is written here becomes the artifact, whole or not at all.
        scratch: folder that survives an interruption; a stage resumes from what it finds here.
        withdrawn: tells which documents owners took back; None for a stage that reads none.
        where: who works on the pieces of a stage that has any ("here", "slurm", "ray"); the result is the same.
        workers: how many pieces at a time; None: as many as there are processors.
    """

    name: str
    recipe: Recipe
    base_folder: Path
    inputs: Mapping[str, Artifact]
    files: Path
    scratch: Path
    seed: int
    withdrawn: Withdrawn | None = None
    where: Where = "here"
    workers: int | None = None


@dataclass(frozen=True)
class StageResult:
    """What goes into the manifest beside the files.

    Attributes:
        stats: figures about the result, JSON values only.
        parties: owners and licences this stage itself brings in (those of its inputs are inherited).
    """

    stats: dict[str, Any] = field(default_factory=dict)
    parties: tuple[Party, ...] = ()


StageFunction = Callable[[StageContext], StageResult]


class StageFailed(KibanError):
    """A stage ended badly and has said why itself; only its exit status is left to pass on."""

    def __init__(self, stage: str, exit_code: int) -> None:
        super().__init__(f"stage {stage} failed")
        self.exit_code = exit_code
