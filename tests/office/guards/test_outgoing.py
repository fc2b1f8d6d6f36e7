"""Webhooks against a real server on this machine, and name servers that lie."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kiban.office.errors import Invalid
from kiban.office.guards import webhook_signature
from kiban.office.guards.outgoing import Delivery, Resolver, check_webhook_url, post_json

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOW = datetime(2026, 4, 1, tzinfo=UTC)


@contextmanager
def server(
    reply: Callable[[socket.socket], None] | bytes, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """Answers each connection; gives its port and the requests that came."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), connection:
                connection.settimeout(5)
                stream = tls.wrap_socket(connection, server_side=True) if tls else connection
                with stream:
                    data = b""
                    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < 2:
                        data += stream.recv(65_536)
                    requests.append(data)
                    if callable(reply):
                        reply(stream)
                    else:
                        stream.sendall(reply)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def to(*answers: Sequence[str]) -> tuple[Resolver, list[str]]:
    """A name server that gives one answer after the other, and the names it was asked."""
    turns, asked = itertools.chain(answers, itertools.repeat(answers[-1])), []

    def resolve(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return next(turns)

    return resolve, asked


def post(
    url: str,
    port: int,
    resolver: Resolver,
    *,
    timeout_seconds: float = 5,
    allow_private: bool = True,
    tls: ssl.SSLContext | None = None,
) -> Delivery:
    return post_json(
        url,
        b"{}",
        {"X-Kind": "award"},
        resolver=resolver,
        allow_private=allow_private,
        allow_http=True,
        ports={port, 80},
        timeout_seconds=timeout_seconds,
        max_reply_bytes=1000,
        tls=tls,
    )


def test_a_request_as_it_arrives() -> None:
    with server(OK) as (port, requests):
        delivery = post(f"http://Hooks.Example.JP:{port}/a%20b?c=d", port, to(["127.0.0.1"])[0])
    assert delivery == Delivery(200, b"ok")
    assert delivery.ok
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /a%20b?c=d HTTP/1.1"
    assert f"host: hooks.example.jp:{port}" in [line.lower() for line in lines]
    assert {"content-type: application/json", "X-Kind: award", "Content-Length: 2"} <= set(lines)
    assert body == b"{}"


def test_a_name_that_leads_elsewhere_the_second_time_is_asked_once() -> None:
    with server(OK) as (port, requests):
        resolver, asked = to(["127.0.0.1"], ["169.254.169.254"])
        assert post(f"http://rebind.example.jp:{port}/", port, resolver).ok
    assert asked == ["rebind.example.jp"]
    assert len(requests) == 1


@pytest.mark.parametrize(
    "answer", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["8.8.8.8"] * 20 + ["::1"], ["::ffff:127.0.0.1"]]
)
def test_one_internal_address_is_enough_to_refuse(answer: list[str]) -> None:
    with server(OK) as (port, requests):
        delivery = post(f"http://evil.example.jp:{port}/", port, to(answer)[0], allow_private=False)
    assert (delivery.status, delivery.permanent, requests) == (None, True, [])
    assert "internal" in delivery.failure


def test_metadata_is_refused_even_where_internal_addresses_are_allowed() -> None:
    delivery = post("http://evil.example.jp/", 80, to(["169.254.169.254"])[0])
    assert delivery.permanent
    assert not delivery.ok


def test_a_redirect_is_an_answer_and_not_an_order() -> None:
    reply = b"HTTP/1.1 307 Moved\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
    with server(reply) as (port, requests):
        resolver, asked = to(["127.0.0.1"])
        delivery = post(f"http://a.example.jp:{port}/", port, resolver)
    assert (delivery.status, delivery.ok, asked, len(requests)) == (307, False, ["a.example.jp"], 1)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with server(OK) as (port, _):
        assert post(f"http://a.example.jp:{port}/", port, to(["127.0.0.1"])[0]).ok


def drip(head: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def reply(connection: socket.socket) -> None:
        stop = threading.Event()
        connection.sendall(head)
        with suppress(OSError):
            while not stop.wait(0.05):
                connection.sendall(drop)

    return reply


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"a"),
        (b"", b"H"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_an_answer_that_drips_is_cut_off(head: bytes, drop: bytes) -> None:
    with server(drip(head, drop)) as (port, _):
        delivery = post(f"http://a.example.jp:{port}/", port, to(["127.0.0.1"])[0], timeout_seconds=0.3)
    assert delivery.status is None
    assert not delivery.permanent


def test_a_server_that_says_nothing() -> None:
    with server(lambda connection: connection.recv(1) and None) as (port, _):
        delivery = post(f"http://a.example.jp:{port}/", port, to(["127.0.0.1"])[0], timeout_seconds=0.2)
    assert "0.2 s" in delivery.failure


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
)
def test_an_answer_that_is_too_long(reply: bytes) -> None:
    with server(reply) as (port, _):
        delivery = post(f"http://a.example.jp:{port}/", port, to(["127.0.0.1"])[0])
    assert (delivery.status, delivery.body) == (None, b"")
    assert delivery.failure


def test_the_next_address_is_tried() -> None:
    with server(OK) as (port, _):
        assert post(f"http://a.example.jp:{port}/", port, to(["127.0.0.2", "127.0.0.1"])[0]).ok


