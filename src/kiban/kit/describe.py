"""Artifacts in words: what a store holds, what one artifact is, how two differ."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import Any

from kiban.kit.differences import differences
from kiban.kit.figures import headline
from kiban.kit.manifest import Manifest
from kiban.kit.store import Artifact, Store
from kiban.kit.units import format_bytes, format_energy, format_seconds
from kiban.kit.withdrawals import Staleness

# -- a store ------------------------------------------------------------------------------------------------------


def contents(store: Store) -> list[dict[str, Any]]:
    """One row per artifact, newest first: names, kind, digest, bytes, when it was finished, its headline figure, and
    whether something that it was made from is withdrawn."""
    stale = Staleness(store)
    names: dict[str, list[str]] = {}
    for name, digest in store.names().items():
        names.setdefault(digest, []).append(name)
    return [
        {
            "names": names.get(artifact.digest, []),
            "made_as": artifact.manifest.name,
            "kind": artifact.kind,
            "digest": artifact.digest,
            "bytes": size(artifact),
            "finished": artifact.manifest.finished,
            "headline": headline(artifact.manifest),
            "stale": bool(stale.of(artifact.digest)),
        }
        for artifact in reversed(store.all())
    ]


def contents_text(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of `contents` as a table; an artifact no name points at any more stands in brackets."""
    if not rows:
        return "nothing made yet"
    table = [("NAME", "KIND", "DIGEST", "SIZE", "MADE", "")]
    for row in rows:
        name = ", ".join(row["names"]) or f"({row['made_as']})"
        made = local_time(row["finished"])
        figure = "  ".join(filter(None, (row["headline"], "STALE: withdrawn" if row["stale"] else None)))
        table.append((name, row["kind"], row["digest"][:12], format_bytes(row["bytes"]), made, figure))
    widths = [max(len(cells[column]) for cells in table) for column in range(6)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column == 3 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in table
    )


def size(artifact: Artifact) -> int:
    """Bytes of an artifact's files."""
    return sum(entry.bytes for entry in artifact.manifest.files)


def local_time(iso: str) -> str:
    return dt.datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")


# -- one artifact -------------------------------------------------------------------------------------------------


def artifact_text(artifact: Artifact, store: Store) -> str:
    """A manifest as a person reads it."""
    manifest = artifact.manifest
    stale = [
        ("stale", f"made from what is withdrawn: {each.describe()}") for each in Staleness(store).of(artifact.digest)
    ]
    sections = [
        ("", [("artifact", manifest.name), *stale, *_about(artifact)]),
        ("made from", list(_made_from(manifest, store))),
        ("owners and licences", list(_parties(manifest))),
        ("configuration", [*_leaves(manifest.config), *([("seed", _plain(manifest.seed))])]),
        ("environment", list(_leaves(manifest.environment))),
        ("figures", list(_leaves(manifest.stats))),
        ("files", [(entry.path, format_bytes(entry.bytes)) for entry in manifest.files]),
    ]
    return "\n\n".join(_section(title, rows) for title, rows in sections if rows)


def _about(artifact: Artifact) -> list[tuple[str, str]]:
    manifest, used = artifact.manifest, artifact.manifest.resources
    code = f"kiban {manifest.code.version}"
    if manifest.code.git_commit:
        changed = {True: ", with local changes", False: "", None: ", local changes unknown"}[manifest.code.git_dirty]
        code += f", commit {manifest.code.git_commit[:12]}{changed}"
    attempts = f" over {used.attempts} attempts" if used.attempts > 1 else ""
    seconds = [format_seconds(value) for value in (used.wall_s, used.cpu_s, used.gpu_s)]
    energy = "not known" if used.energy_j is None else f"{format_energy(used.energy_j)} {used.energy_source}"
    if used.energy_method:
        energy += f" ({used.energy_method})"
    rows = [
        ("digest", manifest.digest),
        ("kind", f"{manifest.kind}, made by stage {manifest.stage} (version {manifest.stage_version})"),
        ("folder", str(artifact.path)),
        ("made", f"{local_time(manifest.started)} to {local_time(manifest.finished)} with {code}"),
        ("took", f"{seconds[0]} (processor {seconds[1]}, GPU {seconds[2]}){attempts}"),
        ("memory", f"{format_bytes(used.peak_memory_bytes)} at most"),
        ("energy", energy),
        ("size", f"{format_bytes(size(artifact))} in {len(manifest.files)} files"),
    ]
    if figure := headline(manifest):
        rows.insert(2, ("headline", figure))
    return rows


