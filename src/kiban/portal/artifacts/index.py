"""What lies in the store, kept in memory: a manifest never changes, so that a look costs a few calls of `stat`.

A page that shows artifacts takes the store's folder from `work.settings`, which tells the keeping of answers that they
may change without the database (`office.work.Noticed`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from kiban.kit.lineage import Lineage, LineageEdge, LineageNode, trace
from kiban.kit.manifest import Manifest, Resources, read_manifest
from kiban.kit.store import DIGEST, Artifact
from kiban.office.errors import NotFound

LEAST_DIGITS = 8  # of a digest, to find an artifact by
# A folder may change twice within one tick of its time stamp: one that changed so lately is listed again.
SETTLED_NS = 2_000_000_000
# Pages that show artifacts are kept for as long (`office.work.Noticed`).
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Contents:
    """All of a store at one moment.

    Attributes:
        manifests: by digest, newest first.
        used_by: digests of what was made from an artifact.
        names: `recipe/stage` of each artifact that one stands for.
        unreadable: folders whose manifest is missing or cannot be read.
    """

    manifests: MappingProxyType[str, Manifest]
    used_by: MappingProxyType[str, tuple[str, ...]]
    names: MappingProxyType[str, tuple[str, ...]]
    unreadable: tuple[str, ...]


class ArtifactIndex:
    def __init__(self, root: Path, *, look_every_seconds: float = 0.0) -> None:
        """Args:
        root: the store's folder; one that is not there is an empty store, and is not made.
        look_every_seconds: how old what is known may get before the folders are looked at again.
        """
        self.root = root.absolute()
        self._look_every = look_every_seconds
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._seen: dict[str, int] | None = None
        self._names: dict[str, tuple[int, dict[str, str]]] = {}  # by recipe: when it changed, and digests by stage
        self._contents = _contents({}, {}, ())

    def contents(self) -> Contents:
        """What lies there now."""
        with self._lock:
            if time.monotonic() < self._look_at:
                return self._contents
            seen = self._stamps()
            if seen != self._seen:
                self._contents = self._read(seen)
                settled = all(time.time_ns() - stamp > SETTLED_NS for stamp in seen.values())
                self._seen = seen if settled else None
            self._look_at = time.monotonic() + self._look_every
            return self._contents

    def find(self, reference: str) -> Artifact:
        """An artifact by its digest or the first digits of it.

        Raises:
            NotFound: none, more than one, or fewer digits than `LEAST_DIGITS`.
        """
        manifests = self.contents().manifests
        found = manifests.get(reference)
        if found is None and len(reference) >= LEAST_DIGITS:
            alike = [each for digest, each in manifests.items() if digest.startswith(reference)]
            found = alike[0] if len(alike) == 1 else None
        if found is None:
            raise NotFound("there is no such artifact in the programme's store", where=reference[:64])
        return Artifact(self.root / "artifacts" / found.digest, found)

    def search(
        self,
        *,
        kind: str = "",
        text: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Manifest]:
        """Artifacts, the newest first.

        Args:
            text: in the name, or the beginning of the digest; capitals do not matter.
            since, until: when its making ended, `until` not included; both with a time zone.
        """
        wanted = text.strip().casefold()
        return [
            each
            for each in self.contents().manifests.values()
            if (not kind or each.kind == kind)
            and (not wanted or wanted in each.name.casefold() or each.digest.startswith(wanted))
            and (since is None or datetime.fromisoformat(each.finished) >= since)
            and (until is None or datetime.fromisoformat(each.finished) < until)
        ]

    def kinds(self) -> Counter[str]:
        return Counter(each.kind for each in self.contents().manifests.values())

    def made_of(self, digest: str, kind: str) -> list[Manifest]:
        """Artifacts of a kind that were made from this one directly, the newest first: a model's cards, evaluations."""
        contents = self.contents()
        return [made for each in contents.used_by.get(digest, ()) if (made := contents.manifests[each]).kind == kind]

    def lineage(self, digest: str) -> Lineage:
        """What an artifact was made from, all the way down. Raises: NotFound."""
        return trace(self.find(digest).manifest, self.contents().manifests.get)

    def descendants(self, digest: str) -> Lineage:
        """What was made from an artifact, all the way up, as edges from it. Raises: NotFound."""
        contents, root = self.contents(), self.find(digest).manifest
        nodes, edges, waiting = {root.digest: _node(root)}, list[LineageEdge](), [root.digest]
        while waiting:
            source = waiting.pop(0)
            for each in contents.used_by.get(source, ()):
                made = contents.manifests[each]
                roles = [role for role, ref in made.inputs.items() if ref.digest == source]
                edges += [LineageEdge(source, each, role) for role in roles]
                if each not in nodes:
                    nodes[each] = _node(made)
                    waiting.append(each)
        return Lineage(root.digest, nodes, tuple(edges))

    def _stamps(self) -> dict[str, int]:
        """The folders whose entries come and go, and when they last did."""
        found = {}
        for folder in ("artifacts", "names"):
            try:
                found[folder] = (self.root / folder).stat().st_mtime_ns
            except OSError:
                continue
        try:
            with os.scandir(self.root / "names") as recipes:
                found |= {f"names/{each.name}": each.stat().st_mtime_ns for each in recipes}
        except OSError:  # none yet, or one went while it was looked at: then the time of the folder above has changed
            pass
        return found

    def _read(self, seen: dict[str, int]) -> Contents:
        """Read the manifests and names that are new; what is known is as it was."""
        known, unreadable = self._contents.manifests, []
        manifests = {}
        for digest in _entries(self.root / "artifacts"):
            if not DIGEST.fullmatch(digest):
                continue
            manifest = known.get(digest) or _manifest(self.root / "artifacts" / digest)
            if manifest is None:
                unreadable.append(digest)
            else:
                manifests[digest] = manifest
        names: dict[str, tuple[int, dict[str, str]]] = {}
        by_digest: defaultdict[str, list[str]] = defaultdict(list)
        for folder, stamp in seen.items():
            if folder.startswith("names/"):
                then, stages = self._names.get(folder, (0, {}))
                if then != stamp or time.time_ns() - stamp <= SETTLED_NS:
                    stages = _stages(self.root / folder)
                names[folder] = stamp, stages
                for stage, digest in stages.items():
                    by_digest[digest].append(f"{folder.removeprefix('names/')}/{stage}")
        self._names = names
        return _contents(manifests, by_digest, tuple(sorted(unreadable)))


