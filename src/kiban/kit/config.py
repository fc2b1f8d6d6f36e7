"""YAML to strict Pydantic models, with errors that name the file, the line and the nearest right key.

Strings may use `${NAME}` and `${NAME:-default}`, as in Docker Compose, so that one recipe serves a laptop and a
cluster whose folders differ.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from kiban.kit.errors import BadInput

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")

Loc = tuple[int | str, ...]
M = TypeVar("M", bound=BaseModel)

# Far above any configuration; aliases of aliases reach it with a few lines.
MOST_NODES = 100_000
TOO_DEEP = "nested too deeply"


class StrictModel(BaseModel):
    """Base of every configuration model: unknown keys are errors, values are finite and not silently converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


@dataclass
class Origins:
    """Where each value of a loaded document came from, for error messages."""

    path: Path | None = None
    lines: dict[Loc, int] = field(default_factory=dict)
    overrides: dict[Loc, str] = field(default_factory=dict)
    nodes: int = 0  # read so far, aliases each time that they stand for something

    def of(self, loc: Loc) -> str:
        """The place of `loc` or of its nearest parent: `recipe.yaml:12` or `--set a.b=c`."""
        for end in range(len(loc), -1, -1):
            if loc[:end] in self.overrides:
                return f"--set {self.overrides[loc[:end]]}"
            if loc[:end] in self.lines:
                return f"{self.path}:{self.lines[loc[:end]]}"
        return str(self.path)


