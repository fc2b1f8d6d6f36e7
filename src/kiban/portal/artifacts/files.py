"""The files of an artifact, given out by their place in its manifest and by nothing else."""

from __future__ import annotations

import mimetypes
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kiban.kit.manifest import FileEntry
from kiban.kit.store import Artifact
from kiban.office.errors import NotFound
from kiban.office.guards.file_name import content_disposition

# Cards come with styles, drawings and a script of their own. The sandbox gives them an origin of nobody's, so that they
# reach no cookie and none of the office's pages.
CARD_CSP = (
    "sandbox allow-popups allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; font-src data:; frame-ancestors 'none'"
)
CARD_FILE = "card.html"
_NEVER_RUN = "sandbox; default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Download:
    """Where the bytes are, and what to send them with."""

    path: Path
    entry: FileEntry
    media_type: str
    headers: dict[str, str]


def download(artifact: Artifact, path: str) -> Download:
    """A file that the artifact's manifest lists, to be saved and never shown in the office's pages.

    Raises:
        NotFound: not listed, gone, or no plain file inside the artifact's folder.
    """
    entry, file = _listed(artifact, path)
    headers = {
        "Content-Disposition": content_disposition(PurePosixPath(entry.path).name),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _NEVER_RUN,
        "ETag": f'"{entry.sha256}"',
    }
    media_type = mimetypes.guess_type(entry.path, strict=False)[0] or "application/octet-stream"
    return Download(file, entry, media_type, headers)


def card_page(artifact: Artifact) -> Download:
    """The page of a card artifact, to be shown by itself under `CARD_CSP`.

    Raises:
        NotFound: it has none.
    """
    entry, file = _listed(artifact, CARD_FILE)
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": CARD_CSP,
        "ETag": f'"{entry.sha256}"',
    }
    return Download(file, entry, "text/html; charset=utf-8", headers)


def read_small(artifact: Artifact, path: str, most_bytes: int) -> bytes | None:
    """A listed file's bytes; None where it is not there or larger."""
    try:
        entry, file = _listed(artifact, path)
    except NotFound:
        return None
    if entry.bytes > most_bytes:
        return None
    with file.open("rb") as given:
        return given.read(most_bytes)


def _listed(artifact: Artifact, path: str) -> tuple[FileEntry, Path]:
    entry = next((each for each in artifact.manifest.files if each.path == path), None)
    if entry is None:
        raise NotFound("the artifact has no such file", where="path")
    # A manifest is data like any other: what it lists may still lie, or lead, elsewhere.
    folder, file = artifact.path.resolve(), artifact.path / entry.path
    try:
        inside = file.resolve(strict=True).is_relative_to(folder)
        plain = stat.S_ISREG(os.lstat(file).st_mode)
    except (OSError, ValueError):
        inside = plain = False
    if not inside or not plain:
        raise NotFound("the artifact has no such file", where="path")
    return entry, file
