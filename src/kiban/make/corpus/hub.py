"""Datasets of the Hugging Face Hub as sources: `hf:owner/dataset[:config[:split]]`, read as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kiban.kit.errors import BadInput
from kiban.kit.files import digest_json
from kiban.make.corpus.config import Source

NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
COMMIT = re.compile(r"[0-9a-f]{40}")
# The other splits of a hub dataset are what models are tested with; they are read only when a recipe names them.
DEFAULT_SPLIT = "train"


@dataclass(frozen=True)
class HubDataset:
    """A dataset at a commit."""

    name: str
    config: str | None
    split: str
    revision: str
    where: str

    def fingerprint(self) -> str:
        return digest_json([self.name, self.config, self.split, self.revision])

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row, in the dataset's order.

        Raises:
            BadInput: the dataset, config or split is not there or cannot be reached.
        """
        import datasets

        try:
            stream = datasets.load_dataset(
                self.name, self.config, split=self.split, revision=self.revision, streaming=True
            )
            yield from stream
        except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
            raise BadInput(f"cannot read {self.name}: {_first_line(error)}", where=self.where) from None


def hub_dataset(source: Source) -> HubDataset:
    """What `source.path` names, its revision resolved to a commit (which asks the hub unless it is one already).

    Raises:
        BadInput: not of the form hf:owner/dataset[:config[:split]], or the hub cannot say.
    """
    where = f"source {source.name!r}"
    name, config, split = [*source.path.removeprefix("hf:").split(":"), "", ""][:3]
    if not NAME.fullmatch(name) or source.path.count(":") > 3:
        raise BadInput(f"{source.path!r} is not hf:owner/dataset[:config[:split]]", where=where)
    revision = source.revision or "main"
    if not COMMIT.fullmatch(revision):
        revision = _commit(name, revision, where)
    return HubDataset(name, config or None, split or DEFAULT_SPLIT, revision, where)


def _commit(name: str, revision: str, where: str) -> str:
    from huggingface_hub import HfApi, errors

    # The hub's client has moved between HTTP libraries; its errors module names the base class of the one in use.
    http_error: type[Exception] = vars(errors)["HTTPError"]
    try:
        commit = HfApi().dataset_info(name, revision=revision, timeout=30).sha
    except (http_error, errors.HFValidationError, OSError) as error:
        raise BadInput(
            f"cannot ask the hub for {name}: {_first_line(error)}",
            where=where,
            hint="set `revision` to a commit (40 hex digits) and it need not be asked",
        ) from None
    assert commit is not None, "dataset_info of one dataset always has its commit"
    return commit


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
