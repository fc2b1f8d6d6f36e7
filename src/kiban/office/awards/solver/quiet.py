"""HiGHS inside SciPy writes lines of its own to the process's standard output, which is for answers alone."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_before = -1


@contextmanager
def quiet_output() -> Iterator[None]:
    """Drop what native code writes to file descriptor 1; threads inside at the same time share the diversion."""
    global _inside, _before
    with _lock:
        if not _inside:
            sys.stdout.flush()
            _before = os.dup(1)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.close(nowhere)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                os.dup2(_before, 1)
                os.close(_before)
