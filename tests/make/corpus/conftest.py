from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kiban.make.corpus.config import Source
from kiban.make.corpus.extractor import Extractor
from kiban.make.corpus.formats.events import Notes, Record, Unreadable
from kiban.make.corpus.reader import Document, read_documents
from kiban.make.corpus.reading import read_files
from kiban.make.corpus.sources import NotRead, SourceFile, find_files
from kiban.make.corpus.stage import run
from kiban.make.recipe import Recipe
from kiban.make.stage import StageContext, StageResult


@dataclass
class Made:
    """A corpus that a test made."""

    files: Path
    result: StageResult

    @property
    def documents(self) -> list[Document]:
        return [*read_documents(self.files, "train"), *read_documents(self.files, "heldout")]

    @property
    def texts(self) -> dict[str, str]:
        return {document.id: document.text for document in self.documents}

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.files / "report.json").read_text())
        return found

    def dropped(self, source: str = "docs") -> dict[str, int]:
        return {reason: entry["documents"] for reason, entry in self.report["sources"][source]["dropped"].items()}

    def notes(self, source: str = "docs") -> dict[str, tuple[str, str]]:
        """File name -> (outcome, reason) of every file that was not simply read."""
        return {
            note["name"]: (note["outcome"], note["reason"]) for note in self.report["sources"][source]["file_notes"]
        }


MakeContext = Callable[..., StageContext]


@pytest.fixture
def make_context(tmp_path: Path) -> MakeContext:
    """A context for sources given as {name: path or dict of recipe keys}; other arguments go into `corpus`."""

    def context(sources: dict[str, Any], *, work: str = "work", seed: int = 1, **corpus: Any) -> StageContext:
        listed = []
        for name, given in sources.items():
            keys = given if isinstance(given, dict) else {"path": str(given)}
            listed.append(
                {"name": name, "owner": "Shiomi", "licence": "CC0-1.0", "uses": ("train", "evaluate"), **keys}
            )
        recipe = Recipe.model_validate(
            {
                "name": "test",
                "seed": seed,
                "corpus": {"sources": tuple(listed), **corpus},
                "model": {"shape": {"depth": 1}},
                "training": {"tokens": 1},
            },
            strict=False,
        )
        files, scratch = tmp_path / work / "files", tmp_path / work / "scratch"
        files.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(exist_ok=True)
        return StageContext("corpus", recipe, tmp_path, {}, files, scratch, seed, workers=1)

    return context


MakeCorpus = Callable[..., Made]


@pytest.fixture
def make_corpus(make_context: MakeContext) -> MakeCorpus:
    """Run the stage over one source named "docs" (a path or a dict of recipe keys), or over several in a dict."""

    def make(source: Any, **more: Any) -> Made:
        sources = more.pop("sources", None) or {"docs": source}
        more.setdefault("filters", {"min_characters": 1})
        context = make_context(sources, **more)
        result = run(context)
        made = Made(context.files, result)
        for name, entry in made.report["sources"].items():
            kept = sum(entry["kept"][fate]["documents"] for fate in ("train", "heldout", "rephrase"))
            gone = sum(drop["documents"] for drop in entry["dropped"].values())
            assert entry["documents_read"] == kept + gone, name
        return made

    return make


@dataclass
class Read:
    """What reading a source said: its documents, and what is wrong, by name."""

    records: dict[str, Record]
    broken: dict[str, str]
    files: dict[str, str]
    details: dict[str, str]
    notes: dict[str, Notes]

    @property
    def texts(self) -> dict[str, str]:
        return {name: record.text for name, record in self.records.items()}


ReadSource = Callable[..., Read]


@pytest.fixture
def read_source(tmp_path: Path) -> ReadSource:
    """Read a source (its path and other keys) without making a corpus of it."""

    def read(path: str, *, limit: int = 2**26, seconds: float = 60.0, **keys: Any) -> Read:
        source = Source(name="docs", path=path, owner="Shiomi", licence="CC0-1.0", uses=("train",), **keys)
        result = Read({}, {}, {}, {}, {})
        spool = tmp_path / "spool"
        spool.mkdir(exist_ok=True)
        stored = sum(file.bytes for file in find_files(source, tmp_path) if isinstance(file, SourceFile))
        told: list[int] = []
        with Extractor(spool, limit, file_seconds=seconds) as extractor:
            for file, events, notes in read_files(find_files(source, tmp_path), source, extractor, told.append):
                result.notes[file.name] = notes
                if isinstance(file, NotRead):
                    result.files[file.name], result.details[file.name] = file.reason, file.detail
                try:
                    for event in events:
                        if isinstance(event, Record):
                            result.records[event.id] = event
                        else:
                            result.broken[event.id], result.details[event.id] = event.reason, event.detail
                except Unreadable as error:
                    result.files[file.name], result.details[file.name] = error.reason, error.detail
        assert sum(told) == stored, "every byte is told of once"
        assert list(spool.iterdir()) == [], "nothing is left behind"
        return result

    return read
