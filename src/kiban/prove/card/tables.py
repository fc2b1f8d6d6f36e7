"""The card's tables, the same for the page and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from kiban.kit.page import Table
from kiban.prove.card.contents import Card, Party
from kiban.prove.card.facts import Fact
from kiban.prove.card.writer import Writer

NOT_APPLICABLE = Markup("—")


def tables(w: Writer, card: Card) -> dict[str, Table]:
    """Every table of the card in the language and dialect of `w`."""
    made = {"sources": _sources(w, card), "splits": _splits(w, card), "cost": _cost(w, card), "bits": _bits(w, card)}
    return made | {"others": _others(w, card), "tasks": _tasks(w, card), "inputs": _inputs(w, card)}


def _heads(w: Writer, *keys: str) -> tuple[Markup, ...]:
    return tuple(w.t(key) for key in keys)


def _figures(w: Writer, facts: Sequence[Fact]) -> tuple[Markup, ...]:
    return tuple(w.fact(fact) for fact in facts)


def _rights(w: Writer, party: Party) -> tuple[Markup, ...]:
    between = Markup("・" if w.language == "ja" else ", ")
    uses = between.join(w.fact(use) for use in party.uses) if party.uses else w.missing()
    return w.text(party.name), w.fact(party.owner), w.fact(party.licence), uses


def _sources(w: Writer, card: Card) -> Table:
    keys = ("source", "owner", "licence", "uses", "documents", "characters", "bytes", "dropped", "files_skipped")
    rows = [
        (
            *_rights(w, row.party),
            *_figures(w, [row.documents, row.characters, row.bytes, row.dropped, row.files_skipped]),
        )
        for row in card.made_from.sources
    ]
    return Table(w.t("from.sources.caption"), _heads(w, *keys), tuple(rows), 4)


def _splits(w: Writer, card: Card) -> Table:
    rows = [
        (w.t(f"split.{split.name}"), *_figures(w, [split.documents, split.characters, split.bytes]))
        for split in card.made_from.splits
    ]
    return Table(w.t("from.splits.caption"), _heads(w, "split", "documents", "characters", "bytes"), tuple(rows), 1)


def _others(w: Writer, card: Card) -> Table:
    rows = [_rights(w, party) for party in card.made_from.others]
    return Table(w.t("from.others.caption"), _heads(w, "what", "owner", "licence", "uses"), tuple(rows), 4)


def _cost(w: Writer, card: Card) -> Table:
    keys = ("stage", "wall", "cpu", "gpu", "memory", "energy", "energy_source", "attempts")
    rows = [
        (
            w.stage(row.stage),
            *_figures(w, [row.wall_s, row.cpu_s, row.gpu_s, row.peak_memory_bytes, row.energy_j]),
            *_figures(w, [row.energy_source, row.attempts]),
        )
        for row in card.cost.stages
    ]
    cost = card.cost
    total = _figures(w, [cost.wall_s, cost.cpu_s, cost.gpu_s, cost.peak_memory_bytes, cost.energy_j])
    footer = (w.t("cost.total"), *total, NOT_APPLICABLE, w.fact(cost.attempts))
    return Table(w.t("cost.caption"), _heads(w, *keys), tuple(rows), 1, footer)


def _bits(w: Writer, card: Card) -> Table:
    keys = ("scores.what", "bits_per_byte", "scores.interval", "scores.difference")
    rows = [
        (
            w.t(f"score.{row.key}"),
            w.fact(row.bits.value),
            w.interval(row.bits) if row.bits.value else NOT_APPLICABLE,
            w.estimate(row.difference) if row.difference else NOT_APPLICABLE,
        )
        for row in card.scores.bits_per_byte
    ]
    caption = w.t("scores.bits.caption", documents=card.scores.documents, bytes=card.scores.bytes)
    return Table(caption, _heads(w, *keys), tuple(rows), 1)


def _tasks(w: Writer, card: Card) -> Table:
    keys = ("task", "what", "items", "accuracy", "interval", "chance", "errors", "p")
    rows = [
        (
            w.text(row.name),
            w.t(f"score.{row.key}"),
            w.fact(row.items),
            w.fact(row.accuracy.value),
            w.interval(row.accuracy) if row.accuracy.value else NOT_APPLICABLE,
            w.fact(row.chance),
            w.fact(row.errors),
            w.fact(row.p) if row.p else NOT_APPLICABLE,
        )
        for row in card.scores.tasks
    ]
    return Table(w.t("scores.tasks.caption"), _heads(w, *(f"scores.{key}" for key in keys)), tuple(rows), 2)


def _inputs(w: Writer, card: Card) -> Table:
    rows = [(w.stage(each.role), w.text(each.name), w.fact(each.finished), w.code(each.digest)) for each in card.inputs]
    keys = ("stage", "evidence.name", "evidence.finished", "evidence.digest")
    return Table(w.t("evidence.caption"), _heads(w, *keys), tuple(rows), 4)
