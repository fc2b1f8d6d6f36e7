"""What `inspect` found, for a terminal: removed text red, added text green, and both marked where colour is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from kiban.kit.text import visible_line

Style = Literal["removed", "added", "bad", "good", "quiet", "strong"]
Paint = Callable[[str, Style], str]
WORDS = {"drop": "dropped", "rephrase": "set aside to be rewritten", "keep": "kept"}
MOST_PERSONAL = 30
FATES = {
    "train": "in it, for training",
    "heldout": "in it, held out",
    "rephrase": "set aside in it, to be rewritten",
    "dropped": "not in it",
    "absent": "not in it, and not named in its tables: it may have been made of other documents",
}


def as_text(found: Mapping[str, Any], paint: Paint) -> str:
    """Args: paint: puts text into a style; the identity for a plain one."""
    return "\n".join(_lines(found, paint))


def _lines(found: Mapping[str, Any], paint: Paint) -> Iterator[str]:
    yield paint(f"{found['source']}: {visible_line(found['id'])}", "strong")
    size = "" if found["characters"] is None else f", {found['characters']:,} characters as read"
    yield f"  file {visible_line(found['file'])}{size}"
    yield f"  owner {found['owner']}, licence {found['licence']}"
    for name, value in found["fields"].items():
        yield f"  {name} {visible_line(value[:100])}"
    if found["anchors"]:
        some = ", ".join(found["anchors"][:6])
        yield f"  parts {visible_line(some)}{' …' if len(found['anchors']) > 6 else ''}"
    quiet: list[str] = []
    for step in found["steps"]:
        if not step["places"] and not step["verdict"] and not (step["step"] == "privacy" and found["personal_data"]):
            quiet.append(step["step"])
            continue
        yield ""
        yield from _step(step, found, paint)
    if quiet:
        yield ""
        yield f"{paint(', '.join(quiet), 'strong')}  nothing to change"
    if found["personal_data"] and all(step["step"] != "privacy" for step in found["steps"]):
        yield ""
        yield f"{paint('personal data', 'strong')}  found, though the document does not come so far"
        yield from _personal(found["personal_data"], paint)
    if found["quality"]:
        yield ""
        yield from _quality(found["quality"], paint)
    yield ""
    verdict = found["verdict"]
    yield f"{paint('by itself', 'strong')}  {_decided(verdict, paint)}"
    if found["corpus"]:
        yield ""
        yield from _finished(found["corpus"], paint)


def _step(step: Mapping[str, Any], found: Mapping[str, Any], paint: Paint) -> Iterator[str]:
    personal = found["personal_data"] if step["step"] == "privacy" else []
    said = [f"{step['characters']:,} characters"]
    if step["places"]:
        said.append(f"changed at {_places(step)}")
    if personal:
        said.append(f"{len(personal)} place{'s' * (len(personal) > 1)} with personal data or secrets")
    yield f"{paint(step['step'], 'strong')}  {', '.join(said)}"
    yield from _changes(step, paint)
    yield from _personal(personal, paint)
    if step["verdict"]:
        yield f"  {_decided(step['verdict'], paint)}"


def _personal(found: Sequence[Mapping[str, Any]], paint: Paint) -> Iterator[str]:
    for each in found[:MOST_PERSONAL]:
        care = f", special care: {', '.join(each['special_care'])}" if each["special_care"] else ""
        what = f"{each['kind']} ({each['rule']}), {each['action']}, line {each['line']}{care}"
        yield f"  {what}: {paint(visible_line(_arrows(each['text'])), 'quiet')}"
    if len(found) > MOST_PERSONAL:
        yield f"  … and {len(found) - MOST_PERSONAL} more"


def _places(shown: Mapping[str, Any]) -> str:
    if not shown["all_places"]:
        return f"more than {shown['places']} places"
    return f"{shown['places']} place{'s' * (shown['places'] > 1)}"


def _changes(shown: Mapping[str, Any], paint: Paint) -> Iterator[str]:
    for change in shown["changes"]:
        removed, added = (visible_line(_arrows(change[key])) for key in ("before", "after"))
        marked = (paint(f"[-{removed}-]", "removed") if removed else "") + (
            paint(f"{{+{added}+}}", "added") if added else ""
        )
        left, right = (paint(visible_line(_arrows(change[key])), "quiet") for key in ("left", "right"))
        yield f"  {change['at']:>9,}  {left}{marked}{right}"
    if shown["places"] > len(shown["changes"]):
        yield f"  {'…':>9}  the first {len(shown['changes'])} of {_places(shown)}"


def _arrows(text: str) -> str:
    return text.replace("\n", "↵")


def _decided(verdict: Mapping[str, Any], paint: Paint) -> str:
    kept = verdict["decision"] == "keep"
    word = paint(WORDS[verdict["decision"]], "good" if kept else "bad")
    return word if kept else f"{word}: {_why(verdict)}"


def _why(said: Mapping[str, Any]) -> str:
    figures = ""
    if said["value"] is not None and said["limit"] is not None:
        figures = f" ({said['value']:.4g}, limit {said['limit']:.4g})"
    detail = f": {visible_line(said['detail'])}" if said["detail"] else ""
    return f"{said['rule']}{figures}{detail}"


def _quality(quality: Mapping[str, Any], paint: Paint) -> Iterator[str]:
    yield f"{paint('quality rules', 'strong')}  profile {quality['profile']}"
    rows = [
        (
            "FAILS" if rule["failed"] else "says nothing" if rule["value"] is None else "passes",
            rule["rule"],
            rule["statistic"],
            "—" if rule["value"] is None else f"{rule['value']:.4g}",
            f"{rule['decision']}s at {rule['comparison']} {rule['limit']:g}",
        )
        for rule in quality["rules"]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    for row in rows:
        line = "  ".join(
            cell.rjust(width) if place == 3 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"  {paint(line.rstrip(), 'bad') if row[0] == 'FAILS' else line.rstrip()}"


def _finished(corpus: Mapping[str, Any], paint: Paint) -> Iterator[str]:
    where = f" ({corpus['file']})" if corpus["file"] else ""
    kept = corpus["fate"] in ("train", "heldout")
    title = f"{paint('finished corpus', 'strong')}  {corpus['name']} {corpus['digest'][:12]}"
    yield f"{title}: {paint(FATES[corpus['fate']], 'good' if kept else 'bad')}{where}"
    for said in corpus["said"]:
        yield f"  {_why(said)}"
    for note in corpus["file_notes"]:
        detail = f": {visible_line(note['detail'])}" if note["detail"] else ""
        yield f"  its file was {note['outcome']}, {note['reason']}{detail}"
    if corpus["duplicates_of_it"]:
        yield f"  {corpus['duplicates_of_it']:,} others were dropped as its duplicates"
    if corpus["changes"] and corpus["changes"]["places"]:
        places = _places(corpus["changes"])
        yield f"  its text there differs at {places}: passages that others have too, or another recipe"
        yield from _changes(corpus["changes"], paint)


def plain(text: str, style: Style) -> str:
    return text
