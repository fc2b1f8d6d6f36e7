"""The report about a corpus: what its tables are counted from, and the page that people see."""

from __future__ import annotations

import importlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from kiban.make.corpus.curating import AUDIT, DROPPED
from kiban.make.corpus.privacy.config import KINDS, Action
from kiban.make.corpus.quality.profile import MODULES
from kiban.make.corpus.report import as_markdown, as_page, charts, findings, page, read_report
from kiban.make.corpus.report.words import PLACEHOLDER, Writer, messages, share, shortened
from kiban.make.corpus.rights.config import CopyrightFlag, PersonalData
from kiban.make.corpus.tally import FATES, LENGTH_BUCKETS

Make = Callable[..., Any]
SENTENCE = "潮見ヶ丘のポンプは、今日も静かに水を送っている。"


def of_source(schema: pa.Schema) -> pa.Schema:
    return pa.schema([schema.field("id"), ("source", pa.string()), *list(schema)[1:]])


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, of_source(schema)), path)


def a_report(**sources: dict[str, Any]) -> dict[str, Any]:
    """A report.json of sources, each with what is given in place of nothing."""
    empty = {"documents": 0, "characters": 0, "bytes": 0}
    full: dict[str, Any] = {}
    for name, given_ in sources.items():
        full[name] = {
            "owner": "潮見", "licence": "CC0-1.0", "files": {"read": 1, "skipped": 0, "repaired": 0, "damaged": 0},
            "files_skipped_by_reason": {}, "file_notes": [], "encodings": {}, "passed_over": {},
            "replaced_bytes": 0, "documents_read": 0,
            "kept": {fate: dict(empty) for fate in FATES}, "dropped": {}, "set_aside": {}, "changed": {},
            "lengths": {"read": [0] * LENGTH_BUCKETS, "kept": [0] * LENGTH_BUCKETS},
        } | given_  # fmt: skip
    totals: dict[str, Any] = {
        fate: {key: sum(each["kept"][fate][key] for each in full.values()) for key in empty} for fate in FATES
    }
    for key, amount in (("dropped", "documents"), ("changed", "count")):
        totals[key] = dict(
            sum((Counter({k: v[amount] for k, v in each[key].items()}) for each in full.values()), Counter())
        )
    totals["files"] = {key: sum(each["files"][key] for each in full.values()) for key in ("read", "skipped")}
    return {"totals": totals, "heldout_fraction": 0.02, "remark": None, "sources": full}


def main(text: str, language: str) -> LexborNode:
    found = LexborHTMLParser(text).css_first(f'main[lang="{language}"]')
    assert found is not None
    return found


def cells(within: LexborNode, section: str, table: int = 0) -> dict[str, list[str]]:
    """First cell -> the others, of a table in a section."""
    node = within.css(f'section[aria-labelledby^="{section}-"] table')[table]
    return {row.css("th")[0].text(): [each.text() for each in row.css("td")] for row in node.css("tbody tr, tfoot tr")}


# -- a made corpus, from end to end -----------------------------------------------------------------------------------


@pytest.fixture
def made(make_corpus: Make, tmp_path: Path) -> Any:
    (tmp_path / "in").mkdir()
    for number in range(12):
        (tmp_path / "in" / f"{number:02d}.txt").write_text(f"第{number % 8}号。{SENTENCE}" * 3)
    (tmp_path / "in" / "short.txt").write_text("あ")
    (tmp_path / "in" / "x.docx").write_bytes(b"no archive")
    (tmp_path / "in" / "wide.txt").write_text(f"ＡＢＣ　{SENTENCE}", encoding="cp932")
    (tmp_path / "two.jsonl").write_text('{"text": 1}\n' + json.dumps({"text": SENTENCE * 9}) + "\n")
    sources = {"<one>": "in", "two": {"path": "two.jsonl", "licence": "GPL-2.0-only"}}
    return make_corpus(None, sources=sources, filters={"min_characters": 10}, heldout_fraction=0.3)


