"""What changed between two versions of a text, for `components/diff.html`.

Japanese has no spaces, so texts are compared by kanji and by runs of kana, letters and digits, which come close to
words; single characters would scatter a rewritten sentence into crumbs. Paragraphs are matched first, so that
a long text costs little more than its changed paragraphs. The matching is Ratcliff and Obershelp's (1988), as difflib
has it. Which fields of a form changed, `kiban.office.proposals.differences` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

# Beyond this many pieces in a changed paragraph its words are no longer matched: it is shown as replaced.
MOST_PIECES = 4000
# Paragraphs less alike than this have nothing to do with one another.
LEAST_ALIKE = 0.3

_PIECES = re.compile(
    r"[々〇\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff][\ufe00-\ufe0f\U000e0100-\U000e01ef]?"  # 異体字 stay whole
    r"|[\u3041-\u309f]+|[\u30a1-\u30ffー]+|[A-Za-zÀ-ɏ]+|\d[\d,.]*|\s+|.",
    re.DOTALL,
)

Kind = Literal["same", "added", "removed"]


@dataclass(frozen=True)
class Piece:
    """A stretch of text and what became of it."""

    kind: Kind
    text: str


def text_diff(before: str, after: str) -> list[Piece]:
    """Two versions of a text as one: its pieces in order; removed ones stand before those that took their place."""
    pieces: list[Piece] = []
    for kind, old, new in _blocks(_lines(before), _lines(after)):
        if kind == "equal":
            pieces.append(Piece("same", "".join(old)))
        else:
            pieces.extend(_paragraphs(old, new))
    return _joined(pieces)


def shortened(pieces: Sequence[Piece], around: int = 80) -> list[Piece | None]:
    """Without long unchanged stretches: so many characters are left on either side of a change; None is a gap."""
    shown: list[Piece | None] = []
    for place, piece in enumerate(pieces):
        if piece.kind != "same" or len(piece.text) <= 2 * around + 20:
            shown.append(piece)
            continue
        if place > 0:
            shown.append(Piece("same", piece.text[:around]))
        shown.append(None)
        if place < len(pieces) - 1:
            shown.append(Piece("same", piece.text[-around:]))
    return shown


def _lines(text: str) -> list[str]:
    """Paragraphs with their ends, and long ones by sentences: Japanese forms are often one paragraph."""
    return [part for line in text.splitlines(keepends=True) for part in re.split(r"(?<=[。！？])", line) if part]


def _blocks(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        yield kind, before[old_from:old_to], after[new_from:new_to]


def _paragraphs(old: Sequence[str], new: Sequence[str]) -> Iterator[Piece]:
    one, other = _PIECES.findall("".join(old)), _PIECES.findall("".join(new))
    is_small = len(one) <= MOST_PIECES and len(other) <= MOST_PIECES
    matcher = SequenceMatcher(None, one, other, autojunk=False) if is_small else None
    if matcher is None or matcher.quick_ratio() < LEAST_ALIKE or matcher.ratio() < LEAST_ALIKE:
        yield Piece("removed", "".join(old))
        yield Piece("added", "".join(new))
        return
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if kind == "equal":
            yield Piece("same", "".join(one[old_from:old_to]))
        else:
            yield Piece("removed", "".join(one[old_from:old_to]))
            yield Piece("added", "".join(other[new_from:new_to]))


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours of a kind as one, and what was replaced piece by piece as one replacement."""
    joined: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        kinds = [each.kind for each in joined[-2:]]
        if kinds[-1:] == [piece.kind]:
            joined[-1] = Piece(piece.kind, joined[-1].text + piece.text)
        elif kinds == ["removed", "added"] and piece.kind == "removed":
            joined[-2] = Piece("removed", joined[-2].text + piece.text)
        else:
            joined.append(piece)
    return joined
