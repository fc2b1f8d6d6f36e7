"""What is found, and which finding wins where two overlap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kiban.make.corpus.privacy.config import Kind

# Where findings overlap the one whose kind comes first stays: what holds others inside, then what has check digits or
# a form of its own, then what is known by its neighbours.
ORDER: tuple[Kind, ...] = (
    "secret",
    "email",
    "ip_address",
    "corporate_number",
    "card",
    "my_number",
    "driving_licence",
    "residence_card",
    "passport",
    "phone",
    "bank_account",
    "birth_date",
    "address",
    "postal_code",
    "person_name",
)
RANK = {kind: rank for rank, kind in enumerate(ORDER)}


@dataclass(frozen=True, slots=True)
class Finding:
    """`text[start:end]` is of `kind`.

    Attributes:
        rule: which rule said so, for reports: "label", "check digit", "prefix", …
        special_care: categories of special-care data near it, in alphabetical order; only of persons.
    """

    start: int
    end: int
    kind: Kind
    rule: str
    special_care: tuple[str, ...] = ()


def disjoint(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in order of place, without those that overlap one of a kind before theirs, or a longer one."""
    ranked = sorted(findings, key=lambda one: (one.start, one.start - one.end, RANK[one.kind], one.rule))
    kept: list[Finding] = []
    for one in ranked:
        # What is kept is disjoint and in order, so that only its end can overlap what comes next.
        if kept and one.start < kept[-1].end:
            if RANK[one.kind] >= RANK[kept[-1].kind]:
                continue
            while kept and one.start < kept[-1].end and RANK[one.kind] < RANK[kept[-1].kind]:
                kept.pop()
            if kept and one.start < kept[-1].end:
                continue
        kept.append(one)
    return kept
