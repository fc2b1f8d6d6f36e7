"""Names of uploaded files: safe to keep on any file system, and safe to say in a header."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from kiban.office.guards.inspection.report import MEDIA_TYPES

MAX_NAME_BYTES = 200
MAX_EXTENSION_BYTES = 20
NAMELESS = "file"

# Windows reads these as devices, whatever extension follows.
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|(?:COM|LPT)[0-9¹²³])\s*(?:\.|$)", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*]')
# Marks that turn or hide the order of letters: "report\u202Efdp.exe" is shown as "reportexe.pdf".
_INVISIBLE = frozenset(
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064"
    "\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufeff\ufff9\ufffa\ufffb"
)
_ENDS = " .\u3000\u00a0"


def safe_file_name(name: str) -> str:
    """The name a file is kept and shown under. Total, and applying it twice changes nothing.

    NFC; the last part of a path, whichever system wrote it; no control, direction or invisible characters; no
    characters or device names that Windows reserves; no leading dot; at most 200 bytes of UTF-8, the extension kept;
    never empty, and where there is only an extension, as in `.pdf`, with a name before it.
    """
    name = "".join(c for c in name if not _is_hidden(c)).replace("\\", "/")
    name = unicodedata.normalize("NFC", name.rstrip("/").rpartition("/")[2])
    given, name = name, _FORBIDDEN.sub("_", name).strip(_ENDS)
    if name.lower() in MEDIA_TYPES and f".{name}" in given:
        name = f"{NAMELESS}.{name}"
    if _RESERVED.match(name):
        name = f"_{name}"
    return _shortened(name) or NAMELESS


def extension(name: str) -> str:
    """The extension in lower case without its dot; empty if there is none."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem else ""


def content_disposition(name: str, *, inline: bool = False) -> str:
    """A `Content-Disposition` value that brings Japanese names over (RFC 6266, RFC 8187) and nothing else.

    The name is made safe first, so no line break or quote can reach the header.
    """
    name = safe_file_name(name)
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    encoded = quote(name, safe="!#$&+-.^_`|~")
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def _is_hidden(character: str) -> bool:
    # Cc: controls, Cs: surrogates, Zl and Zp: line and paragraph separators, Cn: never assigned.
    return character in _INVISIBLE or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp", "Cn"}


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, last = name.rpartition(".")
    if not stem or len(last.encode()) > MAX_EXTENSION_BYTES:
        stem, dot, last = name, "", ""
    room = MAX_NAME_BYTES - len((dot + last).encode())
    kept = stem.encode()[:room].decode(errors="ignore")
    return (kept.rstrip(_ENDS) + dot + last).strip(_ENDS)
