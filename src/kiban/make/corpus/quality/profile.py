"""A profile judges texts: keep, drop or rephrase, each time with the rule, the value and the limit that decided.

Rules are asked in order, and the first that a text fails decides. What a rule needs is measured only for the texts
that are still undecided, so that rules are put in order of what they cost.
"""

from __future__ import annotations

import difflib
import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from kiban.kit.errors import BadInput
from kiban.make.corpus.letters import Letters, letters
from kiban.make.corpus.quality.config import QualityConfig
from kiban.make.corpus.quality.rules import COMPARE, Batch, Definition, Group, Indices, Rule, Values

MODULES = {
    "swallow-v1": "swallow_v1",
    "llm-jp": "llm_jp",
    "fineweb2-ja": "fineweb2_ja",
    "hojichar": "hojichar",
    "kiban": "kiban",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a text, and why.

    Attributes:
        rule: the first rule that it fails; "" where it is kept, and then value and limit are 0.
        value: the rule's statistic of the text.
    """

    decision: Literal["keep", "drop", "rephrase"]
    rule: str
    value: float
    limit: float


KEEP = Verdict("keep", "", 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Check:
    """One rule asked of one text, by itself.

    Attributes:
        value: None where the statistic says nothing about the text.
        decision: what becomes of a text that fails it.
    """

    rule: str
    statistic: str
    value: float | None
    comparison: str
    limit: float
    decision: Literal["drop", "rephrase"]
    failed: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that a profile sees in a text.

    Attributes:
        statistics: everything measured, by name; None where it says nothing about the text.
    """

    verdict: Verdict
    checks: tuple[Check, ...]
    statistics: dict[str, float | None]


class Profile:
    """Rules with what they ask for; loaded once per process."""

    def __init__(self, name: str, rules: Sequence[Rule], definition: Definition) -> None:
        self.name, self.rules = name, tuple(rules)
        self._edit = definition.edit
        self._group_of: dict[str, Group] = {name: each for each in definition.groups for name in each.names}

    def edit(self, text: str) -> str:
        """The profile's own changes to a text that it keeps, made after it was judged; most have none."""
        return self._edit(text) if self._edit else text

    def judge(self, texts: Sequence[str], letters: Letters) -> list[Verdict]:
        """A verdict for each text; `letters` are the texts' own."""
        batch = Batch(texts, letters)
        verdicts = [KEEP] * len(texts)
        columns: dict[str, Values] = {}
        undecided = np.arange(len(texts))
        for rule in self.rules:
            if not len(undecided):
                break
            if rule.statistic not in columns:
                self._measure(batch, undecided, self._group_of[rule.statistic], columns)
            values = columns[rule.statistic][undecided]
            failed = COMPARE[rule.comparison](values, rule.limit)
            for i, value in zip(undecided[failed].tolist(), values[failed].tolist(), strict=True):
                verdicts[i] = Verdict(rule.decision, rule.name, value, rule.limit)
            undecided = undecided[~failed]
        return verdicts

    def explain(self, text: str) -> Explanation:
        """All statistics of one text, and each rule by itself."""
        batch = Batch([text], letters([text]))
        columns: dict[str, Values] = {}
        for group in dict.fromkeys(self._group_of[rule.statistic] for rule in self.rules):
            self._measure(batch, np.arange(1), group, columns)
        statistics = {name: _finite(column[0]) for name, column in columns.items()}
        checks = tuple(
            Check(
                rule.name,
                rule.statistic,
                statistics[rule.statistic],
                rule.comparison,
                rule.limit,
                rule.decision,
                bool(COMPARE[rule.comparison](columns[rule.statistic], rule.limit)[0]),
            )
            for rule in self.rules
        )
        return Explanation(self.judge(batch.texts, batch.letters)[0], checks, statistics)

    @staticmethod
    def _measure(batch: Batch, chosen: Indices, group: Group, columns: dict[str, Values]) -> None:
        found = group.measure(batch, chosen)
        for name, values in zip(group.names, found.T, strict=True):
            columns[name] = np.full(len(batch.texts), np.nan)
            columns[name][chosen] = values


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def load_profile(config: QualityConfig, base_folder: Path) -> Profile:
    """The profile that `config` names, with its limits; relative paths start from `base_folder`.

    Raises:
        BadInput: a limit is given for a rule that the profile does not have, or something that its rules need (a
            package, a word list) is missing.
    """
    if config.profile == "none":
        if config.limits:
            raise BadInput("profile none has no rules, and so no limits", where="quality.limits")
        return Profile("none", (), Definition(()))
    module = importlib.import_module(f"kiban.make.corpus.quality.profiles.{MODULES[config.profile]}")
    known: dict[str, Rule] = {rule.name: rule for rule in module.RULES}
    for name in config.limits:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1, cutoff=0.0)[0]
            raise BadInput(
                f"profile {config.profile} has no rule {name!r}",
                where=f"quality.limits.{name}",
                hint=f"did you mean {nearest!r}? Rules: {', '.join(known)}",
            )
    limits = {name: rule.limit for name, rule in known.items()} | config.limits
    rules = [replace(rule, limit=limit) for name, rule in known.items() if (limit := limits[name]) is not None]
    word_lists = base_folder / config.word_lists if config.word_lists is not None else None
    if word_lists is not None and not word_lists.is_dir():
        raise BadInput("there is no such folder of word lists", where=str(word_lists))
    definition = module.define({rule.statistic for rule in rules}, word_lists)
    return Profile(config.profile, rules, definition)


def compile_loops() -> None:
    """Compile the loops of all profiles, where that was not done on this machine. It needs no package or word list."""
    lists = dict.fromkeys(("advertisement", "adult", "discrimination", "violence", "adult_english"))
    packages = dict.fromkeys(("special_tokens", "nouns", "word_repetition"))
    for config in (
        QualityConfig(profile="kiban"),
        QualityConfig(profile="hojichar", limits=lists | packages),
        QualityConfig(profile="swallow-v1", limits={"ng_words": None}),
    ):
        load_profile(config, Path()).explain("あ")


def explain(profile: Profile, text: str) -> Explanation:
    """All statistics of one text under a profile, and each rule's value, limit and whether it fails."""
    return profile.explain(text)
