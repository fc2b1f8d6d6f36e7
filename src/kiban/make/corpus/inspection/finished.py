"""What a finished corpus says about one document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kiban.make.corpus.inspection.excerpts import Excerpts
from kiban.make.corpus.report.findings import DUPLICATE_RULES, batches
from kiban.make.corpus.tally import FATES


def look_up(
    corpus: Path, source: str, identity: str, file: str, text: str | None, excerpts: Excerpts
) -> dict[str, Any]:
    """Where the document is in the corpus's folder, or why it is not, and which others were dropped for it.

    Args:
        file: that the document is from; the corpus may have something to say of it.
        text: what curating the document by itself gives now; what the corpus holds instead is shown.
    """
    found: dict[str, Any] = {"fate": "absent", "file": None, "changes": None, "said": [], "duplicates_of_it": 0}
    for fate in FATES:
        if kept := _kept(corpus, fate, source, identity):
            found["fate"], (found["file"], there) = fate, kept
            # Passages are cut when all documents are known; another recipe gives another text, too.
            found["changes"] = excerpts.changes(text, there) if text is not None else None
            break
    paths = sorted((corpus / "dropped").glob("*.parquet"))
    for batch in batches(paths, ("id", "source", "rule", "value", "limit", "detail")):
        is_it = pc.and_(pc.equal(batch["id"], identity), pc.equal(batch["source"], source))
        table = pa.table(batch)
        found["said"] += table.filter(is_it).drop_columns(["id", "source"]).to_pylist()
        same = pc.and_(
            pc.equal(batch["detail"], f"{source}: {identity}"), pc.is_in(batch["rule"], pa.array(DUPLICATE_RULES))
        )
        found["duplicates_of_it"] += pc.sum(same).as_py() or 0
    report = json.loads((corpus / "report.json").read_bytes())
    notes = report["sources"].get(source, {}).get("file_notes", [])
    found["file_notes"] = [note for note in notes if note["name"] == file]
    if found["fate"] == "absent" and (found["said"] or found["file_notes"]):
        found["fate"] = "dropped"
    return found


def _kept(corpus: Path, fate: str, source: str, identity: str) -> tuple[str, str] | None:
    """The file and text of a document of one fate; of the texts only the row group that has it is read."""
    for path in sorted((corpus / fate).glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                names = file.read_row_group(number, columns=["id", "source"])
                is_it = pc.and_(pc.equal(names["id"], identity), pc.equal(names["source"], source))
                if (row := pc.index(is_it, True).as_py()) >= 0:
                    text = file.read_row_group(number, columns=["text"])["text"][row].as_py()
                    return str(path.relative_to(corpus)), text
    return None
