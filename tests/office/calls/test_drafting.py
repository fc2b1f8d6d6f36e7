from __future__ import annotations

import re
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given as given_by
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.office.audit.models import AuditEvent
from kiban.office.awards.decisions import grant_code
from kiban.office.calls import service
from kiban.office.calls.drafting import create_call, read_call, update_call
from kiban.office.calls.models import Call
from kiban.office.calls.schemas import CallRevision
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.office import Office
from kiban.office.supply.models import Pool
from kiban.office.work import Actor, Role

from ..conftest import Rows
from .conftest import call_in, draft, published

CODE = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,19}", re.ASCII)

FILE = """\
code: 2026-7
cycle: 第1期
title_ja: 基盤モデル開発支援
title_en: Support for foundation models
text_ja: |
  計算資源を提供する。
text_en: Compute is provided.
budget_yen: 20000000
opens_at: 2026-05-01T10:00:00+09:00
closes_at: "2026-06-12T17:00:00+09:00"
cut_off: count
cut_off_count: 30
first_month: 2026-09
months: 6
themes:
  - {key: language, name_ja: 言語, name_en: Language}
rubric:
  - {key: performance, name_ja: 性能, name_en: Performance, weight: 2}
tracks:
  - {key: panel, name_ja: 審査会, name_en: Panel, kind: panel}
constraints:
  organisation_kinds: [startup, university]
pools:
  - pool: ishikari-h100
    gpus: 16
"""


def test_only_operators_draft(office: Office, rows: Rows, pool: Pool) -> None:
    for role in set(Role) - {Role.OPERATOR}:
        with office.work(rows.actor(role)) as work, pytest.raises(Forbidden):
            create_call(work, call_in(pool))


def test_a_code_belongs_to_one_call(office: Office, operator: Actor, pool: Pool) -> None:
    draft(office, operator, pool)
    other = draft(office, operator, pool, code="2026-2")
    with office.work(operator) as work, pytest.raises(Conflict, match="2026-1"):
        create_call(work, call_in(pool))
    with office.work(operator) as work, pytest.raises(Conflict, match="2026-1"):
        update_call(work, other.id, call_in(pool), other.version)


@given_by(st.from_regex(CODE, fullmatch=True), st.none() | st.from_regex(CODE, fullmatch=True), st.integers(1, 99_999))
def test_codes_that_differ_give_accounts_that_differ(first: str, other: str | None, number: int) -> None:
    second = first.swapcase() if other is None else other
    accounts = [grant_code(Call(code=code), f"{code}-{number:04d}") for code in (first, second)]
    same = Call(code=first).account_code == Call(code=second).account_code
    assert (accounts[0] == accounts[1]) is same
    assert all(re.fullmatch(r"[a-z0-9-]{1,31}", account) for account in accounts)


def test_codes_that_differ_in_capitals_alone_are_one(office: Office, rows: Rows, operator: Actor, pool: Pool) -> None:
    draft(office, operator, pool, code="A-1")
    other = draft(office, operator, pool, code="B-1")
    with office.work(operator) as work, pytest.raises(Conflict, match=r"another call has the code 'A-1' \(capital"):
        create_call(work, call_in(pool, code="a-1"))
    with office.work(operator) as work, pytest.raises(Conflict, match="'A-1'"):
        update_call(work, other.id, call_in(pool, code="a-1"), other.version)
    with office.work(operator) as work:
        assert update_call(work, other.id, call_in(pool, code="b-1"), other.version).account_code == "b-1"
    with office.work(operator, read_only=True) as work:
        assert service.get_call_by_code(work, "a-1").code == "A-1"
    with pytest.raises(sa.exc.IntegrityError):  # the database, whoever writes to it
        rows.call(pool, code="a-1")
    with pytest.raises(sa.exc.IntegrityError), office.work() as work:
        work.session.execute(sa.update(Call).where(Call.id == other.id).values(code="C-1"))