def test_the_page_shows_the_corpus_in_both_languages_and_asks_nobody_for_anything(made: Any) -> None:
    text = as_page(made.files, read_report(made.files), "shiomi")
    kept, heldout = (len(made.documents), made.result.stats["heldout"]["documents"])
    for language, name in (("ja", "空"), ("en", "empty")):
        shown = main(text, language)
        assert name is not None
        rows = cells(shown, "flow")
        assert [rows["<one>"][0], rows["two"][0]] == ["14", "2"]
        total = rows["合計" if language == "ja" else "All"]
        assert int(total[0]) == 16
        assert int(total[1]) + int(total[2]) == kept == 10
        assert total[2] == str(heldout)
        reasons = cells(shown, "dropped")
        assert {key.split()[-1]: row[0] for key, row in reasons.items()} == {
            "duplicate": "4", "text_not_string": "1", "too_short": "1",
        }  # fmt: skip
        # What was dropped for another names it.
        assert "08.txt" in shown.css_first('section[aria-labelledby^="duplicates-"]').text()
        assert "00.txt" in shown.css_first('section[aria-labelledby^="duplicates-"]').text()
        assert "x.docx" in shown.css_first('section[aria-labelledby^="files-"]').text()
        assert {row[0] for row in cells(shown, "rights").values()} == {"Shiomi"}
    assert "<one>" not in text
    # Links stay on the page; pictures are drawn in it.
    assert not re.search(r'(src|href|action)\s*=\s*"(?!#)|url\(|@import', text)
    tree = LexborHTMLParser(text)
    identities = [node.attributes["id"] for node in tree.css("[id]")]
    assert len(identities) == len(set(identities))
    assert {node.attributes["href"][1:] for node in tree.css("nav a")} <= set(identities)
    for picture in tree.css('svg[role="img"]'):
        assert picture.attributes["aria-labelledby"] in identities


def test_the_page_is_the_same_every_time(made: Any) -> None:
    assert as_page(made.files, made.report, "shiomi") == as_page(made.files, made.report, "shiomi")


def test_documents_of_the_rights_ledger_are_the_kept_ones(made: Any) -> None:
    found = findings.find(made.files)
    assert {(row.licence, row.documents) for row in found.rights} == {("CC0-1.0", 9), ("GPL-2.0-only", 1)}


def test_report_md_keeps_hostile_names_in_their_cells() -> None:
    drop = {"documents": 1, "bytes": 1, "examples": [{"id": "a`b|c\nd", "text": "<b>|`\n# x", "reason": "empty"}]}
    changed = {"count": 2, "examples": [{"id": "i", "before": "`x`\n- y", "after": "|"}]}
    text = as_markdown(
        a_report(**{"a|b\n# c": {"documents_read": 1, "dropped": {"empty": drop}, "changed": {"variant": changed}}})
    )
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# Corpus", "## a\\|b # c", "### dropped: empty (1)", "### changed: variant (2)",
    ]  # fmt: skip
    assert all(line.count("|") - line.count("\\|") == 7 for line in lines if line.startswith("| "))
    assert "<b>" not in text


