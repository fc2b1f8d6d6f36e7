from __future__ import annotations

import uuid

import pytest

from kiban.office.errors import TooMany
from kiban.portal.api.limits import PerPerson

ONE, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)


def test_uses_are_counted_by_person_within_the_time() -> None:
    now = [0.0]
    limit = PerPerson(uses=2, seconds=10.0, clock=lambda: now[0])
    limit.use(ONE)
    now[0] = 4.0
    limit.use(ONE)
    limit.use(OTHER)
    with pytest.raises(TooMany) as refused:
        limit.use(ONE)
    assert refused.value.retry_after_seconds == 6
    now[0] = 10.0  # the first use was ten seconds ago; the refused one was not counted
    limit.use(ONE)
    with pytest.raises(TooMany):
        limit.use(ONE)
