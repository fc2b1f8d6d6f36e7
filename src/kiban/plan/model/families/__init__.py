"""A transformers config.json of any supported family as a ModelShape.

What is counted is the ForCausalLM model that transformers builds from the file: token table, decoder layers, output
matrix. Heads of other tasks, vision and audio towers, adapters and quantisation change nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kiban.kit.config import TOO_DEEP
from kiban.kit.errors import BadInput
from kiban.plan.model.families.dense import DENSE
from kiban.plan.model.families.earlier import EARLIER
from kiban.plan.model.families.experts import EXPERTS
from kiban.plan.model.families.family import Family
from kiban.plan.model.families.keys import Keys
from kiban.plan.model.families.rules import base
from kiban.plan.model.families.unsupported import WHY
from kiban.plan.model.shape import ModelShape

FAMILIES: Mapping[str, Family] = {**DENSE, **EXPERTS, **EARLIER}

# Where a multimodal model keeps the configuration of its language model.
LANGUAGE_MODEL_KEYS = ("text_config", "language_config", "llm_config")

# Keys that any family's file may have and that change the structure if they are on.
REFUSED_KEYS: Mapping[str, str] = {
    "use_cla": "key-value caches shared between layers",
    "num_kv_shared_layers": "key-value caches shared between layers",
    "block_configs": "layers of different sizes",
    "hybrid_override_pattern": "layers of several kinds",
    "index_topk": "sparse attention with an indexer",
    "add_cross_attention": "cross-attention",
    "is_encoder_decoder": "an encoder and a decoder",
}


def read_config(path: Path) -> ModelShape:
    """The shape that a config.json describes, named after its folder.

    Args:
        path: the file, or the model folder that holds it.

    Raises:
        BadInput: unreadable, not JSON, not a model's configuration, or as `shape_from_config`; the message names the
            file.
    """
    if path.is_dir():
        path = path / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"cannot read it: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise BadInput("cannot read it: it is not UTF-8 text", where=str(path)) from None
    except json.JSONDecodeError as error:
        raise BadInput(f"not valid JSON: {error.msg}", where=f"{path}:{error.lineno}") from None
    except RecursionError:
        raise BadInput(TOO_DEEP, where=str(path)) from None
    if not isinstance(config, dict):
        raise BadInput("not a model's configuration: expected a JSON object", where=str(path))
    name = path.resolve().parent.name if path.name == "config.json" else path.stem
    try:
        return shape_from_config(config, str(path), name)
    except RecursionError:  # language models inside language models
        raise BadInput(TOO_DEEP, where=str(path)) from None


def shape_from_config(config: Mapping[str, Any], where: str, name: str | None = None) -> ModelShape:
    """The shape that a configuration in transformers' format describes, by its `model_type`.

    A key that is missing takes transformers' default for the family, sizes that every file has excepted. Of a
    multimodal model only the language model is counted, and the shape's name says so.

    Args:
        config: what config.json holds.
        where: names its origin in messages.
        name: what reports call the model; default: what the configuration says.

    Raises:
        BadInput: no or an unsupported `model_type`, a required size missing, a value that is no size, or a structure
            that ModelShape cannot express.
    """
    if name is None:
        given = config.get("_name_or_path")
        name = Path(given).name if isinstance(given, str) and given else str(config.get("model_type", ""))
    return _shape(config, where, name, may_omit=False)


def _shape(config: Mapping[str, Any], where: str, name: str, *, may_omit: bool) -> ModelShape:
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise BadInput(
            "not a model's configuration: 'model_type' is missing",
            where=where,
            hint="a transformers config.json has it",
        )
    family = FAMILIES.get(model_type)
    if family is None:
        return _of_language_model(config, model_type, where, name)
    for key, structure in REFUSED_KEYS.items():
        if config.get(key):
            raise BadInput(f"{key!r} means {structure}, which kiban plan does not count", where=where)
    keys = Keys(config, family.defaults, family.names, where, may_omit)
    fields: dict[str, Any] = {"name": name}
    for rule in (base, *family.rules):
        fields |= rule(keys)
    try:
        return ModelShape.model_validate(fields)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        message = problem["msg"].removeprefix("Value error, ")
        raise BadInput(": ".join([*map(str, problem["loc"]), message]), where=where) from None


def _of_language_model(config: Mapping[str, Any], model_type: str, where: str, name: str) -> ModelShape:
    for key in LANGUAGE_MODEL_KEYS:
        inner = config.get(key)
        if isinstance(inner, Mapping):
            if "tie_word_embeddings" in config and "tie_word_embeddings" not in inner:
                inner = {**inner, "tie_word_embeddings": config["tie_word_embeddings"]}
            return _shape(inner, where, f"{name} (language model only)", may_omit=True)
    reason = WHY.get(model_type)
    raise BadInput(
        f"model_type {model_type!r} has {reason}, which kiban plan does not count"
        if reason
        else f"model_type {model_type!r} is not known",
        where=where,
        hint=f"read are {', '.join(sorted(FAMILIES))}; or write its sizes into a plan file",
    )
