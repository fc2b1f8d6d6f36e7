"""`kiban corpus`: looking into corpora, and taking back what is in them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kiban.cli.corpus_classifier import classifier
from kiban.cli.corpus_inspect import inspect
from kiban.cli.corpus_report import report
from kiban.kit.errors import BadInput
from kiban.kit.store import Store

if TYPE_CHECKING:
    from kiban.kit.withdrawals import Kind, Staleness, Withdrawal

as_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.group()
def corpus() -> None:
    """Look into corpora, teach what good text is, and withdraw documents from what is made of them."""


for command in (report, inspect, classifier):
    corpus.add_command(command)


@corpus.command()
@click.argument("what", metavar="[ID|OWNER]", required=False)
@click.option("--as", "kind", type=click.Choice(["document", "owner"]), help="What it names; default: what is known.")
@click.option("--source", metavar="NAME", help="Only of the source called so.")
@click.option(
    "--artifact", "references", metavar="REF", multiple=True, help="Find it in what REF was made from; repeatable."
)
@click.option("--reason", metavar="TEXT", help="Kept in the record.")
@click.option("--dry-run", is_flag=True, help="Say which artifacts saw it, and record nothing.")
@click.option("--list", "listing", is_flag=True, help="Show what is withdrawn already, and what is stale for it.")
@as_json_option
@click.pass_obj
def withdraw(
    store_root: Path,
    what: str | None,
    kind: Kind | None,
    source: str | None,
    references: tuple[str, ...],
    reason: str | None,
    dry_run: bool,
    listing: bool,
    as_json: bool,
) -> None:
    """Take a document, or all of an owner, back: list the artifacts that saw it and mark them stale.

    ID is a document's id in a corpus, as reports show it. Artifacts stay as they are; `kiban show` says that they are
    stale, and `kiban make` makes a corpus that held it again without it, and what comes after. Records and marks
    are kept in the store, and there is no command that takes them back.
    """
    from kiban.kit.withdrawals import Staleness, Withdrawal, record, withdrawals
    from kiban.make.corpus.rights.withdrawal import count_in_corpora, resolve, search_corpora

    if (what is None) != listing:
        raise BadInput("give a document's id or an owner, or --list", where="kiban corpus withdraw")
    store = _open(store_root)
    with store.in_use():
        if listing:
            search_corpora(store)
            stale = Staleness(store)
            rows = [_seen(store, each, stale) for each in withdrawals(store)]
            _print({"withdrawals": rows}, as_json, "\n\n".join(map(_text, rows)) or "nothing is withdrawn")
            return
        assert what is not None
        within = [store.find(reference).manifest for reference in references] or None
        meant = resolve(store, what, kind=kind, source=source, within=within)
        if dry_run:
            imagined = Withdrawal("", **asdict(meant), reason=reason, recorded="")
            stale = Staleness(store, imagined={imagined: count_in_corpora(store, imagined)})
            row = {**_seen(store, imagined, stale), "dry_run": True}
        else:
            made = record(store, **asdict(meant), reason=reason)
            search_corpora(store)
            row = {**_seen(store, made, Staleness(store)), "dry_run": False}
    _print(row, as_json, _text(row))


def _seen(store: Store, withdrawal: Withdrawal, stale: Staleness) -> dict[str, Any]:
    names: dict[str, list[str]] = {}
    for name, digest in store.names().items():
        names.setdefault(digest, []).append(name)
    artifacts = [
        {
            "name": manifest.name,
            "names": names.get(manifest.digest, []),
            "kind": manifest.kind,
            "digest": manifest.digest,
            "documents": stale.documents(withdrawal, manifest.digest),
        }
        for manifest in stale.seen_by(withdrawal)
    ]
    return {
        "withdrawal": {**asdict(withdrawal), "texts": len(withdrawal.texts)},
        "what": withdrawal.describe(),
        "artifacts": artifacts,
    }


def _text(row: dict[str, Any]) -> str:
    when = f", recorded {row['withdrawal']['recorded'][:10]}" if row["withdrawal"]["recorded"] else ""
    lines = [f"{row['what']}{when}"]
    if row["withdrawal"]["reason"]:
        lines.append(f"  reason: {row['withdrawal']['reason']}")
    if not row["artifacts"]:
        return "\n".join([*lines, "  no artifact in this store saw it; what is made from now on will not"])
    would = "would be stale" if row.get("dry_run") else "stale"
    lines.append(f"  {would}:")
    width = max(len(each["name"]) for each in row["artifacts"])
    for each in row["artifacts"]:
        held = f"{each['documents']} document{'s' if each['documents'] != 1 else ''}" if each["documents"] else ""
        old = "" if each["names"] else "  (replaced since)"
        lines.append(
            f"    {each['name'].ljust(width)}  {each['digest'][:12]}  {each['kind']:<10}  {held}{old}".rstrip()
        )
    if any(each["kind"] == "model" for each in row["artifacts"]):
        lines.append("  a service that runs one of these models goes on until it is stopped")
    recipes = sorted({name.partition("/")[0] for each in row["artifacts"] for name in each["names"]})
    if recipes:
        lines.append(f"  `kiban make` with the recipe makes again without it: {', '.join(recipes)}")
    return "\n".join(lines)


def _open(root: Path) -> Store:
    if not (root / "artifacts").is_dir():
        raise BadInput("there is no store here", where=str(root), hint="give its folder: kiban --store FOLDER …")
    return Store(root)


def _print(value: dict[str, Any], as_json: bool, text: str) -> None:
    sys.stdout.write((json.dumps(value, ensure_ascii=False, allow_nan=False) if as_json else text) + "\n")
