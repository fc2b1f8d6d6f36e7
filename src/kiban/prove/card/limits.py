"""Limits that follow from the evidence alone, whatever the maker says."""

from __future__ import annotations

from collections.abc import Iterator

from kiban.prove.card.contents import Cost, Glance, How, Limit, MadeFrom, Scores
from kiban.prove.card.facts import Fact, Facts, ratio

# Compute-optimal training of a decoder from scratch: about 20 tokens per parameter (Hoffmann et al., 2022).
COMPUTE_OPTIMAL_TOKENS_PER_PARAMETER = 20
# Up to 4 epochs of repeated data are worth nearly as much as new data (Muennighoff et al., 2023).
WORTHWHILE_EPOCHS = 4
# A percentile bootstrap over few documents is too narrow (Efron & Tibshirani, 1993, chapter 14); 50 is our choice.
FEW_DOCUMENTS = 50


def limits(
    facts: Facts, glance: Glance, made_from: MadeFrom, how: How, cost: Cost, scores: Scores
) -> tuple[Limit, ...]:
    return (
        *_training_limits(glance, how),
        *_score_limits(scores),
        *_data_limits(facts, made_from),
        Limit(key="no_safety_evaluation"),
        *_record_limits(how, cost),
    )


def _training_limits(glance: Glance, how: How) -> Iterator[Limit]:
    per_parameter = ratio(glance.tokens, glance.parameters, "tokens/parameter")
    given = per_parameter.number
    if glance.start.value != "base" and given is not None and given < COMPUTE_OPTIMAL_TOKENS_PER_PARAMETER:
        yield Limit(key="few_tokens", facts={"ratio": per_parameter})
    epochs = _entry(how, "epochs")
    if epochs is not None and (epochs.number or 0) > WORTHWHILE_EPOCHS:
        yield Limit(key="many_epochs", facts={"epochs": epochs})


def _score_limits(scores: Scores) -> Iterator[Limit]:
    if scores.documents.number is not None and scores.documents.number < FEW_DOCUMENTS:
        yield Limit(key="few_documents", facts={"documents": scores.documents})
    yield Limit(key="same_sources")
    for row in scores.bits_per_byte:
        high = row.difference.high.number if row.difference else None
        if high is not None and high >= 0:
            yield Limit(key=f"not_better_than_{row.key}")
    for task in scores.tasks:
        if task.key == "model" and task.errors.number:
            yield Limit(key="task_errors", facts={"errors": task.errors}, names=(task.name,))
        low, chance = task.accuracy.low.number, task.chance.number
        if task.key == "model" and low is not None and chance is not None and low <= chance:
            yield Limit(key="task_at_chance", facts={"chance": task.chance}, names=(task.name,))


def _data_limits(facts: Facts, made_from: MadeFrom) -> Iterator[Limit]:
    if facts.tree("corpus", "config", "filters", "personal_data") is None:
        yield Limit(key="personal_data")
    parties = [*(row.party for row in made_from.sources), *made_from.others]
    licences = list(dict.fromkeys(str(party.licence.value) for party in parties if party.licence))
    if len(licences) > 1:
        yield Limit(key="licences", names=tuple(licences))
    uncleared = [row.party.name for row in made_from.sources if "evaluate" not in [use.value for use in row.party.uses]]
    if uncleared:
        yield Limit(key="not_cleared_to_evaluate", names=tuple(uncleared))


def _record_limits(how: How, cost: Cost) -> Iterator[Limit]:
    estimated = [row.stage for row in cost.stages if row.energy_source.value == "estimated"]
    if estimated:
        yield Limit(key="energy_estimated", stages=tuple(estimated))
    unknown = [row.stage for row in cost.stages if not row.energy_j]
    if unknown:
        yield Limit(key="energy_unknown", stages=tuple(unknown))
    commit, dirty = _entry(how, "git_commit"), _entry(how, "git_dirty")
    if not commit:
        yield Limit(key="no_commit")
    elif dirty and dirty.value is True:
        yield Limit(key="dirty")


def _entry(how: How, name: str) -> Fact | None:
    entries = (*how.training, *how.code)
    return next((entry.fact for entry in entries if entry.name == name), None)
