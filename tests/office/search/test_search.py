from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiban.office.errors import Invalid
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.search import service
from kiban.office.search.grams import fold
from kiban.office.search.models import SQLITE_INDEX, Face, SearchDocument
from kiban.office.tables import METADATA
from kiban.office.work import SYSTEM, Role

from ..conftest import Rows

LETTERS = st.text(st.sampled_from("基盤ガがカﾞ゙ モデルＬLlm0０①㈱ß ſ\u3000.-_%'\"*𠮷é\u0301"), max_size=12)
WORDS = st.text(st.sampled_from("基盤がモデルＬlm0%_'\"*𠮷"), min_size=1, max_size=3)


def put(office: Office, rows: Rows, *texts: tuple[str, str], face: Face = Face.LATEST) -> list[uuid.UUID]:
    organisation, call = rows.organisation(), rows.call()
    person = rows.person(Role.APPLICANT, organisation=organisation)
    ids = [rows.proposal(call, organisation, person).id for _ in texts]
    with office.work() as work:
        for proposal_id, (title, text) in zip(ids, texts, strict=True):
            service.put(work, proposal_id, face, title, f"{title}\n{text}")
    return ids


FIRST = PageRequest()


def find(office: Office, query: str, page: PageRequest = FIRST) -> list[uuid.UUID]:
    with office.work(SYSTEM, read_only=True) as work:
        return [hit.proposal_id for hit in service.find(work, query, page).items]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(LETTERS, LETTERS), min_size=4, max_size=4), st.lists(WORDS | LETTERS, min_size=1, max_size=4))
def test_every_text_with_the_words_is_found_and_no_other(
    office: Office, rows: Rows, texts: list[tuple[str, str]], queries: list[str]
) -> None:
    ids = put(office, rows, *texts)
    folded = {key: fold(f"{title}\n{text}") for key, (title, text) in zip(ids, texts, strict=True)}
    for query in queries:
        words = fold(query).split()
        if not words:
            continue
        expected = {key for key, text in folded.items() if all(word in text for word in words)}
        assert set(find(office, query, PageRequest(limit=200))) & set(ids) == expected


def test_widths_cases_and_single_characters(office: Office, rows: Rows) -> None:
    first, second = put(office, rows, ("ＬＬＭの研究", "ｶﾞｽ"), ("鉄", "straße"))
    assert find(office, "llm") == [first]
    assert find(office, "ガス") == [first]
    assert find(office, "STRASSE") == [second]
    assert find(office, "鉄") == [second]
    assert find(office, "LLM ガス") == [first]
    assert find(office, "LLM 鉄") == []
    assert find(office, "研ガ") == []


def test_titles_come_first_then_newer_ones_and_pages_join(office: Office, rows: Rows) -> None:
    ids = put(office, rows, *((("医療" if n % 3 == 0 else "教育"), "医療と教育") for n in range(10)))
    order = [ids[n] for n in (9, 6, 3, 0, 8, 7, 5, 4, 2, 1)]
    assert find(office, "医療") == order
    for limit in (1, 3, 4, 10):
        found, cursor = list[uuid.UUID](), None
        while True:
            with office.work(SYSTEM, read_only=True) as work:
                page = service.find(work, "医療", PageRequest(cursor, limit))
            found += [hit.proposal_id for hit in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == order


def test_a_text_takes_the_place_of_the_one_before(office: Office, rows: Rows) -> None:
    (proposal_id,) = put(office, rows, ("古い題名", "本文"))
    with office.work() as work:
        service.put(work, proposal_id, Face.LATEST, "新しい題名", "新しい題名")
    assert find(office, "古い") == []
    assert find(office, "新しい") == [proposal_id]
    with office.work() as work:
        work.session.execute(sa.delete(SearchDocument))
    assert find(office, "新しい") == []


@pytest.mark.parametrize("query", ["", " \u3000", "長" * 201])
def test_queries_without_words_or_beyond_reason(office: Office, query: str) -> None:
    with pytest.raises(Invalid):
        find(office, query)


@pytest.mark.parametrize("cursor", ["", "x", "!!", "dA", "dC0x", "eDk5OTk5OTk5OTk5OTk5OTk5OTk5", "\ud800"])
def test_a_cursor_of_no_list(office: Office, cursor: str) -> None:
    with pytest.raises(Invalid):
        find(office, "医療", PageRequest(cursor))


def test_the_tables_are_dropped_whole(office: Office) -> None:
    METADATA.drop_all(office.database.engine)
    names = sa.inspect(office.database.engine).get_table_names()
    assert [name for name in names if name.startswith(SQLITE_INDEX)] == []
