"""One stage, run to its end inside its own process: lock, meter, make, commit."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from kiban.kit.errors import BadInput, Interrupted
from kiban.kit.meter import Meter
from kiban.kit.store import Artifact, Store
from kiban.kit.withdrawals import COMPARED
from kiban.make.corpus.config import owners_of
from kiban.make.corpus.rights.withdrawal import ROLE, Withdrawn, concerning, withdrawals_input
from kiban.make.graph import Node
from kiban.make.recipe import Recipe
from kiban.make.stage import StageContext, StageFunction, Where

PR_SET_PDEATHSIG = 1


def run_stage(
    function: StageFunction,
    node: Node,
    recipe: Recipe,
    base_folder: Path,
    store: Store,
    *,
    where: Where = "here",
    workers: int | None = None,
) -> Artifact:
    """Make one node's artifact, or return it when it is there (another process may just have made it).

    Raises:
        BadInput: an input is missing or the disk is full.
        Interrupted: Ctrl-C or SIGTERM; scratch keeps what a rerun goes on from.
    """
    inputs = {}
    for role, digest in node.inputs.items():
        found = store.get(digest)
        if found is None:
            raise BadInput(
                f"stage {node.stage} needs {role}, which is not made yet",
                hint="run `kiban make` without --only",
            )
        inputs[role] = found
    name = f"{recipe.name}/{node.stage}"
    with _stoppable(), store.in_use(), store.making(node.spec, name) as draft:
        if made := store.get(node.spec.digest):
            return made
        withdrawn = _withdrawn(node, recipe, store) if node.stage == "corpus" else None
        context = StageContext(
            name, recipe, base_folder, inputs, draft.files, draft.scratch, recipe.seed, withdrawn, where, workers
        )
        try:
            with Meter(draft.scratch / "resources.json") as meter:
                result = function(context)
                resources = meter.resources()
            inherited = [
                party
                for role, artifact in inputs.items()
                if not role.startswith(COMPARED)  # nothing of those is inside
                for party in artifact.manifest.parties
            ]
            parties = tuple({party.source: party for party in (*inherited, *result.parties)}.values())
            return store.commit(draft, resources=resources, parties=parties, stats=result.stats)
        except KeyboardInterrupt:
            raise Interrupted(
                f"stage {node.stage} was interrupted", hint="the same command goes on from here"
            ) from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise BadInput(
                    "the disk is full",
                    where=str(store.root),
                    hint="free some space; the same command goes on from here",
                ) from None
            raise


def _withdrawn(node: Node, recipe: Recipe, store: Store) -> Withdrawn:
    sources = owners_of(recipe.corpus)
    concern = concerning(store, sources)
    if withdrawals_input(concern).get(ROLE) != node.spec.inputs.get(ROLE):
        raise BadInput("something was withdrawn while the stage was waiting", hint="run the same command again")
    return Withdrawn(store, sources, concern)


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends the stage as Ctrl-C does; a second signal does not disturb the winding up."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def die_with_parent() -> None:
    """A stage whose `kiban make` is gone (kill -9) stops too, instead of working on unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:
            sys.exit(143)
