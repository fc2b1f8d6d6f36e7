"""The process that inspects one attached file, for `kiban.office.guards.attachments`.

The limits come as one JSON line and the file's bytes after it on standard input; the report is JSON on standard output.
A file made by malice can crash or hang a parser, or fill the memory; here that costs one process.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

from kiban.office.guards.inspection.examine import examine
from kiban.office.guards.inspection.report import AttachmentLimits
from kiban.office.guards.inspection.status import BROKEN, OUT_OF_MEMORY

MAX_REPORT_BYTES = 2**20


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline())
    limits = AttachmentLimits.model_validate_json(json.dumps(request["limits"]))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no answer
    memory, seconds = limits.max_memory_bytes, limits.max_seconds
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds + 1, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_REPORT_BYTES, MAX_REPORT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    # The kernel ends the process, even while a native library is at work.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    # One byte more than is allowed tells that it is too large.
    data = sys.stdin.buffer.read(limits.max_bytes + 1)
    answers.write(examine(request["name"], data, limits).model_dump_json().encode())
    answers.flush()
    signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    try:
        main()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except Exception:  # a parser's own mistake: the file is refused, and nothing of it is printed
        os._exit(BROKEN)
