"""The portal's server as a process of its own, over a copy of the season and at the season's time.

`kiban office serve` would look at the machine's clock, and do what has fallen due since the season ended.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The server's address, from when it answers until the block ends.

    Args:
        folder: of a `Season`.
    """
    log = folder / "server.log"
    with log.open("w") as written:
        command = [sys.executable, "-m", "tests.portal.browser.server", str(folder)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=written, text=True, cwd=Path.cwd())
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the server did not start:\n{log.read_text()[-3000:]}")
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)


def main(folder: Path) -> None:
    import uvicorn

    from kiban.portal import logs
    from kiban.portal.app import create_app
    from kiban.portal.protocol import BoundedHeads

    from .season import office_in

    logs.configure()
    office = office_in(folder)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))

    class Telling(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)

    app = create_app(office, on_start=lambda: office.close)
    config = uvicorn.Config(app, log_config=None, access_log=False, loop="uvloop", http=BoundedHeads)
    Telling(config).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