def test_documents_set_aside_are_shown_with_value_and_limit(tmp_path: Path) -> None:
    kept = {fate: {"documents": 3, "characters": 30, "bytes": 90} for fate in FATES}
    aside = {"list_of_words": {"examples": [{"id": "x.txt", "text": "りんご", "value": 0.02, "limit": 0.08}]}}
    rows = [{"id": "x.txt", "source": "s", "rule": "list_of_words", "value": 0.02, "limit": 0.08}] * 3
    write(tmp_path / "dropped" / "0.parquet", rows, DROPPED)
    shown = main(as_page(tmp_path, a_report(s={"documents_read": 9, "kept": kept, "set_aside": aside}), "n"), "en")
    section = shown.css_first('section[aria-labelledby="aside-en"]').text()
    assert "3 documents" in section
    assert "0.02, below the limit of 0.08" in section
    assert cells(shown, "flow")["s"][:5] == ["9", "3", "3", "3", "—"]


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_the_page_stays_small_whatever_is_in_the_corpus(tmp_path: Path) -> None:
    nasty = "&<\"'" * 5000
    example = {"id": nasty, "text": nasty, "same_as": nasty, "value": 1e300, "limit": 1.0, "reason": "x"}
    changes = {"count": 9, "examples": [{"id": nasty, "before": "a&" * 500, "after": "&a" * 500}] * 5}
    note = {"name": nasty, "outcome": "skipped", "reason": nasty, "detail": nasty}
    source = {
        "owner": nasty, "licence": nasty, "documents_read": 10**12, "file_notes": [note] * 300,
        "dropped": {f"{rule}{nasty}": {"documents": 9, "bytes": 9, "examples": [example] * 5} for rule in range(60)},
        "set_aside": {f"a{rule}{nasty}": {"examples": [example] * 5} for rule in range(60)},
        "changed": {f"c{kind}{nasty}": changes for kind in range(60)},
        "encodings": {f"{number}{nasty}": 1 for number in range(100)}, "passed_over": {},
        "files_skipped_by_reason": {f"{number}{nasty}": 1 for number in range(100)},
    }  # fmt: skip
    source["kept"] = {fate: {"documents": 10**11, "characters": 10**14, "bytes": 10**15} for fate in FATES}
    source["lengths"] = {"read": [10**9] * LENGTH_BUCKETS, "kept": [10**9] * LENGTH_BUCKETS}
    rows = [{"id": f"{n}{nasty}", "source": "s", "rule": "duplicate", "detail": f"{n % 40}{nasty}"} for n in range(400)]
    write(tmp_path / "dropped" / "0.parquet", rows, DROPPED)
    found = [{"id": "i", "source": "s", "kind": f"{n}{nasty}", "action": "mask"} for n in range(100)]
    write(tmp_path / "privacy" / "0.parquet", found, AUDIT)
    text = as_page(tmp_path, a_report(**{f"{number}{nasty}": source for number in range(60)}), nasty)
    assert 100_000 < len(text.encode()) <= page.MOST_BYTES
    assert "&<" not in text


def test_values_near_their_limit_are_counted(tmp_path: Path) -> None:
    values = [(0.5, 0.5), (0.54, 0.5), (0.56, 0.5), (0.46, 0.5), (-1.05, -1.0), (None, None), (3.0, None)]
    rows = [{"id": "i", "source": "s", "rule": "r", "value": value, "limit": limit} for value, limit in values]
    write(tmp_path / "dropped" / "0.parquet", rows, DROPPED)
    found = findings.find(tmp_path)
    assert (found.said["r"], found.measured["r"], found.near["r"]) == (7, 5, 4)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["duplicate", "too_short"])), max_size=120),
    st.integers(1, 4),
    st.integers(1, 7),
)
def test_the_largest_groups_of_duplicates_are_found_with_few_counters(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], capacity: int, batch: int
) -> None:
    folder = tmp_path_factory.mktemp("groups")
    said = [{"id": str(n), "source": "s", "rule": rule, "detail": same} for n, (same, rule) in enumerate(rows)]
    write(folder / "dropped" / "0.parquet", said, DROPPED)
    expected = Counter(same for same, rule in rows if rule == "duplicate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings, "COUNTERS", capacity)
        patch.setattr(findings, "BATCH_ROWS", batch)
        groups = findings.find(folder).groups
    assert all(group.copies == expected[group.same_as] for group in groups)
    assert [group.copies for group in groups] == sorted((group.copies for group in groups), reverse=True)
    # What the method promises: whatever has more than 1/(counters + 1) of all is among them.
    often = {same for same, count in expected.items() if count > sum(expected.values()) / (capacity + 1)}
    assert often <= {group.same_as for group in groups}
    for group in groups:
        ids = [each["id"] for each in said if each["detail"] == group.same_as and each["rule"] == "duplicate"]
        assert group.ids == ids[: findings.GROUP_IDS]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6), st.sampled_from(["x", "y"])), max_size=60))
