"""Requests to addresses that people typed (webhooks), which must not reach what only the office can reach.

A name is resolved once, every address it has is judged, and the connection goes to a judged address: a name server
that answers differently the second time is never asked a second time. Redirects are not followed, proxies of the
environment are not used, and the answer is cut off by size and by time, however slowly it drips.
"""

from __future__ import annotations

import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore
import idna

from kiban.office.errors import Invalid
from kiban.office.guards.addresses import Address, why_forbidden

Resolver = Callable[[str, int], Sequence[str]]

PORTS = frozenset({443, 8443})
HTTP_PORTS = frozenset({80, 8080})  # only where http is allowed
MAX_URL_CHARS = 2000
MAX_REPLY_BYTES = 64 * 1024
MAX_HEADER_BYTES = 32 * 1024
MAX_ADDRESSES = 8  # tried one after the other; more are not tried

_VISIBLE = re.compile(r"[^\x00-\x20\x7f-\xa0\\\u2028\u2029\u3000]+")
# As browsers do it: a host whose last label is a number is an IPv4 address, in one of its many spellings.
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_INTERNAL_DOMAINS = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "home.arpa",
                     "in-addr.arpa", "ip6.arpa", "onion", "invalid", "test", "example")  # fmt: skip
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OUR_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "te"})


@dataclass(frozen=True)
class Target:
    """A checked URL, in the parts that the request is made of."""

    scheme: str
    host: str  # ASCII, without the last dot; an IPv6 address without brackets
    port: int
    path: str  # with the query
    address: Address | None  # where the host is an address

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Delivery:
    """What became of a request. Either `status`, or `failure` with the reason for which there is none."""

    status: int | None
    body: bytes = b""
    failure: str = ""
    permanent: bool = False  # trying again would change nothing

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def check_webhook_url(
    url: str,
    *,
    allow_private: bool = False,
    allow_http: bool = False,
    ports: Collection[int] | None = None,
    where: str = "url",
) -> Target:
    """Judge a URL by its text, when somebody enters it. Names are resolved later, at each request.

    Args:
        allow_private: addresses and names of an internal network are allowed.
        allow_http: also http, which nobody should use across the internet.
        ports: the allowed ports; default `PORTS`, and `HTTP_PORTS` with `allow_http`.

    Raises:
        Invalid: anything but a plain public https URL, as the operator allows.
    """
    if len(url) > MAX_URL_CHARS or not _VISIBLE.fullmatch(url):
        raise Invalid(f"a URL has at most {MAX_URL_CHARS:,} characters, no spaces and no backslashes", where=where)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid("not a URL", where=where) from None
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http"):
        raise Invalid("the URL must start with https://", where=where)
    if "@" in parts.netloc:
        raise Invalid("the URL must not hold a user name or password", where=where)
    port = port if port is not None else {"https": 443, "http": 80}[parts.scheme]
    allowed = ports if ports is not None else PORTS | (HTTP_PORTS if allow_http else frozenset())
    if port not in allowed:
        raise Invalid(
            f"port {port} is not allowed", where=where, hint=f"allowed: {', '.join(map(str, sorted(allowed)))}"
        )
    host, address = _host(parts.hostname or "", bracketed=parts.netloc.startswith("["), where=where)
    if address is not None:
        reason = why_forbidden(address, allow_private=allow_private)
        if reason:
            raise Invalid(f"{host} is {reason}", where=where)
    elif not allow_private and ("." not in host or host.endswith(tuple(f".{d}" for d in _INTERNAL_DOMAINS))):
        raise Invalid(f"{host} is a name of an internal network", where=where)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise Invalid("the path of the URL holds characters that must be percent-encoded", where=where)
    return Target(parts.scheme, host, port, path, address)


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the machine's own resolver knows them.

    Raises:
        OSError: there are none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def post_json(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    resolver: Resolver = system_resolver,
    allow_private: bool = False,
    allow_http: bool = False,
    ports: Collection[int] | None = None,
    timeout_seconds: float = 10.0,
    max_reply_bytes: int = MAX_REPLY_BYTES,
    tls: ssl.SSLContext | None = None,
) -> Delivery:
    """POST `body` once. Whatever the other side does, this ends in about `timeout_seconds` and raises nothing for it.

    Args:
        body: JSON, as the signature was computed over.
        headers: more headers, such as those of `webhook_signature`.
        timeout_seconds: for all of it: name, connection, request and answer.
        max_reply_bytes: of the answer's body; a longer one is a failure.
        tls: how the certificate is checked; default: against the machine's authorities.

    Raises:
        ValueError: a header that would change the request's framing, or holds a line break.
    """
    sent = _headers(headers)
    try:
        target = check_webhook_url(url, allow_private=allow_private, allow_http=allow_http, ports=ports)
    except Invalid as error:
        return Delivery(None, failure=error.message, permanent=True)
    deadline = time.monotonic() + timeout_seconds
    try:
        addresses = _resolve(target, resolver, deadline)
    except (OSError, ValueError) as error:
        return Delivery(None, failure=f"{target.host} has no address: {error}")
    for address in addresses:
        reason = why_forbidden(address, allow_private=allow_private)
        if reason:
            return Delivery(None, failure=f"{target.host} leads to {reason}", permanent=True)
    # What httpcore reads beyond the body: status line, headers and chunk sizes.
    backend = _Pinned(addresses[:MAX_ADDRESSES], deadline, max_read_bytes=2 * max_reply_bytes + MAX_HEADER_BYTES)
    request = httpcore.URL(
        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
    )
    host = (b"host", target.authority.encode())
    try:
        with (
            httpcore.ConnectionPool(ssl_context=tls or ssl.create_default_context(), network_backend=backend) as pool,
            pool.stream("POST", request, headers=[host, *sent], content=body) as reply,
        ):
            received = bytearray()
            for chunk in reply.iter_stream():
                received += chunk
                if len(received) > max_reply_bytes:
                    return Delivery(None, failure=f"the answer has more than {max_reply_bytes:,} bytes")
            return Delivery(reply.status, bytes(received))
    except (httpcore.TimeoutException, TimeoutError):
        return Delivery(None, failure=f"no whole answer within {timeout_seconds:g} s")
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        return Delivery(None, failure=f"{type(error).__name__}: {error}"[:500])


