"""The process that reads PDF, Word and HTML files, for `kiban.make.corpus.extractor`.

A file made by chance or malice can crash or hang a parser, or fill the memory; here that costs one file. Requests
come as JSON lines on standard input; each answer is a JSON line on standard output. The process ends itself when
one file takes too long, and when its parent is gone.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from kiban.make.corpus.formats.events import Notes, Unreadable
from kiban.make.corpus.formats.streams import TooLong, open_chunks, read_all
from kiban.make.corpus.sources import SourceFile

# More than any page or document of the size limit needs; a bomb asks for all there is.
MEMORY_BYTES = 4 * 2**30


def extract(request: dict[str, Any]) -> dict[str, Any]:
    """One file's text: {"text", "encoding", "bad_bytes"}, or {"reason", "detail"}.

    Args:
        request: "path", "format", "compression", "encoding" and "limit_bytes".
    """
    path, limit_bytes, notes = Path(request["path"]), request["limit_bytes"], Notes()
    try:
        if request["format"] == "pdf":
            from kiban.make.corpus.formats.pdf import read_pdf

            text = read_pdf(path, limit_bytes)
        elif request["format"] == "docx":
            from kiban.make.corpus.formats.docx import read_docx

            text = read_docx(path)
        else:
            from kiban.make.corpus.formats.html import read_html

            file = SourceFile(path.name, "html", request["compression"], 0, "", path)
            data = read_all(open_chunks(file, lambda _: None), limit_bytes)
            if isinstance(data, TooLong):
                raise Unreadable("too_long", f"at least {data.bytes} bytes; see filters.max_document_bytes")
            text = read_html(data, request["encoding"], notes)
        if len(text) * 4 > limit_bytes and len(text.encode("utf-8", "replace")) > limit_bytes:
            raise Unreadable("too_long", "its text is longer than filters.max_document_bytes")
    except Unreadable as error:
        return {"reason": error.reason, "detail": error.detail}
    except FileNotFoundError:
        return {"reason": "vanished", "detail": "it is not there any more"}
    except PermissionError:
        return {"reason": "unreadable", "detail": "permission denied"}
    except MemoryError:
        return {"reason": "crashed", "detail": f"reading it needs more than {MEMORY_BYTES >> 30} GiB of memory"}
    return {"text": text, "encoding": notes.encoding, "bad_bytes": notes.bad_bytes}


def main() -> None:
    seconds = float(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogatepass")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # what native libraries print is not an answer
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        for line in sys.stdin:
            # A thread below Python ends the process even while a native library is at work.
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
            answer = extract(json.loads(line))
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
