"""Style sheets, scripts and pictures, from memory, at addresses that change with their content.

Every address has the digest of the whole folder in it (`/static/3f2a9c1d40b7/css/base.css`): browsers keep the file
for a year and never ask again, and files name one another by relative paths.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from starlette.types import ASGIApp, Receive, Scope, Send

from kiban.kit.errors import BadInput, KibanError
from kiban.portal.api.compression import VARYING, Header, compress, is_compressible, takes_gzip
from kiban.portal.api.kept import is_known
from kiban.portal.frontend import PACKAGES, SERVED

STATIC = Path(__file__).parents[1] / "static"
_MEDIA_TYPES = {
    "": "text/plain; charset=utf-8",  # LICENSE
    ".css": "text/css; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
# What browsers and crawlers ask for by name: path in the folder.
_BY_NAME = {"/favicon.ico": "favicon.ico", "/robots.txt": "robots.txt"}
# Sheets that stand inside every page, in this order: the first answer is enough to read it.
INLINED = (
    "packages/design-tokens/tokens.css",
    "css/base.css",
    "css/layout.css",
    "css/components.css",
    "css/forms.css",
    "css/tables.css",
    "css/charts.css",
    "css/print.css",
)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_OTHER_FILE = re.compile(r"url\((?!\s*['\"]?(data:|#))")
_DEFINED = re.compile(r"(--[\w-]+):[^;]*;$")
_USED = re.compile(r"var\((--[\w-]+)")
_FOR_EVER = b"public, max-age=31536000, immutable"
_FOR_A_DAY = b"public, max-age=86400"
_ADDRESS = re.compile(r"/static/([0-9a-f]{12})/(.+)")
_ROUTE = SimpleNamespace(path="/static")  # for the log and the figures


@dataclass(frozen=True, slots=True)
class Asset:
    headers: tuple[Header, ...]
    body: bytes
    etag: bytes

    @classmethod
    def of(cls, media_type: str, body: bytes) -> Asset:
        etag = b'"' + hashlib.blake2b(body, digest_size=12).hexdigest().encode() + b'"'
        headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"etag", etag),
        ]
        return cls(tuple(headers), body, etag)

    def packed(self) -> Asset:
        headers, body = compress(self.headers, self.body, level=9)
        return Asset(tuple(headers), body, self.etag)


class Assets:
    """What a folder holds when the process starts; names that begin with a dot are left out.

    Raises:
        BadInput: a file of a kind that this knows no media type for.
        KibanError: the packages have not been fetched.
    """

    def __init__(self, folder: Path = STATIC) -> None:
        if folder == STATIC and not all((PACKAGES / path).is_file() for path in SERVED.values()):
            raise KibanError(
                "the pages' packages are not there", where=str(PACKAGES), hint="run `python -m kiban.portal.frontend`"
            )
        self._plain: dict[str, Asset] = {}
        self._packed: dict[str, Asset] = {}
        whole = hashlib.blake2b(digest_size=6)
        for file in sorted(folder.rglob("*")):
            relative = file.relative_to(folder)
            if not file.is_file() or any(part.startswith(".") for part in relative.parts):
                continue
            body, path = file.read_bytes(), relative.as_posix()
            whole.update(f"{path}\0{len(body)}\0".encode() + body)
            self._add(path, file.suffix, body)
        self.digest = whole.hexdigest()
        self._base = f"/static/{self.digest}/"
        self.inline_css = _joined([folder / sheet for sheet in INLINED if sheet in self._plain])
        # What a Content-Security-Policy allows that text by (CSP level 3, section 6.7.2.2).
        self.inline_css_source = f"'sha256-{b64encode(hashlib.sha256(self.inline_css.encode()).digest()).decode()}'"

    def _add(self, path: str, suffix: str, body: bytes) -> None:
        media_type = _MEDIA_TYPES.get(suffix)
        if media_type is None:
            raise BadInput("no media type is known for this kind of file", where=path, hint="add it in web/assets.py")
        asset = self._plain[path] = self._packed[path] = Asset.of(media_type, body)
        if is_compressible(asset.headers, body):
            self._plain[path] = Asset((*asset.headers, VARYING), body, asset.etag)
            self._packed[path] = asset.packed()

    def url(self, path: str) -> str:
        """The address of a file of the folder, such as `css/base.css`, without the proxy's part.

        Raises:
            KeyError: there is none of this name.
        """
        if path not in self._plain:
            raise KeyError(f"static/{path}: no such file")
        return self._base + path

    def find(self, path: str, *, packed: bool) -> tuple[Asset, bytes] | None:
        """A file by its address without the path prefix, and what caches may do with it."""
        by_name = _BY_NAME.get(path)
        address = _ADDRESS.fullmatch(path)
        name = by_name or (address[2] if address else "")
        found = (self._packed if packed else self._plain).get(name)
        if found is None:
            return None
        if address is None:
            return found, _FOR_A_DAY
        # A page from before an update still finds its files, as they are now.
        return found, _FOR_EVER if address[1] == self.digest else b"no-cache"


def _joined(sheets: Sequence[Path]) -> str:
    """Style sheets as one, without comments and indentation, and of the packages' variables only those in use.

    Raises:
        BadInput: a sheet that cannot stand inside a page.
    """
    lines: dict[bool, list[str]] = {True: [], False: []}  # of packages, and ours
    for sheet in sheets:
        text = sheet.read_text(encoding="utf-8")
        if "</style" in text or "@import" in text or _OTHER_FILE.search(text):
            raise BadInput("a sheet inside pages names no other file and no tag", where=str(sheet))
        stripped = (line.strip() for line in _COMMENT.sub("", text).splitlines())
        lines[PACKAGES in sheet.parents] += [line for line in stripped if line]
    used = set(_USED.findall("\n".join(lines[True] + lines[False])))
    packaged = [line for line in lines[True] if (found := _DEFINED.match(line)) is None or found[1] in used]
    return "\n".join(packaged + lines[False])


class ServeAssets:
    """Answers for what `Assets` has; everything else goes on. Nobody is signed in and no route is searched for it."""

    def __init__(self, app: ASGIApp, assets: Assets) -> None:
        self.app, self._assets = app, assets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
        if not (path.startswith("/static/") or path in _BY_NAME):
            await self.app(scope, receive, send)
            return
        scope["route"] = _ROUTE
        if scope["method"] not in ("GET", "HEAD"):
            await _send(send, 405, [(b"allow", b"GET, HEAD"), (b"content-length", b"0")])
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        # These hold no secret, so it does not matter who made the browser ask.
        headers.pop(b"cookie", None)
        found = self._assets.find(path, packed=takes_gzip(headers))
        if found is None:
            await _send(send, 404, [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")], b"not found\n")
            return
        asset, caching = found
        answered = [*asset.headers, (b"cache-control", caching)]
        if is_known(asset.etag, headers.get(b"if-none-match", b"")):
            await _send(send, 304, [item for item in answered if item[0] != b"content-length"])
            return
        await _send(send, 200, answered, b"" if scope["method"] == "HEAD" else asset.body)


async def _send(send: Send, status: int, headers: list[Header], body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