class _Pinned(httpcore.NetworkBackend):
    """Connects to the given addresses only, whatever the host's name is, and never past the deadline."""

    def __init__(self, addresses: Sequence[Address], deadline: float, *, max_read_bytes: int) -> None:
        self._addresses, self._deadline, self._max_read_bytes = addresses, deadline, max_read_bytes

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        problem: Exception = httpcore.ConnectError("there is no address")
        for place, address in enumerate(self._addresses):
            # The first of several must not use up the time of the others.
            share = _left(self._deadline) / (len(self._addresses) - place)
            try:
                stream = httpcore.SyncBackend().connect_tcp(str(address), port, timeout=share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _Bounded(stream, self._deadline, self._max_read_bytes)
        raise problem


class _Bounded(httpcore.NetworkStream):
    """A connection whose every wait ends at one deadline, and that reads so many bytes and no more."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float, max_read_bytes: int) -> None:
        self._stream, self._deadline, self._bytes_left = stream, deadline, max_read_bytes

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, _left(self._deadline))
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise httpcore.ReadError("the answer is too long")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces, since the time limit of the stream below is one of each piece it sends.
        for start in range(0, len(buffer), 16_384):
            self._stream.write(buffer[start : start + 16_384], _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _Bounded(secured, self._deadline, self._bytes_left)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is up")
    return left


def _host(host: str, *, bracketed: bool, where: str) -> tuple[str, Address | None]:
    problem = Invalid("the URL names no host that can be used", where=where)
    if bracketed:
        try:
            address: Address = ipaddress.IPv6Address(host)
        except ValueError:
            raise problem from None
        return str(address), address
    try:
        name = idna.encode(host.removesuffix("."), uts46=True).decode().lower() if not host.isascii() else host
    except (idna.IDNAError, UnicodeError):
        raise problem from None
    name = name.lower().removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # 0x7f.1, 017700000001 and 2130706433 are all 127.0.0.1 to some programs: only one spelling is taken.
        try:
            address = ipaddress.IPv4Address(name)
        except ValueError:
            raise Invalid("write an IPv4 address as four decimal numbers", where=where) from None
        return str(address), address
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise problem
    return name, None


def _resolve(target: Target, resolver: Resolver, deadline: float) -> list[Address]:
    """Raises: OSError, ValueError: no address, no proper one, or none in time."""
    if target.address is not None:
        return [target.address]
    answers: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolver(target.host, target.port))
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError("the name cannot be looked up"))

    # The machine's resolver knows no time limit; a thread that hangs in it is left behind.
    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=max(deadline - time.monotonic(), 0))
    except queue.Empty:
        raise OSError("the name server does not answer in time") from None
    if isinstance(answer, OSError):
        raise answer
    if not answer:
        raise OSError("the name server knows none")
    return [ipaddress.ip_address(text) for text in answer]


def _headers(given: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    for name, value in given.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OUR_HEADERS:
            raise ValueError(f"not a header that can be given: {name!r}")
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"the header {name} holds what no header may")
    names = {name.lower() for name in given}
    own = {"content-type": "application/json", "user-agent": "kiban-webhook/1", "accept": "*/*", "connection": "close"}
    merged = {**{name: value for name, value in own.items() if name not in names}, **given}
    return [(name.encode(), value.encode()) for name, value in merged.items()]
