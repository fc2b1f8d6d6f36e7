"""The page's tables in one language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from kiban.kit.page import Table
from kiban.make.corpus.report.charts import spread_of
from kiban.make.corpus.report.contents import SPLITS, by_count, sums
from kiban.make.corpus.report.findings import Findings
from kiban.make.corpus.report.words import Writer
from kiban.make.corpus.tally import FATES

# Of sources, rules, files and others in one table; the rest is one line, and all of it in report.json.
MOST_ROWS = 30
NOTHING = Markup("—")


def _heads(w: Writer, *keys: str) -> tuple[Markup, ...]:
    return tuple(w.t(key) for key in keys)


def _amount(w: Writer, count: int) -> Markup:
    return w.exact(count) if count else NOTHING


def sources(w: Writer, report: Mapping[str, Any]) -> Table:
    """What became of the documents of each source."""
    counted = {name: _fates(source) for name, source in report["sources"].items()}
    total = sums(counted.values())
    ranked = sorted(counted, key=lambda name: -counted[name]["characters"])
    shown = set(ranked if len(ranked) <= MOST_ROWS else ranked[: MOST_ROWS - 1])
    keys = ["read", "train", "heldout", *["rephrase"] * bool(total["rephrase"]), "dropped"]

    def cells(name: Markup, counts: Mapping[str, int]) -> tuple[Markup, ...]:
        figures = [w.exact(counts["read"]), *(_amount(w, counts[key]) for key in keys[1:])]
        return (name, *figures, w.short(counts["characters"]), w.share(counts["characters"], total["characters"]))

    rows = [cells(w.text(name), counted[name]) for name in counted if name in shown]
    if len(shown) < len(counted):
        rest = [counts for name, counts in counted.items() if name not in shown]
        rows.append(cells(w.t("others", n=len(rest)), sums(rest)))
    heads = (w.t("source"), *(w.t(key) for key in keys), w.t("characters"), w.t("share"))
    footer = cells(w.t("all"), total) if len(rows) > 1 else None
    return Table(w.t("sources.caption"), heads, tuple(rows), 1, footer)


def _fates(source: Mapping[str, Any]) -> dict[str, int]:
    return {
        "read": source["documents_read"],
        **{fate: source["kept"][fate]["documents"] for fate in FATES},
        "dropped": sum(entry["documents"] for entry in source["dropped"].values()),
        "characters": sum(source["kept"][split]["characters"] for split in SPLITS),
    }


def rules(w: Writer, dropped: Mapping[str, Mapping[str, int]], read: int, findings: Findings) -> Table:
    """Documents by rule, and for how many of them another limit would matter.

    Args:
        dropped: rule -> documents and bytes.
    """
    rows = []
    for rule, documents in by_count({rule: entry["documents"] for rule, entry in dropped.items()})[:MOST_ROWS]:
        measured = findings.measured[rule]
        near = w.share(findings.near[rule], measured) if measured else NOTHING
        figures = (w.exact(documents), w.share(documents, read), w.bytes(dropped[rule]["bytes"]), near)
        rows.append((w.named("rule", rule), *figures))
    heads = _heads(w, "rule", "documents", "share_of_read", "text", "near")
    return Table(w.t("rules.caption"), heads, tuple(rows), 1)


def lengths(w: Writer, read: Sequence[int], kept: Sequence[int]) -> Table:
    rows = []
    for bucket in spread_of(read, kept):
        spread = w.t("lengths.title", **{"from": 2**bucket, "to": 2 ** (bucket + 1) - 1})
        rows.append((spread, w.exact(read[bucket]), w.exact(kept[bucket])))
    return Table(w.t("lengths.caption"), _heads(w, "length", "read", "kept"), tuple(rows), 1)


def groups(w: Writer, findings: Findings) -> Table:
    """Documents with the most duplicates."""
    rows = tuple(
        (
            w.code(group.same_as),
            Markup("、" if w.language == "ja" else ", ").join(w.code(each, 60) for each in group.ids),
            w.exact(group.copies),
        )
        for group in findings.groups
    )
    return Table(w.t("groups.caption"), _heads(w, "groups.of", "groups.ids", "groups.copies"), rows, 2)


def personal(w: Writer, findings: Findings) -> Table:
    """Places and documents by kind of personal data, and what was done."""
    places: dict[str, dict[str, int]] = {}
    for (kind, action), count in findings.places.items():
        places.setdefault(kind, {})[action] = count
    rows = []
    for kind, count in by_count({kind: sum(actions.values()) for kind, actions in places.items()})[:MOST_ROWS]:
        actions = Markup("・" if w.language == "ja" else ", ").join(
            w.t("privacy.action", action=w.word("action", action), n=number)
            for action, number in by_count(places[kind])
        )
        rows.append((w.word("kind", kind), actions, w.exact(count), w.exact(findings.personal[kind])))
    heads = _heads(w, "privacy.kind", "privacy.actions", "places", "documents")
    return Table(w.t("privacy.caption"), heads, tuple(rows), 2)


def rights(w: Writer, report: Mapping[str, Any], findings: Findings) -> Table:
    """Under what the corpus's documents are: by the ledger of rights, else as the recipe says of each source."""
    heads = ["licence", "owner"]
    rows: list[tuple[Markup, ...]] = []
    if findings.rights:
        heads += ["rights.personal", "rights.flags", "rights.expires"]
        for row in findings.rights[:MOST_ROWS]:
            flags = Markup("<br>").join(w.word("flag", flag) for flag in row.flags) or NOTHING
            known = (w.word("personal", row.personal_data), flags, w.text(row.first_expiry or "—"))
            rows.append(
                (w.text(row.licence), w.text(row.owner), *known, w.exact(row.documents), w.short(row.characters))
            )
        if rest := findings.rights[MOST_ROWS:]:
            amounts = (w.exact(sum(row.documents for row in rest)), w.short(sum(row.characters for row in rest)))
            rows.append((w.t("others", n=len(rest)), *[NOTHING] * 4, *amounts))
    else:
        under: dict[tuple[str, str], list[dict[str, int]]] = {}
        for source in report["sources"].values():
            kept = under.setdefault((source["licence"], source["owner"]), [])
            kept += [source["kept"][split] for split in SPLITS]
        for (licence, owner), parts in list(under.items())[:MOST_ROWS]:
            total = sums(parts)
            amounts = (w.exact(total["documents"]), w.short(total["characters"]))
            rows.append((w.text(licence), w.text(owner), *amounts))
    numbers_from = len(heads)
    return Table(w.t("rights.caption"), _heads(w, *heads, "documents", "characters"), tuple(rows), numbers_from)


