"""Croissant metadata, read by MLCommons' own library."""

from __future__ import annotations

import datetime as dt
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from kiban.kit.files import digest_file
from kiban.make.corpus.rights.croissant import write_croissant

from .conftest import write_corpus

DOCUMENTS = [
    ("web", "a/1.txt", "Shiomi", "いろはにほへと"),
    ("web", "a/2.txt", "Shiomi", "ちりぬるを"),
    ("faq", "q:1", "市役所", "わかよたれそ"),
    ("faq", "q:2", "市役所", "つねならむ"),
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    ledger = write_corpus(folder, DOCUMENTS)
    write_croissant(
        folder,
        ledger,
        name="demo-corpus",
        description="Four documents.",
        preprocessing=["Normalised (NFKC where it only changes how a character is drawn)."],
        version="1.0.0",
        url="https://example.org/demo",
        published=dt.date(2026, 4, 1),
        cite_as="Demo corpus, 2026",
    )
    return folder


def test_mlcroissant_finds_nothing_wrong_and_loads_every_record(corpus: Path, caplog: pytest.LogCaptureFixture) -> None:
    mlc = pytest.importorskip("mlcroissant")
    with caplog.at_level(logging.WARNING):
        dataset = mlc.Dataset(corpus / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    assert "not standard" not in caplog.text

    def read(records: str) -> list[dict[str, Any]]:
        rows = []
        for record in dataset.records(records):
            values = {key.rpartition("/")[2]: value for key, value in record.items()}
            rows.append({key: each.decode() if isinstance(each, bytes) else each for key, each in values.items()})
        return rows

    rights = {row["id"]: row for row in read("rights")}
    documents = read("train") + read("heldout")
    assert [(row["source"], row["id"], rights[row["rights"]]["owner"], row["text"]) for row in documents] == DOCUMENTS
    assert {row["owner"]: row["train_documents"] for row in rights.values()} == {"Shiomi": 2, "市役所": 1}
    assert {row["licence"] for row in rights.values()} == {"CC0-1.0"}


def test_it_lists_each_file_with_its_checksum_and_says_whose_the_documents_are(corpus: Path) -> None:
    written = json.loads((corpus / "croissant.json").read_text())
    files = {each["contentUrl"]: each["sha256"] for each in written["distribution"] if "sha256" in each}
    present = {str(path.relative_to(corpus)) for path in corpus.rglob("*.parquet")}
    assert files == {name: digest_file(corpus / name) for name in present}
    assert [each["name"] for each in written["creator"]] == ["Shiomi", "市役所"]
    assert written["license"] == ["https://spdx.org/licenses/CC0-1.0.html"]
    assert "web (2 documents), faq (2 documents)" in written["rai:dataCollection"]
    assert written["rai:personalSensitiveInformation"] == ["not stated: 4 documents"]


def test_what_is_not_known_is_left_out_and_two_writings_are_one(tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        ledger = write_corpus(tmp_path / name, DOCUMENTS[:1])
        write_croissant(tmp_path / name, ledger, name="n", description="d")
        written.append((tmp_path / name / "croissant.json").read_bytes())
    assert written[0] == written[1]
    metadata = json.loads(written[0])
    assert not {"datePublished", "url", "version", "rai:dataPreprocessingProtocol"} & metadata.keys()
    assert [each["name"] for each in metadata["recordSet"]] == ["train", "rights"], "nothing was held out"
