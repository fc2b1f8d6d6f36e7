"""The page's words and figures in one language; whatever comes from documents or a recipe is escaped here."""

from __future__ import annotations

import difflib
import functools
import importlib.resources
import json
import re
from collections.abc import Mapping

from markupsafe import Markup, escape

from kiban.kit.figures import Language, short_count
from kiban.kit.text import visible_line
from kiban.kit.units import format_bytes

LANGUAGES: tuple[Language, ...] = ("ja", "en")
PLACEHOLDER = re.compile(r"\{(\w+)\}")
# Of a name or text from outside: a record may call itself by a whole page.
SHOWN_CHARACTERS = 80
# A change in more pieces than this is shown as one text in the place of another.
MOST_PIECES = 6
# Smaller counts are as easily read in full.
SHORT_FROM = 10_000


@functools.cache
def messages() -> Mapping[str, Mapping[Language, str]]:
    """Every text of the page, by key and language."""
    assert __package__
    found: dict[str, dict[Language, str]] = json.loads(
        (importlib.resources.files(__package__) / "messages.json").read_text(encoding="utf-8")
    )
    return found


class Writer:
    """Says things in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    # -- words ----------------------------------------------------------------------------------------------------

    def t(self, key: str, **values: Markup | str | int) -> Markup:
        """A message with values in its places; values are made safe, the message itself is ours.

        Raises:
            KeyError: no such message, or a place without a value.
        """
        said = {name: str(escape(f"{value:,}" if isinstance(value, int) else value)) for name, value in values.items()}
        return Markup(PLACEHOLDER.sub(lambda place: said[place[1]], messages()[key][self.language]))

    def counted(self, key: str, n: int) -> Markup:
        """A message about `n` things."""
        return self.t(f"{key}.one" if n == 1 else key, n=n)

    def word(self, group: str, name: str, most: int = SHOWN_CHARACTERS) -> Markup:
        """What kiban calls something in words, else its own name."""
        key = f"{group}.{name}"
        return self.t(key) if key in messages() else self.text(name, most)

    def named(self, group: str, name: str) -> Markup:
        """In words, with the identifier that reports and recipes use."""
        if f"{group}.{name}" not in messages():
            return self.code(name)
        return self.word(group, name) + Markup(" ") + self.code(name)

    def text(self, text: str, most: int = SHOWN_CHARACTERS) -> Markup:
        """One line of text from outside."""
        return escape(shortened(text, most))

    def code(self, text: str, most: int = SHOWN_CHARACTERS) -> Markup:
        return Markup("<code>{}</code>").format(shortened(text, most))

    def change(self, before: str, after: str) -> tuple[Markup, Markup]:
        """Both excerpts, with what is gone marked in the one and what is new in the other."""
        before, after = shortened(before), shortened(after)
        pieces = [*difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()]
        # What only one of them has at its end is where the excerpts end, and no change.
        if len(pieces) > 2 and pieces[-1][0] in ("insert", "delete"):
            del pieces[-1]
        if sum(kind != "equal" for kind, *_ in pieces) > MOST_PIECES:
            pieces = [("replace", 0, len(before), 0, len(after))]
        old, new = Markup(), Markup()
        for kind, i, j, k, n in pieces:
            same = kind == "equal"
            old += escape(before[i:j]) if same else Markup("<del>{}</del>").format(before[i:j]) if j > i else ""
            new += escape(after[k:n]) if same else Markup("<ins>{}</ins>").format(after[k:n]) if n > k else ""
        return old, new

    # -- figures --------------------------------------------------------------------------------------------------

    def data(self, value: float, shown: str) -> Markup:
        """A figure with its full value behind it."""
        return Markup('<data value="{}">{}</data>').format(json.dumps(value), shown)

    def exact(self, value: int) -> Markup:
        return self.data(value, f"{value:,}")

    def short(self, value: int) -> Markup:
        """A count, to three digits where it is large."""
        return self.data(value, f"{value:,}" if value < SHORT_FROM else short_count(value, self.language))

    def bytes(self, value: int) -> Markup:
        return self.data(value, format_bytes(value))

    def figure(self, value: float) -> Markup:
        """A statistic of a document."""
        return self.data(value, f"{value:,}" if isinstance(value, int) else f"{value:,.4g}")

    def share(self, part: float, whole: float) -> Markup:
        return self.data(part / whole if whole else 0.0, share(part, whole))


def share(part: float, whole: float) -> str:
    """'12.3%'; what is neither nothing nor all never reads as if it were."""
    value = part / whole if whole else 0.0
    if 0 < value < 0.0005:
        return "<0.1%"
    if 0.9995 <= value < 1:
        return ">99.9%"
    return f"{value:.1%}"


def shortened(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """One visible line of at most `most` characters."""
    line = text if len(text) <= most else f"{text[: most - 1]}…"
    # Fonts have this arrow; few have the picture of a line feed.
    return visible_line(line.replace("\n", "↵"))
