"""Distributed peer review in which the scores one gives never help oneself.

Proposals are parted into groups; a person scores proposals of other groups only, and each group is ranked and funded
by itself (the partition mechanism: Alon, Fischer, Procaccia & Tennenholtz, "Sum of us", 2011). How large a share of
the budget a group gets is said by the other groups: each proposal's author hands out one unit among the groups they
are not in, by the scores they gave there (Dollar Partition: Aziz, Lev, Mattei, Rosenschein & Walsh, "Strategyproof
peer selection using randomization, partitioning, and apportionment", 2019). A sum of money can be shared as it falls,
so the rounding to whole winners, which takes randomness there, is not needed here.

So neither a group's scores nor its share depends on anything its members write: no score of theirs changes whether
their proposal is chosen, nor with what merit. What makes two proposals one interest (the same organisation, author or
team member) keeps them in one group.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

MOST_REVIEWS_EACH = 5
FEWEST, MOST = 2, 4  # groups
GROUP_SIZE = 5  # proposals that a group should have at least

# Shown wherever the flag is.
LATE_POLICY_EN = (
    "Reviews are part of taking part. Where an applicant owes reviews past their date, the proposal carries a flag "
    "that panel and applicant see. No score is lowered for it: what follows, the panel decides with a written reason."
)
LATE_POLICY_JA = (
    "相互審査では、申請者は割り当てられた審査を期限までに行うことが求められます。期限を過ぎた審査が残っている場合、"
    "その旨を申請に表示し、審査会と申請者の双方が確認できるようにします。これを理由に評点が下げられることはなく、"
    "取扱いは審査会が理由を付して決定します。"
)


@dataclass(frozen=True)
class PeerGroup:
    """Proposals that are ranked and funded among themselves. `share`: of what the track may award, 0 to 1."""

    track: str
    number: int
    proposal_ids: tuple[uuid.UUID, ...]
    share: float


def interests(proposals: Mapping[uuid.UUID, Iterable[Hashable]]) -> list[frozenset[uuid.UUID]]:
    """Proposals that belong together: linked by anything they have in common, over any number of steps.

    Args:
        proposals: for each, its organisation, author and team members, in any form that compares equal.
    """
    root = {proposal_id: proposal_id for proposal_id in proposals}

    def find(proposal_id: uuid.UUID) -> uuid.UUID:
        while root[proposal_id] != proposal_id:
            root[proposal_id] = root[root[proposal_id]]
            proposal_id = root[proposal_id]
        return proposal_id

    first: dict[Hashable, uuid.UUID] = {}
    for proposal_id, parties in proposals.items():
        for party in parties:
            root[find(proposal_id)] = find(first.setdefault(party, proposal_id))
    together: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    for proposal_id in proposals:
        together[find(proposal_id)].add(proposal_id)
    return [frozenset(members) for members in together.values()]


def place(
    together: Collection[frozenset[uuid.UUID]], placed: Mapping[uuid.UUID, int], *, seed: str
) -> dict[uuid.UUID, int]:
    """A group for each proposal that has none; empty where all are one interest and no others could judge them.

    Args:
        placed: groups given before, which stay.
        seed: of the order in which interests are dealt out, so that it can be done again.
    """
    total = sum(map(len, together))
    groups = max(placed.values(), default=0) or min(max(FEWEST, total // GROUP_SIZE), MOST, len(together))
    if groups < FEWEST:
        return {}
    size = dict.fromkeys(range(1, groups + 1), 0)
    for number in placed.values():
        size[number] += 1
    order = sorted(together, key=lambda members: sorted(map(str, members)))
    random.Random(seed).shuffle(order)
    result: dict[uuid.UUID, int] = {}
    for members in sorted(order, key=len, reverse=True):
        new = sorted(members - placed.keys(), key=str)
        before = sorted({placed[member] for member in members & placed.keys()})
        number = before[0] if before else min(size, key=lambda group: (size[group], group))
        size[number] += len(new)
        result |= dict.fromkeys(new, number)
    return result


def own_groups(
    together: Collection[frozenset[uuid.UUID]], group_of: Mapping[uuid.UUID, int]
) -> dict[uuid.UUID, frozenset[int]]:
    """For each proposal, the groups in which its interest has a part.

    It is one, unless two proposals were found to belong together only after they had been placed.
    """
    result: dict[uuid.UUID, frozenset[int]] = {}
    for members in together:
        groups = frozenset(group_of[member] for member in members if member in group_of)
        result |= dict.fromkeys(members, groups)
    return result


def shares(
    own: Mapping[uuid.UUID, frozenset[int]],
    group_of: Mapping[uuid.UUID, int],
    given: Mapping[uuid.UUID, Sequence[tuple[uuid.UUID, float]]],
) -> dict[int, float]:
    """Each group's share of the budget.

    A proposal's author divides one unit among the groups that are not theirs, each in proportion to its size times
    the mean of the scores they gave in it. Groups in which they scored nothing count with the mean of all they gave,
    and whoever gave nothing, only nought, or has a part in several groups divides by size: a late review moves nothing.

    Args:
        own: from `own_groups`.
        given: for each author's proposal, (proposal scored, score from 0 to 1).
    """
    size: dict[int, int] = defaultdict(int)
    for number in group_of.values():
        size[number] += 1
    received = dict.fromkeys(sorted(size), 0.0)
    for proposal_id in sorted(group_of, key=str):
        mine = own[proposal_id]
        others = [number for number in received if number not in mine]
        if not others:
            return {number: size[number] / len(group_of) for number in received}
        weight = {number: float(size[number]) for number in others}
        scores = [
            (group_of[scored], value)
            for scored, value in given.get(proposal_id, ())
            if group_of.get(scored, 0) in weight
        ]
        overall = sum(value for _, value in scores) / len(scores) if scores else 0.0
        if overall > 0 and len(mine) == 1:
            for number in others:
                there = [value for group, value in scores if group == number]
                weight[number] *= sum(there) / len(there) if there else overall
        total = sum(weight.values())
        for number in others:
            received[number] += weight[number] / total
    return {number: units / len(group_of) for number, units in received.items()}