def test_nobody_listens_and_no_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert "ConnectError" in post(f"http://a.example.jp:{port}/", port, to(["127.0.0.1"])[0]).failure

    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    assert "has no address" in post(f"http://a.example.jp:{port}/", port, unknown).failure
    assert "has no address" in post(f"http://a.example.jp:{port}/", port, to(["rubbish"])[0]).failure


def test_a_name_server_that_hangs() -> None:
    release = threading.Event()

    def hang(host: str, port: int) -> Sequence[str]:
        release.wait(10)
        return []

    assert "in time" in post("http://a.example.jp/", 80, hang, timeout_seconds=0.1).failure
    release.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example.jp")])
    start = datetime.now(UTC) - timedelta(days=1)
    signed = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), start, start + timedelta(days=3)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.jp")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


def test_the_certificate_is_checked_for_the_name_and_not_the_address(certificate: Path) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    names: list[str | None] = []
    serving.sni_callback = lambda _, name, __: names.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    resolver = to(["127.0.0.1"])[0]
    with server(OK, serving) as (port, requests):
        assert post(f"https://hooks.example.jp:{port}/", port, resolver, tls=trusting).ok
        assert "certificate" in post(f"https://other.example.jp:{port}/", port, resolver, tls=trusting).failure
        assert "certificate" in post(f"https://hooks.example.jp:{port}/", port, resolver).failure
    assert names == ["hooks.example.jp", "other.example.jp", "hooks.example.jp"]
    assert len(requests) == 1


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example.jp", "ftp://a.jp/", "http://a.jp/", "https:///x", "https://u:p@a.jp/", "https://a.jp@b.jp/",
     "https://a.jp:22/", "https://a.jp:99999/", "https://a.jp:x/", "https://localhost/", "https://db/", "https://a.local/",
     "https://metadata.google.internal/", "https://127.0.0.1/", "https://127.1/", "https://2130706433/",
     "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://127.0.0.1./", "https://[::1]/",
     "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::7f00:1]/", "https://[fe80::1%25eth0]/",
     "https://169.254.169.254/",     "https://１２７.0.0.1/", "https://127。0。0。1/", "https://ｌｏｃａｌｈｏｓｔ/",
     "https://a.jp\\@127.0.0.1/", "https://a.jp/ x",
     "https://a.jp/\r\nHost: b", "https://a.jp\t/", "https://127%2e0.0.1/", "https://-a.jp/", "https://a..jp/",
     "https://a.jp/日本", "https://a.jp/" + "x" * 2000, "https://[::1", "https://1.2.3.4.5/", "https://a.0x/",
     "javascript:alert(1)", "//a.jp/", "https://localhost./"],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(Invalid):
        check_webhook_url(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hooks.example.co.jp/x?y=1#z", "https://hooks.example.co.jp/x?y=1"),
        ("https://A.JP", "https://a.jp/"),
        ("https://a.jp.:8443/", "https://a.jp:8443/"),
        ("https://日本語.jp/", "https://xn--wgv71a119e.jp/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
    ],
)
def test_urls_that_are_taken(url: str, expected: str) -> None:
    assert check_webhook_url(url).url == expected


@pytest.mark.parametrize(
    "headers", [{"a": "b\r\nc: d"}, {"Host": "x"}, {"a b": "c"}, {"Transfer-Encoding": "chunked"}, {"a": "日"}]
)
def test_headers_that_would_change_the_request(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        post_json("https://a.example.jp/", b"{}", headers, resolver=to(["8.8.8.8"])[0])


class TestSignature:
    SECRET = webhook_signature.new_secret(bytes(range(32)))

    def headers(self, body: bytes = b"{}") -> dict[str, str]:
        return webhook_signature.signature_headers(self.SECRET, delivery_id="msg_1", at=NOW, body=body)

    def test_the_specifications_own_example(self) -> None:
        headers = webhook_signature.signature_headers(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            delivery_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            at=datetime.fromtimestamp(1614265330, UTC),
            body=b'{"test": 2432232314}',
        )
        assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def test_only_what_was_signed_is_accepted(self) -> None:
        headers = self.headers()
        assert webhook_signature.verify(self.SECRET, headers, b"{}", now=NOW)
        assert not webhook_signature.verify(self.SECRET, headers, b"{ }", now=NOW)
        assert not webhook_signature.verify(self.SECRET, {**headers, "webhook-id": "msg_2"}, b"{}", now=NOW)
        assert not webhook_signature.verify(webhook_signature.new_secret(bytes(32)), headers, b"{}", now=NOW)
        assert not webhook_signature.verify(self.SECRET, {}, b"{}", now=NOW)

    @pytest.mark.parametrize(("seconds", "accepted"), [(300, True), (-300, True), (301, False), (-301, False)])
    def test_old_and_future_ones_are_not(self, seconds: int, accepted: bool) -> None:
        now = NOW + timedelta(seconds=seconds)
        assert webhook_signature.verify(self.SECRET, self.headers(), b"{}", now=now) is accepted

    def test_mistakes_of_the_caller(self) -> None:
        with pytest.raises(ValueError, match="secret"):
            webhook_signature.signature_headers("whsec_", delivery_id="1", at=NOW, body=b"")
        with pytest.raises(ValueError, match="id"):
            webhook_signature.signature_headers(self.SECRET, delivery_id="a.b", at=NOW, body=b"")
