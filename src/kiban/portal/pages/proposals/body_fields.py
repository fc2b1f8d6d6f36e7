"""A proposal's body as the fields of its form, and back.

Fields are named by their path in the body. What a field holds that is not what the body wants there stays as it was
typed: drafts are stored with their mistakes. What a body has and the form does not know is shown as further fields, so
that a save through the form takes nothing away.
"""

from __future__ import annotations

import json
import typing
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from kiban.kit.errors import KibanError
from kiban.kit.quantities import Tokens
from kiban.office.calls.schemas import Question
from kiban.plan.model.shape import ModelShape
from kiban.portal.format import parse_number
from kiban.portal.web.forms import OWN, PostedForm


# Which leaf of a path is a number, and which a yes or no; all others are texts.
def _types_of(annotation: Any) -> set[type]:
    """The plain types that a field may hold."""
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return {type(each) for each in inner}
    if typing.get_origin(annotation) is Annotated:
        inner = inner[:1]
    return {annotation} if isinstance(annotation, type) else {each for part in inner for each in _types_of(part)}


_SHAPE = {name: _types_of(each.annotation) for name, each in ModelShape.model_fields.items()}
SHAPE_FLAGS: Final = tuple(name for name, types in _SHAPE.items() if bool in types)
SHAPE_NUMBERS: Final = tuple(name for name, types in _SHAPE.items() if int in types)
_NUMBERS = {"tokens", "seq_len_tokens", "rank", "target", "gpus", "months", "gpu_hours", *SHAPE_NUMBERS}
_FLAGS = {"is_foreign", "is_on_internet", "may_edit", *SHAPE_FLAGS}
_OPENNESS_FLAGS = {"weights", "code", "data", "report"}
SPEC: Final[Mapping[str, Any]] = {
    "title": None,
    "theme": None,
    "summary": None,
    "training": {
        "tokens": None,
        "seq_len_tokens": None,
        "precision": None,
        "model": {"shape": dict.fromkeys(_SHAPE), "config": ...},
        "adaptation": {"method": None, "rank": None},
    },
    "base_model": dict.fromkeys(("name", "developer", "licence", "is_foreign")),
    "data": [dict.fromkeys(("name", "owner", "licence", "rights", "personal_data", "tokens", "is_on_internet"))],
    "safety": None,
    "openness": dict.fromkeys((*sorted(_OPENNESS_FLAGS), "licence", "text")),
    "milestones": [
        {**dict.fromkeys(("key", "title", "due_month")), "kpis": [dict.fromkeys(("name", "unit", "target"))]}
    ],
    "team": [dict.fromkeys(("name", "email", "organisation_name", "role", "orcid", "may_edit"))],
    "tiers": [{**dict.fromkeys(("key", "gpus", "months", "gpu_hours", "text")), "pool_ids": ..., "start_months": ...}],
}
# Keys of sizes and milestones are for programs; people name them by their place.
_KEYS = {"milestones": ("interim", "final"), "tiers": ("minimum", "preferred")}
_KEY_STEM = {"milestones": "milestone", "tiers": "size"}
_tokens: TypeAdapter[int] = TypeAdapter(Tokens)
MOST_UNKNOWN: Final = 200


@dataclass(frozen=True)
class BodyFields:
    """A body, for templates to ask what its fields show; never fails, whatever a draft holds."""

    body: Mapping[str, Any]
    questions: Sequence[Question] = ()

    def at(self, path: str) -> Any:
        """The value at a path; None where there is none."""
        value: Any = self.body
        for step in path.split("."):
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
                value = value[int(step)]
            else:
                return None
        return value

    def text(self, path: str) -> str:
        """What a field of one line or more shows."""
        value = self.at(path)
        if value is None or isinstance(value, Mapping | list):
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return f"{value:,}"
        return str(value)

    def flag(self, path: str, default: bool = False) -> bool:
        value = self.at(path)
        return value if isinstance(value, bool) else default

    def any(self, stem: str, names: Sequence[str]) -> bool:
        """Whether one of the fields holds anything."""
        return any(self.at(stem + name) is not None for name in names)

    def texts(self, path: str) -> list[str]:
        """Of a list of texts."""
        value = self.at(path)
        return [str(each) for each in value] if isinstance(value, list) else []

    def count(self, path: str) -> int:
        """How many rows a list has."""
        value = self.at(path)
        return len(value) if isinstance(value, list) else 0

    @property
    def config(self) -> str:
        """The contents of config.json, where the model is given by it."""
        value = self.at("training.model.config")
        return value if isinstance(value, str) else "" if value is None else json.dumps(value, indent=2)

    @property
    def has_shape(self) -> bool:
        return bool(self.at("training.model.shape"))

    def leaves(self, path: str) -> list[tuple[str, str]]:
        """Every value below a path, by its name."""
        return [(name.removeprefix(f"{path}."), value) for name, value in _leaves(self.at(path), path)][:MOST_UNKNOWN]

    def unknown(self) -> list[tuple[str, str]]:
        """Names and values of what the form has no field for."""
        answers = {each.key: None for each in self.questions}
        found = list(_unknown(self.body, {**SPEC, "answers": answers}, ""))
        return found[:MOST_UNKNOWN]