def skipped(w: Writer, report: Mapping[str, Any]) -> Table:
    """Files that were not read, by reason."""
    counts = sums(source["files_skipped_by_reason"] for source in report["sources"].values())
    rows = tuple((w.named("reason", reason), w.exact(count)) for reason, count in by_count(counts)[:MOST_ROWS])
    return Table(w.t("files.skipped.caption"), _heads(w, "reason", "files.count"), rows, 1)


def notes(w: Writer, report: Mapping[str, Any]) -> Table | None:
    """Files with something to say about them: what was damaged or repaired before what was not read."""
    order = {"damaged": 0, "repaired": 1, "skipped": 2}
    found = [(name, note) for name, source in report["sources"].items() for note in source["file_notes"]]
    if not found:
        return None
    found.sort(key=lambda each: order.get(each[1]["outcome"], 3))
    rows = []
    for source, note in found[:MOST_ROWS]:
        outcome = w.t("note", outcome=w.word("outcome", note["outcome"]), reason=w.word("reason", note["reason"]))
        rows.append((w.code(note["name"]), w.text(source), outcome, w.text(note["detail"])))
    caption = w.t("files.notes.caption", shown=len(rows), all=len(found))
    return Table(caption, _heads(w, "file", "source", "files.what", "files.detail"), tuple(rows), 4)
