"""What the ledger says of several grants at once: two queries for a whole list of them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kiban.office.grants import figures_repository, repository
from kiban.office.grants.figures import in_present_pool
from kiban.office.grants.figures_repository import Moved
from kiban.office.grants.models import Grant
from kiban.office.grants.service import Standing
from kiban.office.ledger.accounts import AWARDING, GRANTS_OWN, JOULES, YEN, gpu_seconds, pool_of
from kiban.office.ledger.models import AccountKind, CauseKind
from kiban.office.ledger.movements import Amounts
from kiban.office.supply.models import Pool
from kiban.office.work import Work


@dataclass(frozen=True)
class Books:
    """All that went through a grant's accounts, and the pools in whose GPU-seconds it did."""

    grant: Grant
    moves: tuple[Moved, ...]
    pools: Mapping[uuid.UUID, Pool]

    @property
    def pool(self) -> Pool:
        """The grant's present one."""
        return self.pools[self.grant.pool_id]

    @property
    def prices(self) -> dict[uuid.UUID, int]:
        """Yen per GPU-hour."""
        return {pool.id: pool.price_yen_per_gpu_hour for pool in self.pools.values()}

    @cached_property
    def _held(self) -> dict[tuple[AccountKind, str], int]:
        held: dict[tuple[AccountKind, str], int] = defaultdict(int)
        for move in self.moves:
            held[move.kind, move.unit] += move.amount
        return held

    @cached_property
    def standing(self) -> Standing:
        """As `service.standing`."""
        sides = (AccountKind.COMMITTED, AccountKind.AVAILABLE, AccountKind.USED, AccountKind.OVERRUN)
        committed, available, used, overrun = map(self._amounts, sides)
        return Standing(committed, available, used, overrun, self._held.get((AccountKind.USED, JOULES), 0))

    @cached_property
    def whole(self) -> Amounts:
        """As `figures.whole`."""
        given = self._sums(lambda move: move.kind in GRANTS_OWN and move.cause in AWARDING)
        return self._in_present_pool(given)

    @cached_property
    def expired(self) -> Amounts:
        """What was not used in time, its closing's rest included."""
        lost = self._sums(lambda move: move.cause is CauseKind.EXPIRY)
        return self._in_present_pool({unit: -amount for unit, amount in lost.items()})

    @cached_property
    def used(self) -> Amounts:
        """By jobs in all the grant's pools, less what was refunded."""
        used = self._sums(lambda move: move.kind is AccountKind.USED)
        return self._in_present_pool(used)

    @property
    def released(self) -> Amounts:
        """What became available and did not expire, used or not."""
        left, over = self.standing.available, self.standing.overrun
        return Amounts(
            self.used.yen + left.yen + over.yen,
            self.grant.pool_id,
            self.used.gpu_seconds + left.gpu_seconds + over.gpu_seconds,
        )

    @property
    def used_by_pool(self) -> list[tuple[Pool, int]]:
        """GPU-seconds used in each pool, as they are there."""
        found = []
        for (kind, unit), amount in self._held.items():
            pool_id = pool_of(unit)
            if kind is AccountKind.USED and pool_id is not None and amount:
                found.append((self.pools[pool_id], amount))
        return sorted(found, key=lambda each: each[0].name)

    def _amounts(self, kind: AccountKind) -> Amounts:
        pool_id = self.grant.pool_id
        return Amounts(self._held.get((kind, YEN), 0), pool_id, self._held.get((kind, gpu_seconds(pool_id)), 0))

    def _sums(self, counts: Callable[[Moved], bool]) -> dict[str, int]:
        sums: dict[str, int] = defaultdict(int)
        for move in self.moves:
            if counts(move):
                sums[move.unit] += move.amount
        return sums

    def _in_present_pool(self, by_unit: dict[str, int]) -> Amounts:
        total = in_present_pool(self.grant, by_unit, self.prices)
        return Amounts(by_unit.get(YEN, 0), self.grant.pool_id, total)


def books_of(work: Work, grants: Sequence[Grant], *, by_day: bool = False) -> dict[uuid.UUID, Books]:
    """The books of grants that the caller has seen, by their ids: two queries.

    Args:
        by_day: whether each move says on which day in Japan it was.
    """
    by_grant: dict[uuid.UUID, list[Moved]] = {grant.id: [] for grant in grants}
    for move in figures_repository.moves(work.session, list(by_grant), by_day=by_day):
        by_grant[move.grant_id].append(move)
    units = {move.unit for moves in by_grant.values() for move in moves}
    wanted = {pool_id for pool_id in map(pool_of, units) if pool_id is not None} | {grant.pool_id for grant in grants}
    pools = repository.pools(work.session, wanted)
    return {grant.id: Books(grant, tuple(by_grant[grant.id]), pools) for grant in grants}
