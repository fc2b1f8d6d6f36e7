"""report.md: what report.html says, in short, for terminals and repositories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiban.kit.text import visible_line
from kiban.kit.units import format_bytes
from kiban.make.corpus.report.contents import SPLITS, listed, sums

MOST_FILES = 200


def as_markdown(report: Mapping[str, Any]) -> str:
    """report.md, of what `make_report` returned."""
    sources = report["sources"]
    aside = bool(report["totals"]["rephrase"]["documents"])
    heads = [
        "source",
        "documents read",
        "kept for training",
        "held out",
        *["set aside"] * aside,
        "dropped",
        "text kept",
    ]
    lines = ["# Corpus", "", f"| {' | '.join(heads)} |", f"|---{'|---:' * (len(heads) - 1)}|"]
    for name, source in sources.items():
        dropped = sum(entry["documents"] for entry in source["dropped"].values())
        lines.append(_row(_cell(name), source["documents_read"], source["kept"], dropped, aside))
    everything = {
        fate: sums(source["kept"][fate] for source in sources.values())
        for fate in report["totals"]
        if fate in (*SPLITS, "rephrase")
    }
    read = sum(source["documents_read"] for source in sources.values())
    lines.append(_row("**all**", read, everything, sum(report["totals"]["dropped"].values()), aside))
    if report["remark"]:
        lines += ["", f"Note: {report['remark']}."]
    for name, source in sources.items():
        lines += [
            "",
            f"## {_cell(name)}",
            "",
            f"Owner: {_cell(source['owner'])}. Licence: {_cell(source['licence'])}.",
            "",
        ]
        files = ", ".join(f"{count} {outcome}" for outcome, count in source["files"].items() if count) or "none"
        lines.append(f"Files: {files}.")
        if source["encodings"]:
            lines.append(f"Encodings: {listed(source['encodings'])}.")
        if source["passed_over"]:
            lines.append(f"Not read inside files: {listed(source['passed_over'])}.")
        if source["changed"]:
            lines.append(f"Changed: {listed({kind: entry['count'] for kind, entry in source['changed'].items()})}.")
        for rule, entry in source["dropped"].items():
            lines += ["", f"### dropped: {rule} ({entry['documents']})", "", *_examples(entry["examples"])]
        for rule, entry in source["set_aside"].items():
            lines += ["", f"### set aside: {rule}", "", *_examples(entry["examples"])]
        for kind, entry in source["changed"].items():
            if entry["examples"]:
                lines += ["", f"### changed: {kind} ({entry['count']})", "", *_changes(entry["examples"])]
        lines += _files(source["file_notes"])
    return "\n".join(lines) + "\n"


def _row(name: str, read: int, kept: Mapping[str, Any], dropped: int, aside: bool) -> str:
    fates = [kept[fate]["documents"] for fate in (*SPLITS, *["rephrase"] * aside)]
    size = format_bytes(sum(kept[split]["bytes"] for split in SPLITS))
    return f"| {' | '.join(map(str, (name, read, *fates, dropped, size)))} |"


def _examples(examples: list[dict[str, Any]]) -> list[str]:
    lines = []
    for example in examples:
        why = f" (same as {_cell(example['same_as'])})" if "same_as" in example else ""
        if "value" in example:
            why += f" ({example['value']:.4g}, limit {example['limit']:.4g})"
        lines.append(f"- `{_cell(example['id'])}`{why}: {_cell(example['text'])}")
    return lines


def _changes(changes: list[dict[str, str]]) -> list[str]:
    return [
        f"- `{_cell(change['id'])}`: `{_cell(change['before'])}` → `{_cell(change['after'])}`" for change in changes
    ]


def _files(notes: list[dict[str, str]]) -> list[str]:
    if not notes:
        return []
    lines = ["", "### files", ""]
    for note in notes[:MOST_FILES]:
        detail = f": {_cell(note['detail'])}" if note["detail"] else ""
        lines.append(f"- `{_cell(note['name'])}` {note['outcome']}, {note['reason']}{detail}")
    if len(notes) > MOST_FILES:
        lines.append(f"- … and {len(notes) - MOST_FILES} more, in report.json")
    return lines


def _cell(text: str) -> str:
    """Text that cannot break out of a table cell, a list item or a code span."""
    line = visible_line(" ".join(text.split()))
    return line.replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
