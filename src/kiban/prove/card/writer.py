"""Facts and messages as a reader of one language sees them, in HTML or in Markdown.

Whatever comes from documents, recipes or models is escaped here; templates print what a Writer returns.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from collections.abc import Mapping
from typing import Protocol

from markupsafe import Markup, escape

from kiban.kit.figures import Language, short_count, stage_word
from kiban.kit.text import visible_text
from kiban.kit.units import format_bytes, format_energy, format_seconds
from kiban.prove.card.contents import Entry, Estimate, Limit
from kiban.prove.card.facts import Fact

PLACEHOLDER = re.compile(r"\{(\w+)\}")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@functools.cache
def messages() -> Mapping[str, Mapping[Language, str]]:
    """Every text of the card, by key and language."""
    found: dict[str, dict[Language, str]] = json.loads(
        (importlib.resources.files(__package__) / "messages.json").read_text(encoding="utf-8")
    )
    return found


class Dialect(Protocol):
    def text(self, text: str) -> Markup:
        """Text from outside, made safe."""

    def value(self, shown: str, fact: Fact) -> Markup:
        """A fact's formatted value, with its source where the dialect can carry it."""

    def missing(self, word: str, reason: str | None) -> Markup: ...

    def code(self, text: str) -> Markup: ...

    def quoted(self, text: str) -> Markup:
        """Text as it is, line breaks included."""


class Html:
    def text(self, text: str) -> Markup:
        return escape(visible_text(text))

    def value(self, shown: str, fact: Fact) -> Markup:
        raw = json.dumps(fact.value, ensure_ascii=False) if fact.number is not None else str(fact.value)
        # Where a figure is from, on hover; the full digests are in card.json.
        source = "; ".join(f"{ref.artifact[:12]} {ref.file}{ref.pointer}" for ref in fact.refs)
        prefix = "" if fact.operation == "read" else f"{fact.operation}: "
        return Markup('<data value="{}" title="{}">{}</data>').format(
            visible_text(raw), f"{prefix}{source}", visible_text(shown)
        )

    def missing(self, word: str, reason: str | None) -> Markup:
        return Markup('<span class="missing">{}</span>').format(f"{word} ({reason})" if reason else word)

    def code(self, text: str) -> Markup:
        return Markup("<code>{}</code>").format(text)

    def quoted(self, text: str) -> Markup:
        return self.text(text)


class Markdown:
    def text(self, text: str) -> Markup:
        return Markup(escape_markdown(text))

    def value(self, shown: str, fact: Fact) -> Markup:
        return Markup(escape_markdown(shown))

    def missing(self, word: str, reason: str | None) -> Markup:
        return Markup(f"*{escape_markdown(f'{word} ({reason})' if reason else word)}*")

    def code(self, text: str) -> Markup:
        # A code span cannot hold a bar in a table or a backtick as they are; text can.
        return self.text(text) if re.search(r"[|`\n]", text) else Markup(f"`{text}`")

    def quoted(self, text: str) -> Markup:
        """A fenced block, its fence longer than any run of backticks inside."""
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
        return Markup(f"{fence}text\n{visible_text(text)}\n{fence}")


def escape_markdown(text: str) -> str:
    """One line in which no character means anything to Markdown, GitHub's tables and math, or HTML."""
    line = " ".join(visible_text(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_\[\]|~$])", r"\\\1", line)
    # What would begin a heading, a list or an underline.
    line = re.sub(r"^([#+=-])", r"\\\1", line)
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)


