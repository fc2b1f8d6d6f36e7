"""Which model a name, a digest or a folder stands for, checked byte by byte before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kiban.kit.errors import BadInput
from kiban.kit.files import digest_file, digest_json
from kiban.kit.manifest import read_manifest
from kiban.kit.store import Artifact, Store

CARD_FILE = "card.html"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
WEIGHT_PATTERNS = ("*.safetensors", "pytorch_model*.bin")


@dataclass(frozen=True)
class Located:
    """A model on disk that can be served.

    Attributes:
        folder: a transformers folder (config, weights, tokenizer).
        name: what requests call it.
        aliases: other names that answer to it.
        digest: sha256 (hex): an artifact's own digest, or one over the files of a folder that is no artifact.
        store_root: the store it lies in, if it does.
        from_scratch: kiban trained it from nothing on documents. Its tokenizer brings a chat template for whoever
            tunes it later, but the model itself has never seen one.
    """

    folder: Path
    name: str
    aliases: tuple[str, ...]
    digest: str
    store_root: Path | None
    from_scratch: bool = False

    @property
    def fingerprint(self) -> str:
        """The short form that every answer carries: `kiban-` and 12 digits of the digest."""
        return f"kiban-{self.digest[:12]}"

    def card(self) -> Path | None:
        """The newest model card made of this model; looked up anew, as it may be made while the model serves."""
        if self.store_root is None:
            return None
        cards = [
            artifact
            for artifact in Store(self.store_root).all()
            if artifact.kind == "card"
            and (artifact.path / CARD_FILE).is_file()
            and "model" in artifact.manifest.inputs
            and artifact.manifest.inputs["model"].digest == self.digest
        ]
        return cards[-1].path / CARD_FILE if cards else None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep `kiban gc` away from the store while the model is served."""
        if self.store_root is None:
            yield
        else:
            with Store(self.store_root).in_use():
                yield


def locate(reference: str, store_root: Path) -> Located:
    """Find and check the model that `reference` stands for.

    Args:
        reference: a recipe's name (its model), `recipe/stage`, the first characters of a digest, an artifact
            folder, or any local transformers folder. An artifact of another kind stands for the model it was
            made from: a card or an evaluation leads to its model.
        store_root: where names and digests are looked up.

    Raises:
        BadInput: nothing answers to it, it leads to no model, or files are missing or damaged.
    """
    folder = Path(reference)
    if (folder / "config.json").is_file() and not (folder / "manifest.json").is_file():
        _check_files(folder)
        return Located(folder.resolve(), folder.resolve().name, (), _folder_digest(folder), None)
    artifact, root = _find(reference, folder, store_root)
    _check_files(artifact.path)
    if damaged := artifact.corrupted():
        raise BadInput(
            f"{len(damaged)} of its files are missing or damaged, first {damaged[0]}",
            where=str(artifact.path),
            hint="`kiban verify` lists them; delete the folder and make it again",
        )
    full = artifact.manifest.name
    name = full.removesuffix("/model")
    return Located(
        folder=artifact.path,
        name=name,
        aliases=(full, artifact.digest) if name != full else (artifact.digest,),
        digest=artifact.digest,
        store_root=root,
        from_scratch="shape" in artifact.manifest.config,
    )


def _find(reference: str, folder: Path, store_root: Path) -> tuple[Artifact, Path | None]:
    if (folder / "manifest.json").is_file():
        found = Artifact(folder.resolve(), read_manifest(folder))
        # A copy of an artifact outside any store is served too; then there is nothing to lock.
        root = found.path.parents[1] if found.path.parent.name == "artifacts" else None
    else:
        # A recipe is often called like the folder of documents it was made from: that folder is not what is meant.
        names = Store(store_root).names() if store_root.is_dir() else {}
        if folder.is_dir() and not any(name in (reference, f"{reference}/model") for name in names):
            raise BadInput("this folder holds no model: it has neither config.json nor manifest.json", where=reference)
        if not store_root.is_dir():
            raise BadInput(
                f"no model {reference!r}: there is no such folder, and no store at {store_root}",
                hint="make one with `kiban make RECIPE`, or say where the store is with `kiban --store`",
            )
        store, root = Store(store_root), store_root.absolute()
        model = store.get(names[f"{reference}/model"]) if f"{reference}/model" in names else None
        found = model or store.find(reference)
    if found.kind == "model":
        return found, root
    if root is None or "model" not in found.manifest.inputs:
        raise BadInput(f"{found.manifest.name} is a {found.kind} and leads to no model", where=reference)
    model = Store(root).get(found.manifest.inputs["model"].digest)
    if model is None:
        raise BadInput(f"the model that {found.manifest.name} was made from is gone", where=reference)
    return model, root


def _check_files(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise BadInput("the model has no config.json", where=str(folder))
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except ValueError:
        raise BadInput("it is not valid JSON", where=str(folder / "config.json")) from None
    if not isinstance(config, dict):
        raise BadInput("expected a JSON object", where=str(folder / "config.json"))
    if not any(file.is_file() for pattern in WEIGHT_PATTERNS for file in folder.glob(pattern)):
        raise BadInput("the model has no weights", where=str(folder), hint="expected model.safetensors")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise BadInput(
            "the model has no tokenizer", where=str(folder), hint="expected tokenizer.json beside the weights"
        )


def _folder_digest(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return digest_json([[path.name, digest_file(path)] for path in files])