def test_the_same_code_at_the_same_time(office: Office, operator: Actor, pool: Pool) -> None:
    start, results = threading.Barrier(4), []

    def create(code: str) -> None:
        start.wait()
        try:
            with office.work(operator) as work:
                create_call(work, call_in(pool, code=code))
            results.append("created")
        except Conflict:
            results.append("refused")

    threads = [threading.Thread(target=create, args=(code,)) for code in ("A-1", "a-1", "A-1", "a-1")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["created", "refused", "refused", "refused"]


def test_pools_exist_and_come_once(office: Office, operator: Actor, pool: Pool) -> None:
    with office.work(operator) as work:
        with pytest.raises(Invalid, match="twice"):
            create_call(work, call_in(pool, pool))
        with pytest.raises(NotFound, match=r"pools\.1"):
            create_call(work, call_in(pool, Pool(id=uuid.uuid4())))


def test_a_draft_is_replaced_whole(office: Office, rows: Rows, operator: Actor, pool: Pool) -> None:
    call, other = draft(office, operator, pool), rows.pool()
    given = call_in(other, budget_yen=5, themes=[{"key": "new", "name_ja": "新", "name_en": "New"}])
    with office.work(operator) as work:
        # What the API reads has `version` in the same object.
        revision = CallRevision.model_validate(given.model_dump() | {"version": call.version})
        assert update_call(work, call.id, revision, revision.version).version == 2
    with office.work(operator, read_only=True) as work:
        read = service.get_call(work, call.id)
        assert (read.budget_yen, [theme.key for theme in service.themes_of(read)]) == (5, ["new"])
        assert service.offered_pools(work, call.id) == {other.id: 8}
        actions = list(work.session.scalars(sa.select(AuditEvent.action)))
    assert actions == ["calls.created", "calls.updated"]


def test_an_older_version_does_not_overwrite_a_newer(office: Office, operator: Actor, pool: Pool) -> None:
    call = draft(office, operator, pool)
    with office.work(operator) as work:
        update_call(work, call.id, call_in(pool, budget_yen=1), 1)
    with office.work(operator) as work, pytest.raises(Conflict, match="version 2"):
        update_call(work, call.id, call_in(pool, budget_yen=2), 1)


def test_a_published_call_is_not_replaced(office: Office, operator: Actor, pool: Pool) -> None:
    call = published(office, operator, pool)
    with office.work(operator) as work, pytest.raises(Conflict, match="amend"):
        update_call(work, call.id, call_in(pool), call.version)


def test_who_runs_one_call_changes_that_one(office: Office, operator: Actor, pool: Pool) -> None:
    mine, other = draft(office, operator, pool), draft(office, operator, pool, code="2026-2")
    actor = Actor(person_id=operator.person_id, call_roles=frozenset({(Role.OPERATOR, mine.id)}))
    with office.work(actor) as work:
        assert update_call(work, mine.id, call_in(pool, budget_yen=1), 1).budget_yen == 1
        with pytest.raises(NotFound):
            update_call(work, other.id, call_in(pool, code="2026-2"), 1)


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "call.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_call_is_read_from_its_file(office: Office, rows: Rows, operator: Actor, tmp_path: Path) -> None:
    pool = rows.pool(name="ishikari-h100")
    with office.work(operator) as work:
        given = read_call(work, _write(tmp_path, FILE))
        call = create_call(work, given)
        assert (call.code, call.cut_off_count) == ("2026-7", 30)
        assert call.opens_at == datetime(2026, 5, 1, 1, tzinfo=UTC)
        assert call.closes_at == datetime(2026, 6, 12, 8, tzinfo=UTC)
        assert service.offered_pools(work, call.id) == {pool.id: 16}
        assert [str(kind) for kind in service.constraints_of(call).organisation_kinds] == ["startup", "university"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("budget_yen:", "buget_yen:", r"call\.yaml:8: unknown key 'buget_yen'.*did you mean 'budget_yen'"),
        ("weight: 2", "weight: 0", r"call\.yaml:18: rubric\.0\.weight: .*greater than 0"),
        ("10:00:00+09:00", "10:00:00", r"call\.yaml:9: opens_at: .*timezone"),
        ("first_month: 2026-09", "first_month: 2026-13", r"call\.yaml:13: first_month"),
        ("pool: ishikari-h100", "pool: isikari-h100", r"call\.yaml:24: there is no pool.*nearest: ishikari-h100"),
        ("kind: panel}", "kind: jury}", r"call\.yaml:20: tracks\.0\.kind"),
        ("startup,", "startups,", r"call\.yaml:22: constraints\.organisation_kinds\.0"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(
    office: Office, rows: Rows, operator: Actor, tmp_path: Path, old: str, new: str, message: str
) -> None:
    rows.pool(name="ishikari-h100")
    assert old in FILE
    with office.work(operator) as work, pytest.raises(BadInput) as caught:
        read_call(work, _write(tmp_path, FILE.replace(old, new)))
    assert re.search(message, str(caught.value)), str(caught.value)
