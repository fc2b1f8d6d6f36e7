from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from tests.office.conftest import TestClock

from kiban.office.idempotency import service
from kiban.office.idempotency.models import IdempotencyKey
from kiban.office.office import Office

from .conftest import ClientOf
from .probe import mount

THINGS = "/api/v1/probe/things"


@pytest.fixture(autouse=True)
def _probe(app: FastAPI) -> None:
    mount(app)


def test_the_same_request_again_is_answered_and_not_done(client_of: ClientOf) -> None:
    client = client_of()
    first = client.post(THINGS, json={"name": "a"}, headers={"Idempotency-Key": "k1"})
    again = client.post(THINGS, json={"name": "a"}, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert client.get(THINGS).json() == 1


def test_another_request_with_the_same_key_is_refused(client_of: ClientOf) -> None:
    client = client_of()
    client.post(THINGS, json={"name": "a"}, headers={"Idempotency-Key": "k1"})
    for path, body in ((THINGS, {"name": "b"}), (f"{THINGS}?x=1", {"name": "a"})):
        assert client.post(path, json=body, headers={"Idempotency-Key": "k1"}).status_code == 422
    assert client.get(THINGS).json() == 1


def test_keys_of_two_people_have_nothing_to_do_with_each_other(client_of: ClientOf) -> None:
    one, other = client_of(), client_of()
    for client in (one, other):
        answer = client.post(THINGS, json={"name": "a"}, headers={"Idempotency-Key": "k1"})
        assert "idempotency-replayed" not in answer.headers
    assert one.get(THINGS).json() == 2


def test_a_refused_request_leaves_its_key_free(client_of: ClientOf) -> None:
    client = client_of()
    headers = {"Idempotency-Key": "k1"}
    assert client.post(THINGS, json={"name": "a", "size": -1}, headers=headers).status_code == 409
    assert client.post(THINGS, json={"name": "a", "size": 1}, headers=headers).status_code == 201
    assert client.get(THINGS).json() == 1


@pytest.mark.parametrize("key", ["", "a" * 129, "a b"])
def test_what_is_no_key_is_refused(client_of: ClientOf, key: str) -> None:
    client = client_of()
    assert client.post(THINGS, json={"name": "a"}, headers={"Idempotency-Key": key}).status_code == 422


def test_what_was_answered_is_not_readable_in_the_database(client_of: ClientOf, office: Office) -> None:
    client_of().post(THINGS, json={"name": "shown-once"}, headers={"Idempotency-Key": "k1"})
    with office.work(read_only=True) as work:
        row = work.session.scalars(sa.select(IdempotencyKey)).one()
    assert "shown-once" not in row.body
    assert row.status == 201


def test_many_at_once_with_one_key_do_it_once(client_of: ClientOf) -> None:
    client = client_of()
    answers = []

    def send() -> None:
        answers.append(client.post(THINGS, json={"name": "a"}, headers={"Idempotency-Key": "k1"}))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 7
    assert client.get(THINGS).json() == 1


def test_keys_are_forgotten_after_48_hours(client_of: ClientOf, office: Office, clock: TestClock) -> None:
    client_of().post(THINGS, json={"name": "a"}, headers={"Idempotency-Key": "k1"})
    for ahead, forgotten in ((timedelta(hours=47), 0), (timedelta(hours=2), 1)):
        clock.now += ahead
        with office.work() as work:
            assert service.forget_old(work) == forgotten
