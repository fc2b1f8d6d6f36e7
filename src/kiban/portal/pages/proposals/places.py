"""Where in the form something is that the office names by its path in the body, and what people call it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kiban.office.calls.schemas import Question
from kiban.portal.i18n import Text, _, pgettext, using_language
from kiban.portal.pages.proposals.body_fields import ReadBody
from kiban.portal.web import labels
from kiban.portal.web import page as pages

SECTIONS: Final[tuple[tuple[str, Text], ...]] = (
    ("about", _("What it is about")),
    ("training", _("Training")),
    ("base_model", _("Base model")),
    ("data", _("Data")),
    ("safety", _("Safety")),
    ("openness", _("What will be public")),
    ("milestones", _("Milestones")),
    ("team", _("Team")),
    ("tiers", _("Sizes and compute")),
    ("answers", _("The call's own questions")),
)
NAMES: Final[Mapping[str, Text]] = {
    "title": _("Title"),
    "theme": _("Theme"),
    "summary": _("Summary"),
    "training": _("Training"),
    "training.tokens": _("Tokens to train on"),
    "training.seq_len_tokens": _("Sequence length"),
    "training.precision": _("Precision"),
    "training.model": _("Model"),
    "training.model.shape": _("Shape of the model"),
    "training.model.shape.hidden_size": _("Hidden size"),
    "training.model.shape.num_hidden_layers": _("Layers"),
    "training.model.shape.num_attention_heads": _("Attention heads"),
    "training.model.shape.num_key_value_heads": _("Key-value heads"),
    "training.model.shape.intermediate_size": _("Feed-forward size"),
    "training.model.shape.vocab_size": _("Vocabulary"),
    "training.model.config": _("config.json"),
    "training.adaptation": _("Way of training"),
    "training.adaptation.method": _("Way of training"),
    "training.adaptation.rank": _("Rank of the adapters"),
    "base_model": _("Base model"),
    "base_model.name": _("Name of the base model"),
    "base_model.developer": _("Developer"),
    "base_model.licence": _("Licence"),
    "base_model.is_foreign": _("Made abroad"),
    "data": _("Data"),
    "data.name": pgettext("thing", "Name"),
    "data.owner": _("Owner"),
    "data.licence": _("Licence"),
    "data.rights": _("Ground for its use"),
    "data.personal_data": _("Personal data"),
    "data.tokens": pgettext("data", "Tokens"),
    "data.is_on_internet": _("Public on the internet"),
    "safety": _("Safety plan"),
    "openness": _("What will be public"),
    "openness.weights": _("Weights"),
    "openness.code": _("Code"),
    "openness.data": pgettext("openness", "Data"),
    "openness.report": _("Technical report"),
    "openness.licence": _("Licence"),
    "openness.text": _("Explanation"),
    "milestones": _("Milestones"),
    "milestones.title": _("Title"),
    "milestones.due_month": _("Month"),
    "milestones.kpis": _("Targets"),
    "milestones.kpis.name": _("Target"),
    "milestones.kpis.unit": _("Unit"),
    "milestones.kpis.target": _("Target value"),
    "team": _("Team"),
    "team.name": _("Name"),
    "team.email": _("E-mail address"),
    "team.organisation_name": _("Organisation"),
    "team.role": _("Role"),
    "team.orcid": _("ORCID"),
    "team.may_edit": _("May edit the proposal"),
    "tiers": _("Sizes"),
    "tiers.gpus": _("GPUs"),
    "tiers.months": _("Months"),
    "tiers.gpu_hours": _("GPU-hours"),
    "tiers.pool_ids": _("Pools"),
    "tiers.start_months": _("Possible starts"),
    "tiers.text": _("What this size achieves"),
    "answers": _("The call's own questions"),
}
_LISTS = ("data", "milestones", "team", "tiers")
_LEAF = re.compile(r"\.(name|email|organisation_name|role|orcid|may_edit)$")


def field_at(path: str, read: ReadBody) -> str:
    """The form's field that a path means; a group of fields where it means several; empty where it means none."""
    first, _dot, rest = path.partition(".")
    if first in _LISTS and rest:
        entry, _dot, leaf = rest.partition(".")
        place = int(entry) if entry.isascii() and entry.isdigit() else _place_of(read.body.get(first), entry)
        if place is None:
            return first
        leaf = leaf.split(".")[0] if leaf.split(".")[0] in ("pool_ids", "start_months") else leaf
        if leaf in ("", "key"):
            leaf = {"tiers": "gpus", "milestones": "title", "team": "name", "data": "name"}[first]
        return f"{first}.{read.row_of(first, place)}.{leaf}"
    if first == "training":
        model = (read.body.get("training") or {}).get("model") if isinstance(read.body.get("training"), dict) else None
        has_config = isinstance(model, dict) and "config" in model
        if rest in ("", "model", "model.shape"):
            return "training.model.config" if has_config else "training.model.shape.hidden_size"
        if rest.startswith("model.config"):
            return "training.model.config"
        if rest.startswith("adaptation") and not rest.endswith("rank"):
            return "training.adaptation.method"
        return path
    if path == "base_model":
        return "base_model.name"
    return "" if first in ("organisation", "body") else path


