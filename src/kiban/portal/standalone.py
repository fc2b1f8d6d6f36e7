"""A portal on one's own machine: what the server needs in its environment, and the model to serve beside it."""

from __future__ import annotations

import ipaddress
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kiban.kit.errors import BadInput
from kiban.portal.artifacts.index import ArtifactIndex
from kiban.portal.model_server import ModelServer, free_port

WEIGHTS_CONFIG = "config.json"  # what every model that can be served has


@dataclass(frozen=True)
class Address:
    """Where the portal listens, and what stands before its paths."""

    host: str
    port: int
    path_prefix: str = ""


def surroundings(given: Mapping[str, str], address: Address, store: Path) -> dict[str, str]:
    """The environment's own settings, and beside them those that a portal at this address needs.

    Secure cookies are left out on plain HTTP to this very machine, where nobody is between browser and server: Chromium
    and Firefox would take them there all the same, Safari does not.
    """
    shown = "127.0.0.1" if address.host in ("0.0.0.0", "::", "localhost") else address.host
    shown = f"[{shown}]" if ":" in shown else shown
    found = {name: value for name, value in given.items() if value}
    if address.path_prefix:
        found["KIBAN_PATH_PREFIX"] = address.path_prefix
    prefix = found.get("KIBAN_PATH_PREFIX", "")
    found.setdefault("KIBAN_STORE", str(store))
    found.setdefault("KIBAN_PUBLIC_URL", f"http://{shown}:{address.port}{prefix}")
    if is_on_this_machine(found["KIBAN_PUBLIC_URL"]):
        found.setdefault("KIBAN_COOKIE_SECURE", "false")
    return found


def is_on_this_machine(url: str) -> bool:
    """Whether it is plain HTTP to the loopback address."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return False
    try:
        return parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def newest_model(store: Path) -> str | None:
    """The digest of the newest model that can be served, for `kiban serve`."""
    for manifest in ArtifactIndex(store).search(kind="model"):
        if WEIGHTS_CONFIG in {entry.path for entry in manifest.files}:
            return manifest.digest
    return None


def check_model(store: Path, reference: str) -> None:
    """See that a model's name leads somewhere before anything is started.

    Raises:
        BadInput: no folder, no recipe and no digest of this store.
    """
    contents = ArtifactIndex(store).contents()
    names = {name for each in contents.names.values() for name in each}
    recipes = {name.partition("/")[0] for name in names}
    is_digest = len(reference) >= 4 and any(digest.startswith(reference) for digest in contents.manifests)
    if not (is_digest or reference in names | recipes or Path(reference).is_dir()):
        known = ", ".join(sorted(recipes)) or "none yet"
        raise BadInput(f"no model {reference!r} in {store}", where="--model", hint=f"recipes made here: {known}")


def model_server(
    model: str, store: Path, environment: Mapping[str, str], log: Path
) -> tuple[ModelServer, dict[str, str]]:
    """A server for this model, not yet started, and the settings by which the portal finds it.

    It listens on the loopback address and answers to a key of this start alone, so that nobody else on the machine
    talks to it without having signed in.
    """
    port, key = free_port(), secrets.token_urlsafe(32)
    command = [sys.executable, "-m", "kiban.cli.tethered", "--store", str(store)]
    command += ["serve", model, "--host", "127.0.0.1", "--port", str(port)]
    server = ModelServer(command, log, environment={**environment, "KIBAN_API_KEYS": key})
    return server, {"KIBAN_SERVING_URL": f"http://127.0.0.1:{port}", "KIBAN_SERVING_KEY": key}
