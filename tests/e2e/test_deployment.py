"""The files that docs/deployment offers, run as they are but for addresses: nginx, Caddy and systemd read them."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
DEPLOYMENT = Path(__file__).parents[2] / "docs" / "deployment"
ADDRESS = "127.0.0.1:8080"
SIGN_IN = "/kiban/api/v1/auth/sign-in"


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_nginx_serves_the_office_under_a_path(tmp_path: Path) -> None:
    port = free_port()
    with office(tmp_path, "/kiban") as inside:
        location = (DEPLOYMENT / "nginx.conf").read_text().replace(ADDRESS, inside)
        kept = " ".join(
            f"{name}_temp_path {tmp_path};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {kept} server {{ listen 127.0.0.1:{port};\n{location}\n}} }}"
        )
        with running(["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")], port):
            base = f"http://127.0.0.1:{port}/kiban"
            assert get(f"{base}/health/ready")[0] == 200
            assert get(f"{base}/api/v1/calls") == (200, {"items": [], "next_cursor": None})
            assert get(f"{base}/metrics")[0] == 404
            assert get(f"http://127.0.0.1:{port}{SIGN_IN}", b"x" * (65 << 20))[0] == 413
            assert_limits_know_callers_apart(port)


@pytest.mark.skipif(shutil.which("caddy") is None, reason="needs Caddy")
def test_caddy_serves_the_office_under_a_name(tmp_path: Path) -> None:
    port = free_port()
    with office(tmp_path, "") as inside:
        site = (DEPLOYMENT / "Caddyfile").read_text().replace(ADDRESS, inside)
        # TLS would take a certificate for the name.
        site = site.replace("programme.example.jp", f"http://127.0.0.1:{port}")
        (tmp_path / "Caddyfile").write_text("{\n admin off\n auto_https off\n}\n" + site)
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
        with running(command, port, XDG_DATA_HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path)):
            base = f"http://127.0.0.1:{port}"
            assert get(f"{base}/health/ready")[0] == 200
            assert get(f"{base}/api/v1/calls") == (200, {"items": [], "next_cursor": None})
            assert get(f"{base}/metrics")[0] in (401, 403, 404)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = (DEPLOYMENT / "kiban-office.service").read_text()
    (tmp_path / "kiban-office.service").write_text(unit.replace("/opt/kiban/bin/kiban", sys.executable))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "kiban-office.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    # It looks into the machine's own units too.
    complaints = [line for line in done.stderr.splitlines() if "kiban-office" in line]
    assert complaints == []
    options = unit.split(" office serve ")[1].splitlines()[0]
    helped = subprocess.run([sys.executable, "-m", "kiban", "office", "serve", *options.split(), "--help"],
                            capture_output=True, timeout=60)  # fmt: skip
    assert helped.returncode == 0


def assert_limits_know_callers_apart(port: int) -> None:
    """One caller guesses passwords until refused; another behind the same proxy may still sign in."""
    claims = {
        "X-Forwarded-For": "203.0.113.9"
    }  # nginx adds the address that it sees; what a caller says changes nothing
    statuses = [sign_in(port, "127.0.0.2", f"{number}@example.jp", claims) for number in range(20)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert sign_in(port, "127.0.0.3", "other@example.jp", {}) == 401


def sign_in(port: int, source: str, email: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    body = json.dumps({"email": email, "password": "not this one"})
    connection.request("POST", SIGN_IN, body, {"Content-Type": "application/json", **headers})
    status = connection.getresponse().status
    connection.close()
    return status


def get(url: str, body: bytes | None = None, **headers: str) -> tuple[int, object]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refused:
        return refused.code, None


@contextmanager
def office(home: Path, path_prefix: str) -> Iterator[str]:
    """Yields its address, `127.0.0.1:port`."""
    environment = os.environ | {
        "KIBAN_HOME": str(home / "office"),
        "KIBAN_DATABASE_URL": "",
        "KIBAN_TRUSTED_PROXIES": "127.0.0.1",
        "KIBAN_PATH_PREFIX": path_prefix,
    }
    command = [sys.executable, "-m", "kiban", "office", "serve", "--port", "0", "--json"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        url = str(json.loads(server.stdout.readline())["url"])
        yield url.removeprefix("http://").removesuffix(path_prefix)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[None]:
    """A proxy, from when it takes connections on."""
    proxy = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                probe.settimeout(5)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert proxy.poll() is None, proxy.stderr.read().decode() if proxy.stderr else ""
            # The proxy has no way to tell that it is ready but its port.
            subprocess.run(["sleep", "0.05"], check=True)
        yield
    finally:
        proxy.terminate()
        proxy.communicate(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
