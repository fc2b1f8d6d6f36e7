"""The gate for a recogniser of names that somebody installs: a trained model finds names that no rule does.

kiban brings none: the ones for Japanese run at a hundredth of the rules' speed or slower. A package offers one as an
entry point of the group `kiban.corpus.ner`; the recipe names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import Protocol

from kiban.kit.errors import BadInput

GROUP = "kiban.corpus.ner"


class Recogniser(Protocol):
    """Finds names of persons. It must give the same answer for the same text, whatever it is asked with."""

    def find(self, texts: Sequence[str]) -> Sequence[Sequence[tuple[int, int]]]:
        """For each text the beginning and end of each name, in characters."""


def recogniser(name: str) -> Recogniser | None:
    """The installed recogniser `name`; None for "none".

    Raises:
        BadInput: none of that name is installed.
    """
    if name == "none":
        return None
    installed = {point.name: point for point in metadata.entry_points(group=GROUP)}
    if name not in installed:
        offered = ", ".join(sorted(installed)) or "none"
        raise BadInput(
            f"no recogniser of names is installed as {name!r}", where="privacy.ner", hint=f"installed: {offered}"
        )
    made: Recogniser = installed[name].load()()
    return made