def _unknown(value: Any, spec: Any, path: str) -> Iterator[tuple[str, str]]:
    if spec is ...:
        return
    if isinstance(spec, list) and isinstance(value, list):
        for place, each in enumerate(value):
            yield from _unknown(each, spec[0], f"{path}.{place}")
    elif isinstance(spec, Mapping) and isinstance(value, Mapping):
        for key, each in value.items():
            where = f"{path}.{key}" if path else str(key)
            yield from _unknown(each, spec[key], where) if key in spec else _leaves(each, where)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _leaves(each, f"{path}.{place}")
    elif value is not None:
        yield path, value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class ReadBody:
    """A body out of a form. `rows`: which of the form's rows each entry of a list came from; empty rows are none."""

    body: dict[str, Any]
    rows: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def row_of(self, name: str, place: int) -> int:
        known = self.rows.get(name, ())
        return known[place] if place < len(known) else place


def body_of(form: PostedForm, questions: Sequence[Question] = ()) -> ReadBody:
    """What a form holds, as a body.

    Raises:
        Wrong: field names that contradict one another, as only hand-made requests have.
    """
    tree = {name: value for name, value in form.tree().items() if not name.startswith("_") and name not in OWN | _STEER}
    body: dict[str, Any] = {}
    rows: dict[str, Sequence[int]] = {}
    for name, value in tree.items():
        read = _read(value, name, SPEC.get(name), questions)
        if isinstance(read, list) and isinstance(SPEC.get(name), list):
            numbers = _numbers_of(form, name)
            kept = [place for place, each in enumerate(read) if _says(each)]
            rows[name] = [numbers[place] if place < len(numbers) else place for place in kept]
            read = [_without_empty_rows(read[place]) for place in kept]
            if name in _KEYS:
                _name_entries(name, read)
        if read not in ({}, [], "") or name in form_lists(form):
            body[name] = read
    _settle(body)
    return ReadBody(body, rows)


_STEER = {"expected_version", "base_version", "current_version"}


def form_lists(form: PostedForm) -> set[str]:
    """Lists that the form has a part for, though it may have no rows."""
    return {name.partition(".")[0] for name, _ in form.fields if name.endswith("._rows") and name.count(".") == 1}


def _numbers_of(form: PostedForm, name: str) -> list[int]:
    steps = {given.split(".")[1] for given, _ in form.fields if given.startswith(f"{name}.")}
    return sorted(int(step) for step in steps if step.isascii() and step.isdigit())


def _read(value: Any, path: str, spec: Any, questions: Sequence[Question]) -> Any:
    if isinstance(value, Mapping):
        inner = spec if isinstance(spec, Mapping) else {}
        if path == "answers":
            kinds = {each.key: each.kind for each in questions}
            return {key: _answer(each, kinds.get(key, "")) for key, each in value.items()}
        found = {key: _read(each, f"{path}.{key}", inner.get(key), questions) for key, each in value.items()}
        return {key: each for key, each in found.items() if each != {}}
    if isinstance(value, list):
        inner = spec[0] if isinstance(spec, list) else spec
        return [_read(each, path, inner, questions) for each in value]
    leaf = path.rpartition(".")[2]
    if path == "training.model.config":
        return _config(value)
    if leaf in _FLAGS or (path.startswith("openness.") and leaf in _OPENNESS_FLAGS):
        return value == "true" if value in ("true", "false") else value
    if leaf in _NUMBERS:
        return _number(value, leaf)
    return value


def _number(text: str, leaf: str) -> Any:
    try:
        return parse_number(text)
    except (KibanError, ValueError):
        pass
    if leaf.endswith("tokens"):
        try:
            return _tokens.validate_python(text)
        except (ValidationError, KibanError, ValueError):
            pass
    return text


def _config(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _answer(value: Any, kind: str) -> Any:
    if not isinstance(value, str):
        return value
    if kind == "yes_no":
        return value == "true" if value in ("true", "false") else value
    return _number(unicodedata.normalize("NFKC", value), "") if kind == "number" else value


def _says(entry: Any) -> bool:
    """Whether anything was typed into a row: boxes, choices and hidden keys hold something from the start."""
    if not isinstance(entry, dict):
        return entry not in ("", None)
    typed = (value for name, value in entry.items() if name not in ("key", "personal_data"))
    return any(value not in ("", None, [], {}) and not isinstance(value, bool) for value in typed)


def _without_empty_rows(entry: Any) -> Any:
    if isinstance(entry, dict) and isinstance(entry.get("kpis"), list):
        entry["kpis"] = [each for each in entry["kpis"] if each]
    return entry


def _name_entries(name: str, entries: Sequence[Any]) -> None:
    """Give entries that have none a key of their own, always the same ones for the same entries."""
    taken = {each.get("key") for each in entries if isinstance(each, dict)}
    fresh = iter([*_KEYS[name], *(f"{_KEY_STEM[name]}_{number}" for number in range(1, len(entries) + 20))])
    for entry in entries:
        if isinstance(entry, dict) and not entry.get("key"):
            entry["key"] = next(key for key in fresh if key not in taken)


def _settle(body: dict[str, Any]) -> None:
    """Leave out parts that say nothing: a base model without a name, an adaptation without a method."""
    base = body.get("base_model")
    if isinstance(base, dict) and not any(value for key, value in base.items()):
        del body["base_model"]
    training = body.get("training")
    if not isinstance(training, dict):
        return
    model = training.get("model")
    if isinstance(model, dict) and isinstance(model.get("shape"), dict):
        # An unticked box is the usual choice, not a size.
        model["shape"] = {
            key: value
            for key, value in model["shape"].items()
            if key not in SHAPE_FLAGS or value is not ModelShape.model_fields[key].default
        }
        if not model["shape"]:
            del model["shape"]
    if model == {}:
        del training["model"]