@functools.lru_cache(maxsize=8)
def index_of(root: Path) -> ArtifactIndex:
    """The one index of a store in this process."""
    return ArtifactIndex(root, look_every_seconds=LOOK_SECONDS)


def total_resources(manifests: Iterable[Manifest]) -> Resources:
    """What several artifacts took together: sums, and the largest memory.

    Energy is unknown as soon as one part of it is, and an estimate as soon as one part of it is.
    """
    parts = [each.resources for each in manifests]
    known = [each.energy_j for each in parts if each.energy_j is not None]
    sources = {each.energy_source for each in parts}
    whole = len(known) == len(parts) and bool(parts)
    source = "unknown" if not whole or "unknown" in sources else "estimated" if "estimated" in sources else "measured"
    return Resources(
        wall_s=sum(each.wall_s for each in parts),
        cpu_s=sum(each.cpu_s for each in parts),
        peak_memory_bytes=max((each.peak_memory_bytes for each in parts), default=0),
        gpu_s=sum(each.gpu_s for each in parts),
        energy_j=sum(known) if whole else None,
        energy_source=source,
        energy_method="; ".join(sorted({each.energy_method for each in parts})),
        attempts=sum(each.attempts for each in parts),
    )


def _contents(manifests: dict[str, Manifest], names: dict[str, list[str]], unreadable: tuple[str, ...]) -> Contents:
    newest_first = sorted(manifests.values(), key=lambda each: (each.finished, each.digest), reverse=True)
    used_by: defaultdict[str, list[str]] = defaultdict(list)
    for each in newest_first:
        for digest in {ref.digest for ref in each.inputs.values() if ref.kind != "external"}:
            used_by[digest].append(each.digest)
    return Contents(
        MappingProxyType({each.digest: each for each in newest_first}),
        MappingProxyType({digest: tuple(users) for digest, users in used_by.items()}),
        MappingProxyType({digest: tuple(sorted(each)) for digest, each in names.items()}),
        unreadable,
    )


def _node(manifest: Manifest) -> LineageNode:
    return LineageNode(manifest.digest, manifest.digest, manifest.stage, manifest.name, manifest.kind, "made", manifest)


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir())
    except OSError:
        return []


def _stages(recipe: Path) -> dict[str, str]:
    """The digests that a recipe's stages stand for; none where it is no folder."""
    found = {}
    for stage in _entries(recipe):
        if not stage.startswith("."):
            with contextlib.suppress(OSError):
                found[stage] = (recipe / stage).read_text().strip()
    return found


def _manifest(folder: Path) -> Manifest | None:
    """None for one that cannot be read, or that says it belongs to another folder."""
    try:
        manifest = read_manifest(folder)
    except (OSError, ValidationError):
        return None
    return manifest if manifest.digest == folder.name else None
