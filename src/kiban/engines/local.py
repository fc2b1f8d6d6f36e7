"""Jobs as child processes of this machine: each stage's memory and time are its own, and its crash too."""

from __future__ import annotations

import signal
import subprocess
from types import FrameType

from kiban.engines import Job

STDERR = 2


class LocalEngine:
    def run(self, job: Job) -> int:
        # stdout is the caller's (`--json` prints one object there), so a job speaks on stderr only.
        process = subprocess.Popen(job.command, stdin=subprocess.DEVNULL, stdout=STDERR)

        def forward(number: int, frame: FrameType | None) -> None:
            process.send_signal(number)

        before = signal.signal(signal.SIGTERM, forward)
        try:
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:
                    # Ctrl-C reaches the whole process group: the job winds up by itself. A caller that only
                    # interrupted us (kill -INT) needs it passed on; a second SIGINT does a stopping job no harm.
                    process.send_signal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGTERM, before)
            if process.poll() is None:
                process.kill()
                process.wait()
