from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from kiban.engines import Job
from kiban.engines.local import LocalEngine


def python(code: str) -> Job:
    return Job("test", (sys.executable, "-c", code))


def test_the_exit_status_comes_back() -> None:
    assert LocalEngine().run(python("raise SystemExit(3)")) == 3
    assert LocalEngine().run(python("import os; os.kill(os.getpid(), 9)")) == -9


def test_a_jobs_output_never_reaches_stdout() -> None:
    code = (
        "import sys; from kiban.engines import Job; from kiban.engines.local import LocalEngine;"
        "LocalEngine().run(Job('x', (sys.executable, '-c', 'print(1)')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "1\n")


def test_a_termination_reaches_the_job_and_is_waited_for(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = (
        f"import pathlib, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        f"pathlib.Path({str(ready)!r}).touch()\nwhile True: signal.pause()"
    )

    def terminate_when_ready() -> None:
        deadline = time.monotonic() + 20
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    threading.Thread(target=terminate_when_ready, daemon=True).start()
    assert LocalEngine().run(python(code)) == 7
    assert signal.getsignal(signal.SIGTERM) is before