def _made_from(manifest: Manifest, store: Store) -> Iterator[tuple[str, str]]:
    for role, ref in manifest.inputs.items():
        if ref.kind == "external":
            yield role, f"{ref.digest[:12]}  from outside the store"
        elif found := store.get(ref.digest):
            yield role, f"{ref.digest[:12]}  {found.manifest.name}"
        else:
            yield role, f"{ref.digest[:12]}  missing: no longer in the store"


def _parties(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for party in manifest.parties:
        cleared = f"; cleared for {', '.join(party.uses)}" if party.uses else ""
        yield party.source, f"{party.owner}; {party.licence}{cleared}"


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and value of every leaf; a list of plain values is one leaf."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(tree, list) and any(isinstance(item, dict | list) for item in tree):
        for index, value in enumerate(tree):
            yield from _leaves(value, f"{prefix}.{index}")
    elif prefix:
        yield prefix, _plain(tree)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value if value and value.isprintable() else json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value) or "-"
    return json.dumps(value, ensure_ascii=False)


def _section(title: str, rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(key) for key, _ in rows)
    lines = [f"{'  ' if title else ''}{key.ljust(width)}  {value}" for key, value in rows]
    return "\n".join([title, *lines] if title else lines)


# -- two artifacts ------------------------------------------------------------------------------------------------

COMPARED = ("config", "inputs", "code", "environment", "resources", "stats")


def compare(old: Artifact, new: Artifact) -> dict[str, Any]:
    """What differs between two artifacts, part by part, as lists of {key, old, new}.

    Figures that are numbers on both sides also have `change`, relative to the old one (None where that is 0).
    """
    before, after = old.manifest.model_dump(mode="json"), new.manifest.model_dump(mode="json")
    for manifest in (before, after):
        manifest["inputs"] = {role: ref["digest"] for role, ref in manifest["inputs"].items()}
        manifest["code"] = {**manifest["code"], "stage_version": manifest["stage_version"]}
        manifest["config"] = {**manifest["config"], "seed": manifest["seed"]}
    parts: dict[str, Any] = {
        "old": {"digest": old.digest, "name": old.manifest.name, "kind": old.kind},
        "new": {"digest": new.digest, "name": new.manifest.name, "kind": new.kind},
    }
    for part in COMPARED:
        parts[part] = [_difference(*found) for found in differences(before[part], after[part])]
    files = [{entry.path: entry for entry in side.manifest.files} for side in (old, new)]
    parts["files"] = [
        {"key": path, "old": left.bytes if left else None, "new": right.bytes if right else None}
        for path in sorted({*files[0], *files[1]})
        for left, right in [(files[0].get(path), files[1].get(path))]
        if (left and left.sha256) != (right and right.sha256)
    ]
    return parts


def _difference(key: str, old: Any, new: Any) -> dict[str, Any]:
    row = {"key": key, "old": old, "new": new}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new)):
        row["change"] = (new - old) / abs(old) if old else None
    return row


def comparison_text(compared: dict[str, Any]) -> str:
    """`compare`'s result for a terminal."""
    old, new = compared["old"], compared["new"]
    lines = [
        f"- {old['name']}  {old['digest'][:12]}  {old['kind']}",
        f"+ {new['name']}  {new['digest'][:12]}  {new['kind']}",
    ]
    if old["digest"] == new["digest"]:
        return "\n".join([*lines, "", "the same artifact"])
    titles = {"config": "configuration", "stats": "figures"}
    for part in (*COMPARED, "files"):
        if rows := compared[part]:
            lines += ["", titles.get(part, part), *_difference_lines(rows, part)]
    return "\n".join(lines)


def _difference_lines(rows: Sequence[dict[str, Any]], part: str) -> Iterator[str]:
    def say(value: Any) -> str:
        if value is None:
            return "-"
        if part == "files":
            return format_bytes(value)
        return str(value)[:12] if part == "inputs" else _plain(value)

    width = max(len(row["key"]) for row in rows)
    left = min(max(len(say(row["old"])) for row in rows), 40)
    for row in rows:
        change = f"  ({row['change']:+.1%})" if row.get("change") is not None else ""
        if part == "files" and row["old"] == row["new"]:
            change = "  (other bytes)"
        yield f"  {row['key'].ljust(width)}  {say(row['old']).rjust(left)} → {say(row['new'])}{change}"