def test_documents_with_personal_data_are_counted_once(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[str, int, str]]
) -> None:
    """Documents come one after another, each with some places; batches end anywhere."""
    folder = tmp_path_factory.mktemp("privacy")
    rows = []
    for number, (source, places, kind) in enumerate(runs):
        for place in range(places):
            shown = kind if place % 3 else "z"
            rows.append({"id": f"d{number}", "source": source, "kind": shown, "action": "mask", "start": place})
    write(folder / "privacy" / "0.parquet", rows, AUDIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings, "BATCH_ROWS", 4)
        found = findings.find(folder)
    assert found.personal[""] == len({(row["source"], row["id"]) for row in rows})
    kinds = {(row["source"], row["id"], row["kind"]) for row in rows}
    assert {kind: found.personal[kind] for kind in "xyz"} == {
        kind: sum(each[2] == kind for each in kinds) for kind in "xyz"
    }
    assert found.places == Counter((row["kind"], "mask") for row in rows)


# -- words and pictures -----------------------------------------------------------------------------------------------


def test_every_message_is_in_both_languages_with_the_same_places() -> None:
    for key, said in messages().items():
        assert set(said) == {"ja", "en"}, key
        assert Counter(PLACEHOLDER.findall(said["ja"])) == Counter(PLACEHOLDER.findall(said["en"])), key
        assert re.search(r"[ぁ-んァ-ヶ一-龠]|JSON|CSV|= |\{action\}|\{care\}|\{outcome\}", said["ja"]), key


def test_what_kiban_names_itself_has_words() -> None:
    rules = {
        rule.name
        for module in MODULES.values()
        for rule in importlib.import_module(f"kiban.make.corpus.quality.profiles.{module}").RULES
    }
    named = {
        "rule": rules,
        "kind": set(KINDS),
        "action": set(get_args(Action)),
        "flag": set(get_args(CopyrightFlag)),
        "personal": set(get_args(PersonalData)),
    }
    assert {f"{group}.{name}" for group, names in named.items() for name in names} <= set(messages())


def test_shares_never_round_to_nothing_or_all() -> None:
    assert [share(part, 10_000) for part in (0, 1, 123, 9_999, 10_000)] == ["0.0%", "<0.1%", "1.2%", ">99.9%", "100.0%"]
    assert share(0, 0) == "0.0%"


def test_a_change_is_marked_where_it_is() -> None:
    w = Writer("en")
    assert w.change("価格は１２円です", "価格は12円です") == (
        "価格は<del>１２</del>円です",
        "価格は<ins>12</ins>円です",
    )
    # Excerpts are cut at one length, so the one that lost a letter shows more of what follows: no change.
    assert w.change("ああ\nいいう", "ああいいうえ") == ("ああ<del>↵</del>いいう", "ああいいう")
    assert w.change("<b>", "<i>") == ("&lt;<del>b</del>&gt;", "&lt;<ins>i</ins>&gt;")
    assert shortened("x\x1b[31m" + "y" * 500).startswith("x␛[31m")


@pytest.mark.parametrize("counts", [(900_000, 3, 1), (0, 0, 1), (1, 1, 1), (10**12, 1, 0)])
def test_the_flow_has_room_for_every_label_and_ribbons_as_thick_as_their_documents(counts: tuple[int, ...]) -> None:
    fates = [charts.End(f"fate {n}", kind, sum(counts[n::3])) for n, kind in enumerate(("train", "heldout", "dropped"))]
    drawn = charts.Flow((charts.End("源" * 80, "source", sum(counts)),), tuple(fates), (counts,))
    for picture in LexborHTMLParser(str(charts.flow(Writer("ja"), drawn))).css("svg"):
        height = float(picture.attributes["viewBox"].split()[3])
        labels = [(float(text.attributes["y"]), text.attributes["text-anchor"]) for text in picture.css("text")][1:]
        places = sorted(y for y, _ in labels)
        assert all(later - earlier >= 20 for earlier, later in itertools.pairwise(places))
        assert 0 < places[0] <= places[-1] < height
        thick = [float(each.attributes["d"].split("v")[1].split("C")[0]) for each in picture.css("path.ribbon")]
        shown = [count for count in counts if count]
        assert len(thick) == len(shown)
        for one, count in zip(thick, shown, strict=True):
            assert one / max(thick) == pytest.approx(count / max(shown), abs=0.02)