class Writer:
    """Says a card's contents in one language and dialect."""

    def __init__(self, language: Language, dialect: Dialect) -> None:
        self.language = language
        self.dialect = dialect

    # -- words ----------------------------------------------------------------------------------------------------

    def t(self, key: str, **values: Fact | Estimate | Markup | str) -> Markup:
        """A message, with facts in its places; values are made safe, the message itself is ours.

        Raises:
            KeyError: no such message, or a place without a value; the tests call every one.
        """
        said = {name: self._say(value) for name, value in values.items()}
        pattern = messages()[key][self.language]
        return Markup(PLACEHOLDER.sub(lambda place: str(said[place[1]]), pattern))

    def _say(self, value: Fact | Estimate | Markup | str) -> Markup:
        if isinstance(value, Fact):
            return self.fact(value)
        if isinstance(value, Estimate):
            return self.estimate(value)
        return value if isinstance(value, Markup) else self.dialect.text(value)

    def text(self, text: str) -> Markup:
        return self.dialect.text(text)

    def code(self, text: str) -> Markup:
        return self.dialect.code(text)

    def quoted(self, fact: Fact) -> Markup:
        return self.dialect.quoted(str(fact.value)) if fact else self.fact(fact)

    def field(self, name: str) -> Markup:
        """A field's name in words where there are any, else as it stands in the artifact."""
        key = f"field.{name}"
        return self.t(key) if key in messages() else self.dialect.code(name)

    def stage(self, name: str) -> Markup:
        return self.dialect.text(stage_word(name, self.language))

    def names(self, names: tuple[str, ...]) -> Markup:
        return self.dialect.text(("、" if self.language == "ja" else ", ").join(names))

    def missing(self, why: str = "not_recorded", reason: str | None = None) -> Markup:
        return self.dialect.missing(self._word(f"missing.{why}"), reason)

    def words(self, words: str | None) -> Markup:
        """The maker's words, or that there are none."""
        return self.dialect.text(words) if words else self.missing("not_stated")

    def limit(self, limit: Limit) -> Markup:
        stages = tuple(stage_word(stage, self.language) for stage in limit.stages)
        return self.t(f"limit.{limit.key}", **limit.facts, names=self.names(limit.names), stages=self.names(stages))

    # -- figures --------------------------------------------------------------------------------------------------

    def fact(self, fact: Fact) -> Markup:
        """A fact at full precision, in its unit."""
        if fact.missing:
            return self.dialect.missing(self._word(f"missing.{fact.missing}"), fact.reason)
        return self.dialect.value(self.shown(fact), fact)

    def short(self, fact: Fact) -> Markup:
        """A count to three digits, for headlines."""
        if fact.number is None:
            return self.fact(fact)
        return self.dialect.value(short_count(fact.number, self.language), fact)

    def estimate(self, estimate: Estimate) -> Markup:
        """value (low to high), the interval being 95 %."""
        value = self.fact(estimate.value)
        return Markup(f"{value} ({self.interval(estimate)})") if estimate.value else value

    def interval(self, estimate: Estimate) -> Markup:
        if not estimate.low or not estimate.high:
            return self.missing("interval")
        between = "〜" if self.language == "ja" else " to "
        return Markup(f"{self.fact(estimate.low)}{between}{self.fact(estimate.high)}")

    def entries(self, entries: tuple[Entry, ...]) -> Markup:
        """`name value` pairs on one line."""
        pairs = [Markup(f"{self.field(entry.name)} {self.fact(entry.fact)}") for entry in entries]
        return Markup("・" if self.language == "ja" else ", ").join(pairs)

    def shown(self, fact: Fact) -> str:
        """How a fact's value is written."""
        value, unit = fact.value, fact.unit
        if isinstance(value, bool):
            return self._word("yes" if value else "no")
        if isinstance(value, str):
            word = f"value.{value}"
            if word in messages():
                return self._word(word)
            return f"{value[:16].replace('T', ' ')} UTC" if unit == "time" else value
        assert value is not None
        return self._number(value, unit)

    def _number(self, value: float, unit: str | None) -> str:
        if unit == "bytes":
            return format_bytes(value)
        if unit == "s":
            return self._seconds(value)
        if unit == "J":
            return format_energy(value)
        if unit == "flops":
            digits, _, exponent = f"{value:.2e}".partition("e")
            return f"{digits} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"
        if unit == "fraction":
            return f"{value:.1%}"
        if unit == "bits/byte":
            return f"{value:.3f}"
        if unit == "bits/byte difference":
            return f"{value:+.3f}".replace("-", "−")
        if isinstance(value, int) or (abs(value) >= 1000 and value == round(value)):
            return f"{round(value):,}" if abs(value) < 1e15 else f"{value:.3g}"
        return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:.3g}"

    def _seconds(self, seconds: float) -> str:
        text = format_seconds(seconds)
        if self.language == "en":
            return text
        for english, japanese in ((" h ", "時間"), (" min ", "分"), (" min", "分"), (" s", "秒")):
            text = text.replace(english, japanese)
        return text

    def _word(self, key: str) -> str:
        return messages()[key][self.language]
