"""Croissant metadata of a corpus: what other tools need to find, load and judge it.

`croissant.json` follows MLCommons' Croissant 1.0 (Akhtar et al., 2024) with the terms of its Responsible AI extension
where the ledger knows what they ask. Paths are relative to the file, so it holds wherever the corpus is copied to.
What is not known is left out. Nothing in it depends on when or where it was written.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kiban.kit.files import digest_file, write_json
from kiban.make.corpus.rights.ledger import FILE as LEDGER
from kiban.make.corpus.rights.ledger import SPLITS, Ledger
from kiban.make.corpus.rights.licences import chosen

FILE = "croissant.json"
CONFORMS_TO = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]
NAMED_CREATORS = 100
PARQUET = "application/x-parquet"

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

DOCUMENT_FIELDS = (
    ("id", "sc:Text", "names the document within its source"),
    ("source", "sc:Text", "the source it came from"),
    ("text", "sc:Text", "its text after curation"),
    ("rights", "sc:Integer", "row of the record set `rights` that holds for it"),
)
RIGHTS_FIELDS = (
    ("id", "sc:Integer", "number of the row"),
    ("source", "sc:Text", "source of the documents"),
    ("owner", "sc:Text", "who holds the rights"),
    ("licence", "sc:Text", "SPDX expression"),
    ("licence_text", "sc:Text", "the licence as it was written"),
    ("consent", "sc:Text", "what the use of personal data rests on"),
    ("personal_data", "sc:Text", "class under Japan's Act on the Protection of Personal Information"),
    ("trust", "sc:Integer", "of the source against the others"),
    ("train_documents", "sc:Integer", "documents for training"),
    ("heldout_documents", "sc:Integer", "documents held out"),
)


def write_croissant(
    corpus: Path,
    ledger: Ledger,
    *,
    name: str,
    description: str,
    preprocessing: Sequence[str] = (),
    version: str | None = None,
    url: str | None = None,
    published: dt.date | None = None,
    cite_as: str | None = None,
) -> None:
    """Write `croissant.json` into a corpus's folder, whose shards and ledger are there.

    Args:
        preprocessing: what was done to the texts, a sentence each.
        version: the corpus's own.
        url, published, cite_as: where and when the corpus was published, if it was, and how to cite it.
    """
    files = [path for split in SPLITS for path in sorted((corpus / split).glob("*.parquet"))] + [corpus / LEDGER]
    made = [split for split in SPLITS if any(file.parent.name == split for file in files)]
    rows = ledger.in_use
    metadata: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": CONFORMS_TO,
        "license": [_licence(key) for key in sorted({key for row in rows for key in chosen(row.rights.licence)})],
        "creator": [{"@type": "sc:Organization", "name": owner} for owner in _owners(ledger)],
        "inLanguage": "ja",
        "isLiveDataset": False,
        **({"version": version} if version else {}),
        **({"url": url} if url else {}),
        **({"datePublished": published.isoformat()} if published else {}),
        **({"citeAs": cite_as} if cite_as else {}),
        **_responsible(ledger, preprocessing),
        "distribution": [
            *(_file_object(file, corpus) for file in files),
            *(_file_set(split) for split in made),
        ],
        "recordSet": [
            *(_record_set(split, DOCUMENT_FIELDS, {"fileSet": f"{split}-shards"}) for split in made),
            _record_set("rights", RIGHTS_FIELDS, {"fileObject": LEDGER}),
        ],
    }
    write_json(corpus / FILE, metadata)


def _licence(key: str) -> str:
    """An address where there is one; SPDX keeps a page for every licence of its list."""
    return key if key.startswith("LicenseRef-") else f"https://spdx.org/licenses/{key}.html"


def _owners(ledger: Ledger) -> list[str]:
    """Owners by how many documents are theirs, the first of them."""
    documents: dict[str, int] = {}
    for row in ledger.in_use:
        documents[row.rights.owner] = documents.get(row.rights.owner, 0) + row.total(0)
    return sorted(documents, key=lambda owner: (-documents[owner], owner))[:NAMED_CREATORS]


def _responsible(ledger: Ledger, preprocessing: Sequence[str]) -> dict[str, Any]:
    sources: dict[str, int] = {}
    classes: dict[str, int] = {}
    uses: set[str] | None = None
    for row in ledger.in_use:
        sources[row.rights.source] = sources.get(row.rights.source, 0) + row.total(0)
        classes[row.rights.personal_data] = classes.get(row.rights.personal_data, 0) + row.total(0)
        uses = set(row.rights.uses) if uses is None else uses & set(row.rights.uses)
    collected = ", ".join(f"{name} ({count} documents)" for name, count in sources.items())
    personal = [
        f"{'not stated' if kind == 'unknown' else kind}: {count} documents" for kind, count in sorted(classes.items())
    ]
    return {
        "rai:dataCollection": f"Collected from the sources {collected}, whose owners and licences are in {LEDGER}.",
        "rai:personalSensitiveInformation": personal,
        **({"rai:dataPreprocessingProtocol": list(preprocessing)} if preprocessing else {}),
        **({"rai:dataUseCases": [f"cleared for: {use}" for use in sorted(uses)]} if uses else {}),
    }


def _file_object(file: Path, corpus: Path) -> dict[str, Any]:
    path = str(file.relative_to(corpus))
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{file.stat().st_size} B",
        "encodingFormat": PARQUET,
        "sha256": digest_file(file),
    }


def _file_set(split: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{split}-shards",
        "name": f"{split}-shards",
        "description": f"Parquet shards of the {split} documents.",
        "encodingFormat": PARQUET,
        "includes": f"{split}/*.parquet",
    }


RECORD_SETS = {
    "train": "Documents for training.",
    "heldout": "Documents that training never sees, for evaluation.",
    "rights": "Each distinct row of rights that documents are under.",
}


def _record_set(name: str, fields: Iterable[tuple[str, str, str]], files: dict[str, str]) -> dict[str, Any]:
    ((kind, identity),) = files.items()
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": RECORD_SETS[name],
        "key": {"@id": f"{name}/id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": said,
                "dataType": data_type,
                "source": {kind: {"@id": identity}, "extract": {"column": column}},
            }
            for column, data_type, said in fields
        ],
    }
