"""report.html: a finished corpus as one page that loads nothing, in both languages, Japanese first.

It is made from report.json and from what `findings` counts, so it costs little beside the corpus; and of everything
that can be many (sources, rules, examples, files) it shows a bounded number, so it stays below MOST_BYTES.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from markupsafe import Markup

from kiban.kit.page import Table, environment, style
from kiban.make.corpus.report import charts, tables
from kiban.make.corpus.report.contents import SPLITS, by_count, sums
from kiban.make.corpus.report.findings import DUPLICATE_RULES, Findings, find
from kiban.make.corpus.report.words import LANGUAGES, Writer

TEMPLATES = Path(__file__).with_name("templates")
MOST_BYTES = 10**6
# What the second half of a change's kind is where the change is about personal data.
ACTIONS = frozenset({"mask", "pseudonym", "drop", "report", "ignore"})
MOST_RULES = 12  # with examples
MOST_EXAMPLES = 4  # of each rule
MOST_CHANGES = 3  # of each kind
MOST_KINDS = 12
MOST_ENDS = 8  # sources, and rules, in the picture of the flow
MOST_BARS = 14
LABEL_CHARACTERS = 24  # in pictures, where each stands many times


@dataclass(frozen=True)
class Example:
    """A document that a rule decided about.

    Attributes:
        why: the rule's value and limit in words; None for rules without figures.
        bar: both in percent of a row's width.
    """

    id: Markup
    text: Markup
    same_as: Markup | None
    why: Markup | None
    bar: tuple[str, str] | None


def as_page(files: Path, report: Mapping[str, Any], name: str) -> str:
    """The page about the corpus in the folder `files` (of an artifact, or about to become one).

    Args:
        report: the content of its report.json.
        name: what the page calls it: the recipe's name.
    """
    findings = find(files)
    views = [View(Writer(language), name, report, findings) for language in LANGUAGES]
    template = environment(TEMPLATES).get_template("corpus.html.jinja")
    return template.render(name=views[0].w.text(name), views=views, style=style(TEMPLATES / "corpus.css"))


class View:
    """What the template prints in one language."""

    def __init__(self, w: Writer, name: str, report: Mapping[str, Any], findings: Findings) -> None:
        self.w, self.name, self.report, self.findings = w, name, report, findings
        self.sources: Mapping[str, Any] = report["sources"]
        self.read = sum(source["documents_read"] for source in self.sources.values())
        self.kept = sums(report["totals"][split] for split in SPLITS)
        self.aside: int = report["totals"]["rephrase"]["documents"]
        self.dropped: dict[str, dict[str, int]] = {}
        for source in self.sources.values():
            for rule, entry in source["dropped"].items():
                amounts = {key: entry[key] for key in ("documents", "bytes")}
                self.dropped[rule] = sums((self.dropped.get(rule, {}), amounts))
        self.gone = sum(report["totals"]["dropped"].values())
        self.changed: dict[str, int] = {}
        self.cares: dict[str, int] = {}  # special-care data by category
        for kind, count in report["totals"]["changed"].items():
            group, _, name = kind.partition(".")
            if group == "special_care":
                self.cares[name] = count
            elif group == "protected" or name not in ACTIONS:  # personal data ("email.mask") has its own section
                self.changed[kind] = count
        self.lengths = {
            stage: [sum(counts) for counts in zip(*(of["lengths"][stage] for of in self.sources.values()), strict=True)]
            for stage in ("read", "kept")
        }

    # -- the top --------------------------------------------------------------------------------------------------

    def lead(self) -> Markup:
        w = self.w
        figures: dict[str, Markup | int] = {
            "read": w.exact(self.read),
            "sources": len(self.sources),
            "kept": w.exact(self.kept["documents"]),
            "characters": w.short(self.kept["characters"]),
        }
        if not self.gone:
            return w.t("lead.all", **figures)
        return w.t("lead", **figures, dropped=w.exact(self.gone), share=w.share(self.gone, self.read))

    def glance(self) -> list[tuple[Markup, Markup, Markup]]:
        """Name, figure and note of what is said at the top."""
        w, heldout = self.w, self.report["totals"]["heldout"]
        said = [
            (
                "kept",
                w.short(self.kept["documents"]),
                w.t("glance.kept", share=w.share(self.kept["documents"], self.read)),
            ),
            ("characters", w.short(self.kept["characters"]), w.bytes(self.kept["bytes"])),
            ("dropped", w.short(self.gone), w.t("glance.dropped", rules=len(self.dropped))),
            (
                "heldout",
                w.short(heldout["documents"]),
                w.t("glance.heldout", share=w.share(heldout["characters"], self.kept["characters"])),
            ),
        ]
        return [(w.t(key), figure, note) for key, figure, note in said]

    def parts(self) -> list[str]:
        """The sections that there is something to say in."""
        some = {
            "dropped": self.gone,
            "aside": self.aside,
            "changed": self.changed,
            "duplicates": any(self.dropped.get(rule) for rule in DUPLICATE_RULES),
            "privacy": self.findings.places,
        }
        order = (
            "flow",
            "lengths",
            "dropped",
            "aside",
            "duplicates",
            "changed",
            "privacy",
            "rights",
            "heldout",
            "files",
        )
        return [part for part in order if some.get(part, True)]

    # -- pictures and tables ----------------------------------------------------------------------------------------

    def flow(self) -> Markup:
        w = self.w
        reads = {name: source["documents_read"] for name, source in self.sources.items()}
        drops = {rule: entry["documents"] for rule, entry in self.dropped.items()}
        origins, rules = _few(reads), _few(drops)
        fates = [fate for fate in (*SPLITS, "rephrase") if self.report["totals"][fate]["documents"]]
        ends = [charts.End(str(w.t(fate)), fate, self.report["totals"][fate]["documents"]) for fate in fates]
        for group in rules:
            label = w.word("rule", group[0], LABEL_CHARACTERS) if len(group) == 1 else w.t("others.rules", n=len(group))
            ends.append(charts.End(label.unescape(), "dropped", sum(drops[rule] for rule in group)))
        starts, documents = [], []
        for names in origins:
            source = w.text(names[0], LABEL_CHARACTERS) if len(names) == 1 else w.t("others", n=len(names))
            starts.append(charts.End(source.unescape(), "source", sum(reads[name] for name in names)))
            row = [sum(self.sources[name]["kept"][fate]["documents"] for name in names) for fate in fates]
            for group in rules:
                entries = (self.sources[name]["dropped"].get(rule) for name in names for rule in group)
                row.append(sum(entry["documents"] for entry in entries if entry))
            documents.append(tuple(row))
        return charts.flow(w, charts.Flow(tuple(starts), tuple(ends), tuple(documents)))

    def lengths_chart(self) -> Markup:
        return charts.lengths(self.w, self.lengths["read"], self.lengths["kept"])

    def table(self, name: str) -> Table | None:
        w, report, findings = self.w, self.report, self.findings
        if name == "rules":
            return tables.rules(w, self.dropped, self.read, findings)
        if name == "lengths":
            return tables.lengths(w, self.lengths["read"], self.lengths["kept"])
        if name in ("groups", "personal"):
            return {"groups": tables.groups, "personal": tables.personal}[name](w, findings)
        if name == "rights":
            return tables.rights(w, report, findings)
        made: Table | None = getattr(tables, name)(w, report)
        return made

    def encodings(self) -> list[tuple[Markup, str, Markup]]:
        """Name, length of its bar in percent of the row, and number of files."""
        ranked = by_count(sums(source["encodings"] for source in self.sources.values()))[:MOST_BARS]
        return [(self.w.text(name), f"{100 * count / ranked[0][1]:.2f}", self.w.exact(count)) for name, count in ranked]

    # -- examples -------------------------------------------------------------------------------------------------

    def examples(self, section: str) -> list[tuple[Markup, Markup, list[Example]]]:
        """By rule ("dropped" or "set_aside"): its name, how many documents, and the first of them."""
        w = self.w
        if section == "dropped":
            ranked = by_count({rule: entry["documents"] for rule, entry in self.dropped.items()})
        else:
            aside = {rule for source in self.sources.values() for rule in source["set_aside"]}
            ranked = by_count({rule: self.findings.said[rule] for rule in aside})
        shown = []
        for rule, documents in ranked[:MOST_RULES]:
            found = _in_turn(
                source[section].get(rule, {"examples": []})["examples"] for source in self.sources.values()
            )
            examples = [self._example(each) for each in found[:MOST_EXAMPLES]]
            shown.append((w.named("rule", rule), w.counted("n_documents", documents), examples))
        return shown

    def _example(self, example: Mapping[str, Any]) -> Example:
        w = self.w
        why, bar = None, None
        value, limit = example.get("value"), example.get("limit")
        if value is not None and limit is not None:
            side = "above" if value > limit else "below" if value < limit else "at"
            why = w.t(f"limit.{side}", value=w.figure(value), limit=w.figure(limit))
            scale = max(abs(value), abs(limit)) * 1.08 or 1.0
            bar = (f"{100 * abs(value) / scale:.2f}", f"{100 * abs(limit) / scale:.2f}")
        same = w.t("same_as", other=w.code(example["same_as"])) if "same_as" in example else None
        return Example(w.code(example["id"]), w.text(example["text"]), same, why, bar)

    def changes(self) -> list[tuple[Markup, Markup, list[tuple[Markup, Markup, Markup]]]]:
        """By kind: its name, how often, and the first cases: document, before, after."""
        w = self.w
        shown = []
        for kind, count in by_count(self.changed)[:MOST_KINDS]:
            found = _in_turn(
                source["changed"].get(kind, {"examples": []})["examples"] for source in self.sources.values()
            )
            cases = [(w.code(each["id"]), *w.change(each["before"], each["after"])) for each in found[:MOST_CHANGES]]
            group, _, task = kind.partition(".")
            title = w.word("change", group) + Markup(" ") + w.code(task) if task else w.named("change", kind)
            shown.append((title, w.counted("n_places", count), cases))
        return shown

    # -- sentences ------------------------------------------------------------------------------------------------

    def duplicates(self) -> Markup:
        w = self.w
        parts = [
            w.t("duplicates.part", rule=w.word("rule", rule), n=self.dropped[rule]["documents"])
            for rule in DUPLICATE_RULES
            if rule in self.dropped
        ]
        total = sum(self.dropped[rule]["documents"] for rule in DUPLICATE_RULES if rule in self.dropped)
        listed = Markup("、" if w.language == "ja" else ", ").join(parts)
        return w.t("duplicates.said", n=w.exact(total), share=w.share(total, self.read), parts=listed)

    def privacy(self) -> Markup:
        w, findings = self.w, self.findings
        places = w.exact(findings.places.total())
        return w.t("privacy.said", places=places, documents=w.exact(findings.personal[""]))

    def special_care(self) -> Markup | None:
        w = self.w
        listed = [w.t("care.part", care=w.word("care", care), n=count) for care, count in by_count(self.cares)]
        return w.t("care.said", listed=Markup("、" if w.language == "ja" else ", ").join(listed)) if listed else None

    def heldout(self) -> Markup:
        w, heldout = self.w, self.report["totals"]["heldout"]
        return w.t(
            "heldout.said",
            fraction=w.data(self.report["heldout_fraction"], f"{100 * self.report['heldout_fraction']:.4g}%"),
            documents=w.exact(heldout["documents"]),
            share=w.share(heldout["documents"], self.kept["documents"]),
            characters=w.short(heldout["characters"]),
        )

    def files(self) -> Markup:
        w, files = self.w, self.report["totals"]["files"]
        said = [
            w.t("files.said", outcome=w.word("outcome", outcome), n=count) for outcome, count in files.items() if count
        ]
        return Markup("、" if w.language == "ja" else ", ").join(said)

    def replaced(self) -> Markup | None:
        count = sum(source["replaced_bytes"] for source in self.sources.values())
        return self.w.t("files.replaced", n=count) if count else None


def _few(counts: Mapping[str, int]) -> list[tuple[str, ...]]:
    """The largest each alone, and where there are too many the rest together; nothing of what has no documents."""
    ranked = [(name,) for name, count in by_count(counts) if count]
    if len(ranked) <= MOST_ENDS:
        return list(ranked)
    return [*ranked[: MOST_ENDS - 1], tuple(chain.from_iterable(ranked[MOST_ENDS - 1 :]))]


def _in_turn(lists: Iterable[list[Any]]) -> list[Any]:
    """The first of each list, then the second of each, …"""
    return [each for row in zip_longest(*lists) for each in row if each is not None]
