"""What `kiban serve` was told, and the port it asks for. Imports nothing heavy: mistakes are answered at once."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Literal

from kiban.kit.errors import BadInput

Dtype = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class ServeOptions:
    """What `kiban serve` was told; seconds and counts."""

    host: str
    port: int
    keys: tuple[str, ...]
    max_batch: int
    queue_limit: int
    request_timeout_s: float
    max_tokens_limit: int | None
    grace_s: float
    dtype: Dtype
    as_json: bool


def claim_port(host: str, port: int) -> socket.socket:
    """Bind before the model is loaded, so that a port that is taken is known at once.

    Raises:
        BadInput: the port is taken, or the address is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise BadInput(f"{host!r} is no address of this machine", where="--host") from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise BadInput(
            f"cannot listen at {host}:{port}: {error.strerror}", where="--port", hint="choose another port"
        ) from None
    return listener


def address_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
