"""Files that people attach: let in only when they are what they say and do nothing on their own.

The file is read in a process of its own with limits on memory and time, without the environment of the office, so that
a parser that a file breaks, breaks alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from kiban.kit.units import format_bytes
from kiban.office.guards.file_name import extension, safe_file_name
from kiban.office.guards.inspection.report import (
    UNKNOWN,
    AttachmentLimits,
    AttachmentReport,
    Finding,
    make_finding,
)
from kiban.office.guards.inspection.status import OUT_OF_MEMORY

__all__ = ["DEFAULT_LIMITS", "AttachmentLimits", "AttachmentReport", "Finding", "inspect_attachment"]

DEFAULT_LIMITS = AttachmentLimits()

_WORKER = "kiban.office.guards.inspection.worker"
_START_SECONDS = 30  # for Python to start on a busy machine, beside the time for the file
_AT_ONCE = threading.BoundedSemaphore(max(2, len(os.sched_getaffinity(0))))


def inspect_attachment(
    name: str, content: bytes | Path, *, limits: AttachmentLimits = DEFAULT_LIMITS
) -> AttachmentReport:
    """Look inside a file. Whatever is in it, this returns a report; keep the file only if it is not `refused`.

    ZIP files are not among the allowed types: a file that matters to a judgement is attached on its own.

    Args:
        name: as its owner calls it; its extension must fit the content.
        content: the bytes, or where they are.
        limits: also which extensions are allowed.

    Raises:
        OSError: the path cannot be read.
    """
    # No inspection for what is too large: its digest is all there is to say.
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size > limits.max_bytes:
        return _given_up(name, content, size, make_finding("too_large", format_bytes(limits.max_bytes)))
    with _AT_ONCE, tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer:
        request = {"name": safe_file_name(name), "limits": limits.model_dump(mode="json")}
        given.write(json.dumps(request).encode() + b"\n")
        if isinstance(content, bytes):
            given.write(content)
        else:
            with content.open("rb") as file:
                while block := file.read(2**20):
                    given.write(block)
        given.seek(0)
        finding = _run(given, answer, limits)
        if finding is None:
            answer.seek(0)
            with suppress(ValidationError):
                return AttachmentReport.model_validate_json(answer.read())
            finding = make_finding("cannot_inspect", "no answer")
    return _given_up(name, content, size, finding)


def _run(given: IO[bytes], answer: IO[bytes], limits: AttachmentLimits) -> Finding | None:
    """Run the worker; a finding if it did not end well."""
    command = [sys.executable, "-I", "-X", "utf8", "-m", _WORKER]
    try:
        done = subprocess.run(
            command,
            stdin=given,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},  # no secret of the office
            timeout=limits.max_seconds + _START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return make_finding("too_slow")
    if done.returncode == 0:
        return None
    if done.returncode in (-signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL):
        return make_finding("too_slow")
    reason = "memory" if done.returncode == OUT_OF_MEMORY else f"status {done.returncode}"
    return make_finding("cannot_inspect", f"its reader ended ({reason})")


def _given_up(name: str, content: bytes | Path, size: int, finding: Finding) -> AttachmentReport:
    if isinstance(content, bytes):
        digest = hashlib.sha256(content).hexdigest()
    else:
        with content.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return AttachmentReport(
        media_type=UNKNOWN,
        extension=extension(safe_file_name(name)),
        bytes=size,
        sha256=digest,
        pages=None,
        macros=False,
        findings=(finding,),
    )
