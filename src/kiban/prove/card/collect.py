"""Reads a card's facts from the artifacts it is made from. The one place that knows where each figure lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from kiban.kit.store import Artifact
from kiban.make.recipe import CardConfig
from kiban.prove.card.contents import (
    BitsPerByte,
    Card,
    Cost,
    CostRow,
    Entry,
    Estimate,
    Gap,
    Glance,
    How,
    Input,
    MadeFrom,
    Maker,
    Party,
    Sample,
    Scores,
    SourceRow,
    Split,
    TaskRow,
)
from kiban.prove.card.facts import Fact, Facts, total
from kiban.prove.card.limits import limits

EVALUATION = "evaluation.json"
SPLITS = ("train", "heldout")
STAGES = ("corpus", "base", "tokenizer", "model", "evaluation")
SHAPE = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "max_position_embeddings",
)
TOKENIZER = ("algorithm", "vocab_size", "characters_per_token", "bytes_per_token")
TRAINED = (
    ("tokens_trained", "tokens"),
    ("corpus_tokens", "tokens"),
    ("epochs", None),
    ("steps", None),
    ("tokens_per_step", "tokens"),
    ("first_loss", "nats"),
    ("final_loss", "nats"),
    ("training_s", "s"),
    ("tokens_per_s", None),
    ("flops_total", "flops"),
    ("mfu", "fraction"),
    ("peak_flops_per_s", "flops"),
    ("precision", None),
    ("device", None),
    ("threads", None),
    ("resumed", None),
)
# How two of them are counted, in the stage's words.
CONVENTIONS = ("mfu_convention", "peak_source")
SCHEDULE = (
    ("learning_rate", None),
    ("warmup_fraction", "fraction"),
    ("decay_fraction", "fraction"),
    ("seq_len_tokens", None),
    ("micro_batch_sequences", None),
    ("gradient_accumulation_steps", None),
    ("weight_decay", None),
    ("beta1", None),
    ("beta2", None),
    ("clip_norm", None),
    ("compile", None),
)


def collect(artifacts: Mapping[str, Artifact], name: str, config: CardConfig) -> Card:
    """Everything a card says, from the artifacts of its recipe by role."""
    facts = Facts(artifacts)
    made_from, how, cost, scores = _made_from(facts), _how(facts), _cost(facts), _scores(facts)
    glance = _glance(facts, cost)
    card = Card(
        name=name,
        title=config.title or name,
        glance=glance,
        made_from=made_from,
        how=how,
        cost=cost,
        scores=scores,
        maker=Maker(
            intended_use=config.intended_use,
            out_of_scope=config.out_of_scope,
            limits=config.limits,
            contact=config.contact,
        ),
        limits=limits(facts, glance, made_from, how, cost, scores),
        inputs=tuple(
            Input(
                role=role,
                kind=artifacts[role].kind,
                name=artifacts[role].manifest.name,
                digest=artifacts[role].digest,
                finished=facts.read(role, "finished", unit="time"),
            )
            for role in STAGES
            if role in artifacts
        ),
        gaps=(),
    )
    return card.model_copy(update={"gaps": tuple(_gaps(card))})


def _glance(facts: Facts, cost: Cost) -> Glance:
    return Glance(
        start=facts.read("model", "stats", "start"),
        parameters=facts.read("model", "stats", "parameters", "total", unit="parameters"),
        tokens=facts.read("model", "stats", "tokens_trained", unit="tokens"),
        characters=facts.read("corpus", "stats", "train", "characters", unit="characters"),
        wall_s=cost.wall_s,
        energy_j=cost.energy_j,
    )


# -- made from ----------------------------------------------------------------------------------------------------


def _made_from(facts: Facts) -> MadeFrom:
    names = [source["name"] for source in facts.tree("corpus", "config", "sources") or []]
    own = _parties(facts, "corpus")
    everyone = _parties(facts, "model")
    return MadeFrom(
        sources=tuple(
            SourceRow(
                party=own.get(name) or _unknown_party(name),
                fingerprint=facts.read("corpus", "inputs", f"source:{name}", "digest"),
                documents=_kept(facts, name, "documents"),
                characters=_kept(facts, name, "characters"),
                bytes=_kept(facts, name, "bytes"),
                dropped=_dropped(facts, name),
                files_skipped=facts.read("corpus", "stats", "sources", name, "files", "skipped", unit="files"),
            )
            for name in names
        ),
        splits=tuple(
            Split(
                name=split,
                documents=facts.read("corpus", "stats", split, "documents", unit="documents"),
                characters=facts.read("corpus", "stats", split, "characters", unit="characters"),
                bytes=facts.read("corpus", "stats", split, "bytes", unit="bytes"),
            )
            for split in SPLITS
        ),
        dropped=_entries(facts.children("corpus", "stats", "dropped", unit="documents")),
        files=_entries(
            {f"files_{key}": fact for key, fact in facts.children("corpus", "stats", "files", unit="files").items()}
        ),
        skipped=_entries(_skipped(facts, names)),
        others=tuple(party for name, party in everyone.items() if name not in names),
        has_base="base" in facts.artifacts,
    )


def _kept(facts: Facts, source: str, what: str) -> Fact:
    """Of one source, training and held-out text together."""
    return total([facts.read("corpus", "stats", "sources", source, split, what, unit=what) for split in SPLITS])


def _dropped(facts: Facts, source: str) -> Fact:
    keys = (("documents_read",), *((split, "documents") for split in SPLITS))
    found = [facts.read("corpus", "stats", "sources", source, *each, unit="documents") for each in keys]
    return total(found, operation="difference")


def _skipped(facts: Facts, names: Sequence[str]) -> dict[str, Fact]:
    """Files that could not be read by reason, over all sources."""
    by_reason: dict[str, list[Fact]] = {}
    for name in names:
        found = facts.children("corpus", "sources", name, "files_skipped_by_reason", unit="files", file="report.json")
        for reason, fact in found.items():
            by_reason.setdefault(reason, []).append(fact)
    return {reason: total(found) for reason, found in by_reason.items()}


def _parties(facts: Facts, role: str) -> dict[str, Party]:
    found = {}
    for index, party in enumerate(facts.tree(role, "parties") or []):
        found[party["source"]] = Party(
            name=party["source"],
            owner=facts.read(role, "parties", index, "owner"),
            licence=facts.read(role, "parties", index, "licence"),
            uses=tuple(facts.read(role, "parties", index, "uses", use) for use in range(len(party["uses"]))),
        )
    return found


def _unknown_party(name: str) -> Party:
    missing = Fact(value=None, missing="not_recorded")
    return Party(name=name, owner=missing, licence=missing, uses=())


def _entries(found: Mapping[str, Fact]) -> tuple[Entry, ...]:
    return tuple(Entry(name=name, fact=fact) for name, fact in found.items())


# -- how ----------------------------------------------------------------------------------------------------------


def _how(facts: Facts) -> How:
    model = {key: facts.read("model", "stats", key, unit=unit) for key, unit in TRAINED}
    schedule = {key: facts.read("model", "config", key, unit=unit) for key, unit in SCHEDULE}
    code = {key: facts.read("model", "code", key) for key in ("version", "git_commit", "git_dirty")}
    environment = facts.children("model", "environment")
    packages = facts.children("model", "environment", "packages")
    parameters = facts.children("model", "stats", "parameters", unit="parameters")
    shape = {key: facts.read("model", "stats", "shape", key) for key in SHAPE}
    tied = facts.read("model", "tie_word_embeddings", file="config.json")
    manifest = facts.artifacts["model"].manifest if "model" in facts.artifacts else None
    return How(
        shape=_entries(
            {"architecture": facts.read("model", "stats", "architecture")}
            | {f"parameters_{key}": fact for key, fact in parameters.items()}
            | shape
            | {"tie_word_embeddings": tied}
        ),
        tokenizer=_entries({key: facts.read("tokenizer", "stats", key) for key in TOKENIZER}),
        references=_entries(
            {
                name: facts.read("tokenizer", "stats", "reference", name, "characters_per_token")
                for name in facts.tree("tokenizer", "stats", "reference") or {}
            }
        ),
        training=_entries(model | schedule | {"seed": facts.read("model", "seed")}),
        conventions=_entries({key: facts.read("model", "stats", key) for key in CONVENTIONS}),
        code=_entries(code),
        environment=_entries(environment | packages),
        loss_curve=next((entry.path for entry in manifest.files if entry.path == "loss.svg"), None)
        if manifest
        else None,
    )


# -- cost ---------------------------------------------------------------------------------------------------------


def _cost(facts: Facts) -> Cost:
    units = {
        "wall_s": "s",
        "cpu_s": "s",
        "gpu_s": "s",
        "peak_memory_bytes": "bytes",
        "energy_j": "J",
        "energy_source": None,
        "energy_method": None,
        "attempts": None,
    }
    rows = tuple(
        CostRow(stage=stage, **{key: facts.read(stage, "resources", key, unit=unit) for key, unit in units.items()})
        for stage in STAGES
        if stage in facts.artifacts
    )
    return Cost(
        stages=rows,
        wall_s=total([row.wall_s for row in rows]),
        cpu_s=total([row.cpu_s for row in rows]),
        gpu_s=total([row.gpu_s for row in rows]),
        peak_memory_bytes=total([row.peak_memory_bytes for row in rows], operation="max"),
        energy_j=total([row.energy_j for row in rows]),
        attempts=total([row.attempts for row in rows]),
        price_yen=Fact(value=None, unit="yen", missing="not_priced"),
    )


# -- scores -------------------------------------------------------------------------------------------------------


def _scores(facts: Facts) -> Scores:
    return Scores(
        documents=facts.read("evaluation", "bits_per_byte", "n_documents", unit="documents", file=EVALUATION),
        bytes=facts.read("evaluation", "bits_per_byte", "bytes", unit="bytes", file=EVALUATION),
        bits_per_byte=tuple(_bits(facts)),
        tasks=tuple(_tasks(facts)),
        samples=tuple(_samples(facts)),
    )


def _estimate(facts: Facts, *keys: str | int, value: str, unit: str) -> Estimate:
    return Estimate(
        value=facts.read("evaluation", *keys, value, unit=unit, file=EVALUATION),
        low=facts.read("evaluation", *keys, "ci95", 0, unit=unit, file=EVALUATION),
        high=facts.read("evaluation", *keys, "ci95", 1, unit=unit, file=EVALUATION),
    )


def _bits(facts: Facts) -> Iterator[BitsPerByte]:
    ours = _estimate(facts, "bits_per_byte", value="value", unit="bits/byte")
    yield BitsPerByte(key="model", bits=ours, difference=None)
    for key in ("base", "unigram"):
        if key == "base" and "base" not in facts.artifacts:
            continue
        path = ("bits_per_byte", "baselines", key)
        yield BitsPerByte(
            key=key,
            bits=_estimate(facts, *path, value="value", unit="bits/byte"),
            difference=_estimate(facts, *path, "difference", value="value", unit="bits/byte difference"),
        )


def _tasks(facts: Facts) -> Iterator[TaskRow]:
    for index, task in enumerate(facts.tree("evaluation", "tasks", file=EVALUATION) or []):
        place: tuple[str | int, ...] = ("tasks", index)
        chance = facts.read("evaluation", *place, "chance", unit="fraction", file=EVALUATION)
        errors = facts.read("evaluation", *place, "errors", unit="items", file=EVALUATION)
        rows = [("model", place), ("per_byte", (*place, "per_byte"))]
        if "base" in facts.artifacts:
            rows.append(("base", (*place, "base")))
        for key, path in rows:
            # The two ways to choose have the same items; the base model's are those that both models could do.
            items = path if key == "base" else place
            yield TaskRow(
                name=task["name"],
                key=key,
                items=facts.read("evaluation", *items, "n", unit="items", file=EVALUATION),
                accuracy=_estimate(facts, *path, value="accuracy", unit="fraction"),
                chance=chance,
                errors=errors,
                p=facts.read("evaluation", *path, "p", unit="p", file=EVALUATION) if key == "base" else None,
            )


def _samples(facts: Facts) -> Iterator[Sample]:
    settings = ("max_new_tokens", "temperature", "top_p")
    for index in range(len(facts.tree("evaluation", "samples", file=EVALUATION) or [])):
        yield Sample(
            prompt=facts.read("evaluation", "samples", index, "prompt", file=EVALUATION),
            text=facts.read("evaluation", "samples", index, "text", file=EVALUATION),
            settings=_entries(
                {key: facts.read("evaluation", "config", "samples", key) for key in settings}
                | {"seed": facts.read("evaluation", "samples", index, "seed", file=EVALUATION)}
            ),
        )


# -- gaps ---------------------------------------------------------------------------------------------------------


def _gaps(card: Card) -> Iterator[Gap]:
    """Every missing fact of the card, by its place in card.json."""
    for where, fact in facts_in(card):
        if fact.missing:
            yield Gap(where=where.removesuffix(".fact"), missing=fact.missing, reason=fact.reason)


def facts_in(part: Any, where: str = "") -> Iterator[tuple[str, Fact]]:
    """Every fact below `part` with its dotted place; an item of a list goes by its name where it has one."""
    if isinstance(part, Fact):
        yield where, part
    elif isinstance(part, Estimate) and part.value.missing:
        yield f"{where}.value", part.value  # nothing has no interval either, which needs no lines of its own
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from facts_in(getattr(part, name), f"{where}.{name}" if where else name)
    elif isinstance(part, Mapping):
        for name, value in part.items():
            yield from facts_in(value, f"{where}.{name}")
    elif isinstance(part, tuple):
        for index, item in enumerate(part):
            yield from facts_in(item, f"{where}.{_label(item) or index}")


def _label(item: Any) -> str | None:
    for attribute in ("name", "stage", "key", "role"):
        if isinstance(found := getattr(item, attribute, None), str):
            return found
    party = getattr(item, "party", None)
    return party.name if party else None
