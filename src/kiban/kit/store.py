"""The artifact store: folders named by digest that appear whole or not at all.

    <root>/artifacts/<digest>/     files and manifest.json; never changed once there
    <root>/partial/<digest>/       a stage at work: files/ (becomes the artifact) and scratch/ (its checkpoints)
    <root>/names/<recipe>/<stage>  the digest a recipe's stage last stood for; what garbage collection keeps
    <root>/plans/<digest>.json     what an artifact was predicted to take, before it was made
    <root>/withdrawals/, marks/    what owners took back, and which artifacts saw it: see withdrawals.py
    <root>/locks/                  one lock per digest being made, one for the store

What it promises, and its tests try to break: an artifact is complete (every file fsynced, listed with its sha256)
before its folder gets its name; two processes making the same one take turns and the second finds it made; a killed
maker leaves scratch/ for the next one and never an artifact; collection never removes what a name reaches or what
is being made or used.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kiban.kit.errors import BadInput, Refused
from kiban.kit.files import canonical_json, digest_file, digest_json, fsync, write_atomically, write_json
from kiban.kit.manifest import (
    FileEntry,
    InputRef,
    Manifest,
    Party,
    Resources,
    code_reference,
    environment,
    read_manifest,
)

DIGEST = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[^/\x00-\x1f.][^/\x00-\x1f]*")


@dataclass(frozen=True)
class Spec:
    """All that decides an artifact's content. Its digest is the artifact's name, known before it is made."""

    kind: str
    stage: str
    stage_version: str
    config: Mapping[str, Any]
    inputs: Mapping[str, InputRef]
    seed: int | None = None

    @property
    def digest(self) -> str:
        return digest_json(
            {
                "kind": self.kind,
                "stage": self.stage,
                "stage_version": self.stage_version,
                "config": self.config,
                "inputs": {role: ref.digest for role, ref in self.inputs.items()},
                "seed": self.seed,
            }
        )


@dataclass(frozen=True)
class Artifact:
    path: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def kind(self) -> str:
        return self.manifest.kind

    def corrupted(self) -> list[str]:
        """Paths of files that are missing or whose bytes differ from the manifest; reads everything."""
        wrong = []
        for entry in self.manifest.files:
            file = self.path / entry.path
            if not file.is_file() or file.stat().st_size != entry.bytes or digest_file(file) != entry.sha256:
                wrong.append(entry.path)
        return wrong


@dataclass
class Draft:
    """An artifact being made. Write results below `files`; keep what a restart can go on from in `scratch`."""

    spec: Spec
    name: str
    files: Path
    scratch: Path
    started: str = field(default_factory=lambda: now())


class Store:
    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        for folder in ("artifacts", "partial", "names", "plans", "locks", "cache"):
            try:
                (self.root / folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BadInput(f"cannot make the store: {error.strerror}", where=str(self.root)) from None

    # -- reading ------------------------------------------------------------------------------------------------

    def get(self, digest: str) -> Artifact | None:
        path = self.root / "artifacts" / digest
        return Artifact(path, read_manifest(path)) if (path / "manifest.json").exists() else None

    def all(self) -> list[Artifact]:
        """Every artifact, oldest first."""
        folders = [path for path in (self.root / "artifacts").iterdir() if DIGEST.fullmatch(path.name)]
        found = [artifact for path in folders if (artifact := self.get(path.name))]
        return sorted(found, key=lambda artifact: artifact.manifest.finished)

    def names(self) -> dict[str, str]:
        """`recipe/stage` -> digest."""
        base = self.root / "names"
        return {
            str(path.relative_to(base)): path.read_text().strip()
            for path in sorted(base.glob("*/*"))
            if not path.name.startswith(".")
        }

    def find(self, reference: str) -> Artifact:
        """An artifact by folder, by `recipe/stage`, by a recipe's name (its card, else its newest stage), or by
        the first characters of its digest (at least 4).

        Raises:
            BadInput: nothing, or more than one artifact, answers to `reference`.
        """
        folder = Path(reference)
        if (folder / "manifest.json").is_file():
            return Artifact(folder.resolve(), read_manifest(folder))
        names = self.names()
        if reference in names and (named := self.get(names[reference])):
            return named
        of_recipe = [self.get(digest) for name, digest in names.items() if name.startswith(f"{reference}/")]
        if made := [artifact for artifact in of_recipe if artifact]:
            return max(made, key=lambda artifact: artifact.manifest.finished)
        if re.fullmatch(r"[0-9a-f]{4,64}", reference):
            hits = sorted((self.root / "artifacts").glob(f"{reference}*"))
            if len(hits) > 1:
                raise BadInput(f"{len(hits)} artifacts begin with {reference!r}", hint="give more of the digest")
            if hits and (hit := self.get(hits[0].name)):
                return hit
        known = ", ".join(sorted({name.split("/")[0] for name in names})) or "none yet"
        raise BadInput(f"no artifact {reference!r} in {self.root}", hint=f"recipes made here: {known}")

    # -- making -------------------------------------------------------------------------------------------------

    @contextmanager
    def making(self, spec: Spec, name: str) -> Iterator[Draft]:
        """Hold the right to make `spec` and its partial folder, waiting for another process that has it.

        `files` is empty at the start; `scratch` holds whatever an earlier, interrupted attempt left. Leaving the
        block without `commit` keeps `scratch` and drops `files`.
        """
        partial = self.root / "partial" / spec.digest
        with self._lock(f"{spec.digest}.make", f"another process is making {name}; waiting for it"):
            files, scratch = partial / "files", partial / "scratch"
            scratch.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(files, ignore_errors=True)
            files.mkdir()
            try:
                yield Draft(spec, name, files, scratch)
            finally:
                shutil.rmtree(files, ignore_errors=True)
                if (self.root / "artifacts" / spec.digest).exists():
                    shutil.rmtree(partial, ignore_errors=True)

    def commit(
        self, draft: Draft, *, resources: Resources, parties: tuple[Party, ...], stats: dict[str, Any]
    ) -> Artifact:
        """Turn a draft into an artifact: list and fsync its files, write the manifest, rename into place."""
        entries = []
        for path in sorted(path for path in draft.files.rglob("*") if path.is_file()):
            fsync(path)
            entries.append(
                FileEntry(
                    path=str(path.relative_to(draft.files)),
                    sha256=digest_file(path),
                    bytes=path.stat().st_size,
                )
            )
        manifest = Manifest(
            kind=draft.spec.kind,
            digest=draft.spec.digest,
            name=draft.name,
            stage=draft.spec.stage,
            stage_version=draft.spec.stage_version,
            config=dict(draft.spec.config),
            inputs=dict(draft.spec.inputs),
            code=code_reference(),
            environment=environment(),
            seed=draft.spec.seed,
            started=draft.started,
            finished=now(),
            resources=resources,
            parties=parties,
            stats=stats,
            files=tuple(entries),
        )
        write_json(draft.files / "manifest.json", manifest.model_dump(mode="json"))
        for folder in [path for path in draft.files.rglob("*") if path.is_dir()]:
            fsync(folder)
        final = self.root / "artifacts" / draft.spec.digest
        if not final.exists():
            draft.files.rename(final)
            fsync(final.parent)
        return Artifact(final, read_manifest(final))

    def set_name(self, name: str, digest: str) -> None:
        """Point `recipe/stage` at an artifact."""
        parts = name.split("/")
        if len(parts) != 2 or not all(NAME.fullmatch(part) for part in parts):
            raise BadInput(f"{name!r} cannot name an artifact", hint="expected recipe/stage")
        path = self.root / "names" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text().strip() != digest:
            write_atomically(path, digest + "\n")

    def keep_plan(self, digest: str, plan: Mapping[str, Any]) -> None:
        """Remember what making the artifact `digest` was predicted to take. It is no part of the artifact."""
        write_json(self.root / "plans" / f"{digest}.json", plan)

    def plan_of(self, digest: str) -> dict[str, Any] | None:
        """What was predicted before the artifact was made; None where nothing was."""
        path = self.root / "plans" / f"{digest}.json"
        if not path.is_file():
            return None
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    # -- collecting ---------------------------------------------------------------------------------------------

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep collection away while artifacts are made or read over a longer time."""
        with (self.root / "locks" / "store").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    def collect(self, *, dry_run: bool, partial_older_than_s: float) -> list[tuple[Path, int]]:
        """Remove artifacts that no name reaches, interrupted work not touched for `partial_older_than_s`, and the
        plans of what is neither made nor begun.

        Returns the removed (or, in a dry run, removable) folders and plans with their bytes.

        Raises:
            Refused: the store is in use by another kiban process.
        """
        with (self.root / "locks" / "store").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(
                    "the store is in use by another kiban process",
                    where=str(self.root),
                    hint="try again when it is done",
                ) from None
            kept = self._reachable()
            doomed = [path for path in (self.root / "artifacts").iterdir() if path.name not in kept]
            oldest = time.time() - partial_older_than_s
            doomed += [path for path in (self.root / "partial").iterdir() if _last_change(path) < oldest]
            begun = {path.name for path in (self.root / "partial").iterdir() if path not in doomed}
            plans = (self.root / "plans").glob("*.json")
            doomed += [path for path in plans if path.stem not in kept and path.stem not in begun]
            sizes = [(path, _bytes(path)) for path in sorted(doomed)]
            if not dry_run:
                for path, _ in sizes:
                    if path.is_file():
                        path.unlink()
                        continue
                    # Renamed first, so that a crash half-way leaves no artifact with files missing.
                    leaving = path.with_name(f".{path.name.strip('.')}")
                    path.rename(leaving)
                    shutil.rmtree(leaving)
            return sizes

    def _reachable(self) -> set[str]:
        reached: set[str] = set()
        waiting = list(self.names().values())
        while waiting:
            digest = waiting.pop()
            if digest in reached:
                continue
            if artifact := self.get(digest):
                reached.add(digest)
                waiting += [ref.digest for ref in artifact.manifest.inputs.values()]
        return reached

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the store's lock `name`, waiting without a word for whoever has it: for what takes an instant."""
        with (self.root / "locks" / name).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _lock(self, name: str, waiting: str) -> Iterator[IO[str]]:
        with (self.root / "locks" / name).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"kiban: {waiting}", file=sys.stderr, flush=True)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock


