"""Where a base model lies and what names its content. No torch: the graph asks before anything runs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kiban.kit.errors import BadInput
from kiban.kit.files import digest_json
from kiban.kit.store import FingerprintCache
from kiban.make.recipe import Base

COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")

# What a transformers folder needs of a tokenizer, in the formats that its fast tokenizers read.
TOKENIZER_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "merges.txt",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)
CONFIG_FILES = ("config.json", "generation_config.json")
WEIGHT_PATTERNS = ("*.safetensors", "*.safetensors.index.json")


def fingerprint_base(base: Base, base_folder: Path, cache: FingerprintCache) -> str:
    """What names a base model's content: sha256 (hex) of a .gguf file or of the files that matter in a folder,
    the commit (40 hex digits) of a hub model.

    Raises:
        BadInput: no such file or folder, no weights in it, or a hub id whose commit cannot be found out.
    """
    path = local_path(base, base_folder)
    if path is None:
        return hub_commit(base)
    if path.is_file():
        return cache.digest(path)
    return digest_json({file.name: cache.digest(file) for file in _files_that_matter(path)})


def local_path(base: Base, base_folder: Path) -> Path | None:
    """The file or folder that `base.model` names, or None for a hub id.

    What begins with `.`, `/` or `~`, ends in `.gguf`, or is there, is a path (relative to the recipe's folder).

    Raises:
        BadInput: it is a path, and nothing usable lies there.
    """
    name = base.model
    path = base_folder / Path(name).expanduser()
    if not (name.startswith((".", "/", "~")) or name.lower().endswith(".gguf") or path.exists()):
        return None
    where = f"model.base.model: {path}"
    if not path.exists():
        raise BadInput("there is no such base model", where=where, hint="paths are relative to the recipe's folder")
    if path.is_file() and path.suffix.lower() != ".gguf":
        raise BadInput(
            "a base model is a folder in the transformers format or a .gguf file, not this file", where=where
        )
    if path.is_dir() and not (path / "config.json").is_file():
        raise BadInput("the folder has no config.json, so it is no transformers model", where=where)
    if path.is_dir() and not any(path.glob("*.safetensors")):
        raise BadInput(
            "the folder has no *.safetensors weights",
            where=where,
            hint="older formats can run code when they are opened; convert them with save_pretrained",
        )
    return path


def hub_commit(base: Base) -> str:
    """The commit of a hub model: given in full, remembered by the local cache, or asked of the hub, in that order.

    Raises:
        BadInput: it is no hub id, the hub has no such model or revision, or cannot be reached.
    """
    where = f"model.base.model: {base.model}"
    neither = BadInput("this is neither a path that is there nor a hub id such as owner/name", where=where)
    if not HUB_ID.fullmatch(base.model):
        raise neither
    revision = base.revision or "main"
    if COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi, constants, errors

    # The hub's client has moved between HTTP libraries; its errors module names the base class of the one in use.
    http_error: type[Exception] = vars(errors)["HTTPError"]
    folder = Path(constants.HF_HUB_CACHE) / f"models--{base.model.replace('/', '--')}" / "refs" / revision
    if folder.is_file() and COMMIT.fullmatch(known := folder.read_text().strip()):
        return known
    try:
        commit = HfApi().model_info(base.model, revision=revision, timeout=30).sha
    except errors.RevisionNotFoundError:
        raise BadInput(f"the hub has no revision {revision!r} of it", where=where) from None
    except errors.RepositoryNotFoundError:
        raise BadInput(
            "there is no such file or folder, and the hub has no such model (or you are not logged in to see it)",
            where=where,
            hint="a path that should be local begins with ./",
        ) from None
    except errors.HFValidationError:
        raise neither from None
    except (http_error, OSError) as error:
        raise BadInput(
            f"there is no such file or folder, and the hub cannot be asked for it: {_first_line(error)}",
            where=where,
            hint="give the path of a local copy, or run once with network: it is cached then",
        ) from None
    assert commit is not None, "the hub names the commit of every revision"
    return commit


def save_model(model: Any, folder: Path) -> None:
    """Write a transformers model's configuration and safetensors weights, readable by whom the folder's files are."""
    model.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        shutil.copymode(folder / "config.json", weights)  # safetensors lets only the owner read


def _files_that_matter(folder: Path) -> Iterator[Path]:
    for name in (*CONFIG_FILES, *TOKENIZER_FILES):
        if (folder / name).is_file():
            yield folder / name
    for pattern in WEIGHT_PATTERNS:
        yield from sorted(folder.glob(pattern))


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the files of a tokenizer, and nothing else, from one folder to another."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
