"""The process that reads files in slow formats (PDF, office, HTML, mail, WARC), for `kiban.make.corpus.extractor`.

A file made by chance or malice can crash or hang a parser, or fill the memory; here that costs one document.
Requests come as JSON lines on standard input. Each is answered by JSON lines on standard output: one per document,
one before each document of a file of many, and a last one. The process ends itself when one document takes too much
processor time, and when its parent is gone.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from kiban.make.corpus.formats.events import Broken, Event, Notes, Options, Start, Unreadable
from kiban.make.corpus.sources import SourceFile

# More than any page or document of the size limit needs; a bomb asks for all there is.
MEMORY_BYTES = 4 * 2**30
# A document may take so many times its processor time by the clock: a busy machine, or a slow disk, is not its fault.
PATIENCE = 20
# format -> module with a function read_<format>(file, options, notes) -> Iterator[Event | Start]; those of MANY give
# a `Start` before each document.
READERS = {
    "pdf": "pdf",
    "docx": "docx",
    "pptx": "pptx",
    "xlsx": "xlsx",
    "html": "html",
    "eml": "mail",
    "mbox": "mail",
    "warc": "warc",
    "man": "man",
}

Answer = dict[str, Any]
Reader = Callable[[SourceFile, Options, Notes], Iterator[Event | Start]]


def reader(form: str) -> Reader:
    """The function that reads a format, imported when it is asked for."""
    module = importlib.import_module(f"kiban.make.corpus.formats.{READERS[form]}")
    found: Reader = getattr(module, f"read_{form}")
    return found


def extract(request: dict[str, Any]) -> Iterator[Answer]:
    """One file's documents, and what became of the file, as the lines that the parent reads:

    - {"start": id}: what comes next is this document (files of many documents only);
    - {"id", "text", "anchors": [[at, label], …], "fields": {…}}: a document;
    - {"id", "reason", "detail"}: a document that cannot be read;
    - the last: {"end": null | reason, "detail", "encoding", "bad_bytes", "passed_over"}. The reason "lost" is a
      document's that brought its reader down; the file may go on after it.

    Args:
        request: "name", "path", "format", "compression" and "options".
    """
    path, options, notes = Path(request["path"]), Options(**request["options"]), Notes()
    file = SourceFile(request["name"], request["format"], request["compression"], 0, "", path)
    end, detail = None, ""
    try:
        for event in reader(file.format)(file, options, notes):
            if isinstance(event, Start):
                yield {"start": event.id}
            elif isinstance(event, Broken):
                yield {"id": event.id, "reason": event.reason, "detail": event.detail}
            elif len(event.text) * 4 > options.limit_bytes < len(event.text.encode("utf-8", "replace")):
                long = "its text is longer than filters.max_document_bytes"
                yield {"id": event.id, "reason": "too_long", "detail": long}
            else:
                yield {"id": event.id, "text": event.text, "anchors": event.anchors, "fields": dict(event.fields)}
    except Unreadable as error:
        if error.reason == "too_long":
            yield {"id": file.name, "reason": "too_long", "detail": error.detail}
        else:
            end, detail = error.reason, error.detail
    except FileNotFoundError:
        end, detail = "vanished", "it is not there any more"
    except PermissionError:
        end, detail = "unreadable", "permission denied"
    except MemoryError:
        end, detail = "lost", f"reading it needs more than {MEMORY_BYTES >> 30} GiB of memory"
    except Exception as error:  # libraries raise anything on what no program wrote
        end, detail = "lost", f"its reader failed: {type(error).__name__}: {str(error)[:200]}"
    yield {
        "end": end,
        "detail": detail,
        "encoding": notes.encoding,
        "bad_bytes": notes.bad_bytes,
        "passed_over": dict(notes.passed_over),
    }


def as_line(answer: Answer) -> bytes:
    try:
        return orjson.dumps(answer) + b"\n"
    except TypeError:  # lone surrogates, which UTF-8 has no bytes for
        return json.dumps(answer).encode() + b"\n"


def main() -> None:
    seconds = float(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # what native libraries print is not an answer
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        for line in sys.stdin:
            # The signal's default and a thread below Python end the process even while a native library is at work.
            # Waiting for the parent to take an answer is not its time.
            signal.setitimer(signal.ITIMER_PROF, seconds)
            faulthandler.dump_traceback_later(PATIENCE * seconds, exit=True, file=nowhere)
            for answer in extract(json.loads(line)):
                faulthandler.cancel_dump_traceback_later()
                answers.write(as_line(answer))
                answers.flush()
                signal.setitimer(signal.ITIMER_PROF, seconds)
                faulthandler.dump_traceback_later(PATIENCE * seconds, exit=True, file=nowhere)
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