def _place_of(entries: Any, key: str) -> int | None:
    if not isinstance(entries, list):
        return None
    return next((n for n, each in enumerate(entries) if isinstance(each, dict) and each.get("key") == key), None)


def name_of(path: str, questions: Sequence[Question] = ()) -> str:
    """What people call a path, such as `Team › 2 › Name`, in the language of the page."""
    with using_language(pages.current().language):
        return _name_of(path, questions)


def _name_of(path: str, questions: Sequence[Question]) -> str:
    path, is_order, _rest = path.partition(":order")
    first, _dot, rest = path.partition(".")
    if not rest:
        name = str(NAMES.get(first, first))
        return f"{name} › {_('Order')}" if is_order else name
    if first == "answers":
        asked = next((each for each in questions if each.key == rest), None)
        label = (asked.label_ja if pages.current().language == "ja" else asked.label_en) if asked else rest
        return f"{NAMES[first]} › {label}"
    if first in _LISTS:
        leaf = _LEAF.search(rest) if first == "team" else None
        entry, leaves = (rest[: leaf.start()], leaf[1]) if leaf else (rest, "") if first == "team" else _split(rest)
        shown = str(int(entry) + 1) if entry.isascii() and entry.isdigit() else _entry_name(first, entry)
        inner = NAMES.get(f"{first}.{leaves}", leaves)
        return " › ".join(str(part) for part in (NAMES[first], shown, inner) if str(part))
    known = NAMES.get(path)
    if known is not None:
        return f"{NAMES[first]} › {known}" if first in ("openness",) else str(known)
    if path.startswith("training.model.shape."):
        return f"{NAMES['training.model.shape']} › {path.rpartition('.')[2]}"
    return f"{NAMES.get(first, first)} › {rest}"


def _entry_name(first: str, key: str) -> str:
    """What people call an entry that programs call by a key of its own."""
    return str(labels.label(key, "milestone" if first == "milestones" else "tier"))


def leaf_name(path: str) -> str:
    """What people call the field that a path ends in, without what it is in; its own key where it has no name."""
    first, _dot, rest = path.partition(".")
    with using_language(pages.current().language):
        # As it stands, without the entry of a list, and without one whose key has dots, as addresses do.
        for tail in (rest, _split(rest)[1], rest.rpartition(".")[2]):
            if f"{first}.{tail}" in NAMES:
                return str(NAMES[f"{first}.{tail}"])
    return path.rpartition(".")[2]


def _split(rest: str) -> tuple[str, str]:
    entry, _dot, leaves = rest.partition(".")
    return entry, leaves
