from __future__ import annotations

import threading
import uuid

import pytest

from kiban.office.errors import TooMany
from kiban.portal.api.limits import OneAtATime, PerPerson

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


def test_a_person_has_one_at_a_time_and_all_together_so_many() -> None:
    limit = OneAtATime(most=2)
    with limit.use(ONE):
        with pytest.raises(TooMany), limit.use(ONE):
            pass
        with limit.use(OTHER), pytest.raises(TooMany), limit.use(uuid.UUID(int=3)):
            pass
        with limit.use(uuid.UUID(int=3)):
            pass
    with limit.use(ONE):
        pass


def test_who_waits_gets_the_place_of_who_has_finished() -> None:
    limit = OneAtATime(most=1, wait_seconds=30.0)
    inside, leave, found = threading.Event(), threading.Event(), []

    def first() -> None:
        with limit.use(ONE):
            inside.set()
            leave.wait(30)

    def second() -> None:
        with limit.use(OTHER):
            found.append(leave.is_set())

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait(30)
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join(30)
    assert found == [True]
