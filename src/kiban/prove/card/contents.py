"""What a card says: the model of card.json. Every figure in it is a Fact; names and the maker's words are text."""

from __future__ import annotations

from pydantic import Field

from kiban.kit.config import StrictModel
from kiban.prove.card.facts import Fact


class Entry(StrictModel):
    """A fact under a name that comes from the artifacts themselves."""

    name: str
    fact: Fact


class Estimate(StrictModel):
    """A measured value with its 95 % confidence interval."""

    value: Fact
    low: Fact
    high: Fact


class Input(StrictModel):
    """One artifact the card was made from."""

    role: str
    kind: str
    name: str
    digest: str
    finished: Fact


class Glance(StrictModel):
    start: Fact
    parameters: Fact
    tokens: Fact
    characters: Fact
    wall_s: Fact
    energy_j: Fact


class Party(StrictModel):
    """Whose material is inside."""

    name: str
    owner: Fact
    licence: Fact
    uses: tuple[Fact, ...]


class SourceRow(StrictModel):
    party: Party
    fingerprint: Fact
    documents: Fact
    characters: Fact
    bytes: Fact
    dropped: Fact
    files_skipped: Fact


class Split(StrictModel):
    name: str  # train or heldout
    documents: Fact
    characters: Fact
    bytes: Fact


class MadeFrom(StrictModel):
    sources: tuple[SourceRow, ...]
    splits: tuple[Split, ...]
    dropped: tuple[Entry, ...]
    files: tuple[Entry, ...]
    skipped: tuple[Entry, ...]  # files that could not be read, by reason
    others: tuple[Party, ...]  # a base model's owner, and whoever else the inputs brought in
    has_base: bool


class How(StrictModel):
    shape: tuple[Entry, ...]
    tokenizer: tuple[Entry, ...]
    references: tuple[Entry, ...]  # characters per token of other tokenizers on the same text
    training: tuple[Entry, ...]
    conventions: tuple[Entry, ...]  # how figures of training are counted
    code: tuple[Entry, ...]
    environment: tuple[Entry, ...]
    loss_curve: str | None  # path below the model artifact


class CostRow(StrictModel):
    stage: str
    wall_s: Fact
    cpu_s: Fact
    gpu_s: Fact
    peak_memory_bytes: Fact
    energy_j: Fact
    energy_source: Fact
    energy_method: Fact
    attempts: Fact


class Cost(StrictModel):
    stages: tuple[CostRow, ...]
    wall_s: Fact
    cpu_s: Fact
    gpu_s: Fact
    peak_memory_bytes: Fact
    energy_j: Fact
    attempts: Fact
    price_yen: Fact


class BitsPerByte(StrictModel):
    """`key` is model, unigram or base; `difference` is the model's value less this one's, paired by document."""

    key: str
    bits: Estimate
    difference: Estimate | None


class TaskRow(StrictModel):
    """`key` is model, per_byte (the model, choosing by likelihood per byte) or base.

    `p` is of the paired test between the two models.
    """

    name: str
    key: str
    items: Fact
    accuracy: Estimate
    chance: Fact
    errors: Fact
    p: Fact | None


class Sample(StrictModel):
    prompt: Fact
    text: Fact
    settings: tuple[Entry, ...]


class Scores(StrictModel):
    documents: Fact
    bytes: Fact
    bits_per_byte: tuple[BitsPerByte, ...]
    tasks: tuple[TaskRow, ...]
    samples: tuple[Sample, ...]


class Limit(StrictModel):
    """A limit that follows from the evidence: a message and the facts it states."""

    key: str
    facts: dict[str, Fact] = Field(default_factory=dict)
    names: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()


class Maker(StrictModel):
    """The maker's own words, from the recipe's `card` section."""

    intended_use: str | None
    out_of_scope: str | None
    limits: tuple[str, ...]
    contact: str | None


class Gap(StrictModel):
    """Evidence that is missing: where in this card, and why."""

    where: str
    missing: str
    reason: str | None


class Card(StrictModel):
    schema_version: int = 1
    name: str
    title: str
    glance: Glance
    made_from: MadeFrom
    how: How
    cost: Cost
    scores: Scores
    maker: Maker
    limits: tuple[Limit, ...]
    inputs: tuple[Input, ...]
    gaps: tuple[Gap, ...]