def now() -> str:
    """UTC, ISO 8601, to the millisecond."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _last_change(path: Path) -> float:
    return max(each.stat().st_mtime for each in (path, *path.rglob("*")))


class FingerprintCache:
    """sha256 of files, remembered by path, size and modification time, so that a second look is cheap."""

    def __init__(self, store: Store) -> None:
        import sqlite3

        self._connection = sqlite3.connect(store.root / "cache" / "fingerprints.sqlite", timeout=60)
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS fingerprint (key TEXT PRIMARY KEY, sha256 TEXT NOT NULL) WITHOUT ROWID"
        )
        self._unsaved: dict[str, str] = {}
        self._saved = time.monotonic()

    def digest(self, path: Path) -> str:
        status = path.stat()
        key = canonical_json([str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino]).decode()
        if key in self._unsaved:
            return self._unsaved[key]
        row = self._connection.execute("SELECT sha256 FROM fingerprint WHERE key = ?", (key,)).fetchone()
        if row:
            return str(row[0])
        sha256 = digest_file(path)
        # A file written within the last two seconds may change again without its time stamp showing it.
        if time.time() - status.st_mtime > 2:
            self._unsaved[key] = sha256
            if time.monotonic() - self._saved > 1:
                self._save()
        return sha256

    def _save(self) -> None:
        # Together: a commit for each of ten thousand files takes a minute.
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO fingerprint VALUES (?, ?)", self._unsaved.items())
        self._unsaved, self._saved = {}, time.monotonic()

    def close(self) -> None:
        self._save()
        self._connection.close()