def load_model(path: Path, model: type[M], overrides: Sequence[str] = ()) -> tuple[M, Origins]:
    """Read YAML at `path`, apply `key=value` overrides, and validate it as `model`.

    Raises:
        BadInput: unreadable file, broken YAML, unset variable, unknown key or wrong value; the message names
            file and line, or the override.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInput(f"cannot read it: {reason}", where=str(path)) from None
    yaml = YAML(typ="rt")
    try:
        tree = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(str(error.problem or error.context).split())
        raise BadInput(f"not valid YAML: {problem}", where=f"{path}:{line}") from None
    except YAMLError as error:
        raise BadInput(f"not valid YAML: {error}", where=str(path)) from None
    except RecursionError:
        raise BadInput(TOO_DEEP, where=str(path)) from None
    if not isinstance(tree, CommentedMap):
        raise BadInput("expected a mapping of keys to values", where=f"{path}:1")
    origins = Origins(path=path)
    try:
        data = _plain(tree, (), origins)
    except RecursionError:  # an alias may also stand inside what it stands for
        raise BadInput(TOO_DEEP, where=str(path)) from None
    for override in overrides:
        _apply_override(data, override, origins)
    try:
        # As JSON, strict validation takes a list where a model wants a tuple, and nothing else it should not.
        return model.model_validate_json(json.dumps(data)), origins
    except RecursionError:
        raise BadInput(TOO_DEEP, where=str(path)) from None
    except ValidationError as error:
        raise _explain(error, model, origins) from None


@contextmanager
def blamed(options: Mapping[str, str], otherwise: str) -> Iterator[None]:
    """Turn the ValidationError of a model built from options into bad input that names the option.

    Args:
        options: the option that each field's value was given with.
        otherwise: where the values of other fields are from.

    Raises:
        BadInput: the first problem of a ValidationError raised inside.
    """
    try:
        yield
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=True)[0]
        key = ".".join(map(str, problem["loc"]))
        option = options.get(str(problem["loc"][0])) if problem["loc"] else None
        message = _say(problem) if option or not key else f"{key}: {_say(problem)}"
        raise BadInput(message, where=option or otherwise) from None


def _plain(node: Any, loc: Loc, origins: Origins) -> Any:
    """Round-trip YAML nodes as plain Python values, remembering the line of each."""
    origins.nodes += 1
    if origins.nodes > MOST_NODES:
        raise BadInput(f"more than {MOST_NODES:,} values, those that aliases stand for included",
                       where=origins.of(loc))  # fmt: skip
    if isinstance(node, CommentedMap):
        for key in node:
            if key in node.lc.data:
                origins.lines[(*loc, key)] = node.lc.data[key][0] + 1
        return {str(key): _plain(value, (*loc, key), origins) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            if index in node.lc.data:
                origins.lines[(*loc, index)] = node.lc.data[index][0] + 1
        return [_plain(value, (*loc, index), origins) for index, value in enumerate(node)]
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, str):
        return _substitute(str(node), origins.of(loc))
    if isinstance(node, int):
        return int(node)
    if isinstance(node, float):
        return float(node)
    return str(node)  # dates and other YAML types: the models decide


def _substitute(text: str, where: str) -> str:
    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        found = os.environ.get(name) or default
        if found is None:
            raise BadInput(f"the environment variable {name} is not set", where=where, hint=f"export {name}=…")
        return found

    return VARIABLE.sub(value, text)


def _apply_override(data: dict[str, Any], override: str, origins: Origins) -> None:
    key, separator, text = override.partition("=")
    where = f"--set {override}"
    if not separator or not key.strip():
        raise BadInput("expected key=value", where=where, hint="for example --set training.tokens=2000000")
    try:
        value = _plain(YAML(typ="rt").load(text), (), Origins(overrides={(): override})) if text else ""
    except YAMLError:
        value = text
    except RecursionError:
        raise BadInput(TOO_DEEP, where=where) from None
    parts: list[int | str] = [int(part) if part.isdigit() else part for part in key.strip().split(".")]
    target: Any = data
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        last = following is None
        if isinstance(part, int):
            if not isinstance(target, list) or part >= len(target):
                raise BadInput(f"there is no item {part}", where=where)
        elif not isinstance(target, dict):
            raise BadInput(f"{part!r} is inside something that has no keys", where=where)
        elif not last and not isinstance(target.get(part), dict | list):
            target[part] = {}
        if last:
            target[part] = value
        else:
            target = target[part]
    origins.overrides[tuple(parts)] = override


def _explain(error: ValidationError, model: type[BaseModel], origins: Origins) -> BadInput:
    """The first problem in file order, as one line; the others are counted."""
    problems = error.errors(include_url=False, include_input=True)
    # A list with a wrong item is also reported as too short; the item is what to mend.
    inner = [p for p in problems if not any(_inside(other["loc"], p["loc"]) for other in problems)]
    placed = [(problem, _data_loc(problem["loc"], origins)) for problem in inner]
    problem, loc = min(placed, key=lambda item: origins.lines.get(item[1], 10**9))
    key = ".".join(str(part) for part in loc)
    others = f"; and {len(inner) - 1} more" if len(inner) > 1 else ""
    if problem["type"] == "extra_forbidden":
        fields = _fields_at(model, loc[:-1])
        nearest = difflib.get_close_matches(str(loc[-1]), fields, n=1, cutoff=0.6)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys here: {', '.join(fields)}"
        return BadInput(f"unknown key {key!r}{others}", where=origins.of(loc), hint=hint)
    if problem["type"] == "missing":
        return BadInput(f"{key!r} is missing{others}", where=origins.of(loc[:-1]))
    return BadInput(f"{key or 'the file'}: {_say(problem)}{others}", where=origins.of(loc))


def _inside(loc: Loc, outer: Loc) -> bool:
    return len(loc) > len(outer) and loc[: len(outer)] == outer


def _say(problem: ErrorDetails) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    if problem["type"] != "value_error" and isinstance(given, str | int | float | bool | None):
        message += f", not {given!r}"
    return message[:1].lower() + message[1:]


def _data_loc(loc: Loc, origins: Origins) -> Loc:
    """Pydantic puts union tags into locations; keep only what stands in the document or an override."""
    overridden = {override[:end] for override in origins.overrides for end in range(len(override) + 1)}
    kept: list[int | str] = []
    for position, part in enumerate(loc):
        here = (*kept, part)
        if position == len(loc) - 1 or here in origins.lines or here in overridden:
            kept.append(part)
    return tuple(kept)


def _fields_at(model: Any, loc: Loc) -> list[str]:
    """Field names of every model that may stand at `loc` inside `model`."""
    here = _models_in(model)
    for part in loc:
        if isinstance(part, int):
            continue  # a list's items have the annotation that the list was found in
        here = [
            inner
            for found in here
            if part in found.model_fields
            for inner in _models_in(found.model_fields[part].annotation)
        ]
    return sorted({name for found in here for name in found.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if isinstance(annotation, types.GenericAlias | types.UnionType) or typing.get_origin(annotation) is not None:
        return [found for argument in typing.get_args(annotation) for found in _models_in(argument)]
    return []
