"""Runs a `kiban` command that ends with the process which started it, however that one ends.

    python -m kiban.cli.tethered serve demo …      with a pipe as its stdin

The starter keeps the other end of the pipe open and never writes. Its end, even by SIGKILL, closes the pipe.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

GRACE_SECONDS = 15.0


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_watch, name="tether", daemon=True).start()
    from kiban.cli import main

    sys.argv[0] = "kiban"
    main()
