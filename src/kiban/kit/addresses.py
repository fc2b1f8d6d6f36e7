"""The address that a server asks for."""

from __future__ import annotations

import socket

from kiban.kit.errors import BadInput


def claim_port(host: str, port: int) -> socket.socket:
    """Bind before anything is done that takes long, so that a port that is taken is known at once.

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
    """Where it is reached by HTTP."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
