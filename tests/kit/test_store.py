"""The store's promises, each with an attempt to break it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput, Refused
from kiban.kit.manifest import InputRef, Party, Resources
from kiban.kit.store import Artifact, FingerprintCache, Spec, Store

NOTHING_USED = Resources(
    wall_s=0.0,
    cpu_s=0.0,
    peak_memory_bytes=0,
    gpu_s=0.0,
    energy_j=None,
    energy_source="unknown",
    energy_method="not metered",
)


def spec(
    config: Mapping[str, object] | None = None, inputs: Mapping[str, Artifact] | None = None, seed: int = 1
) -> Spec:
    refs = {role: InputRef(digest=found.digest, kind=found.kind) for role, found in (inputs or {}).items()}
    return Spec("corpus", "corpus", "1", dict(config or {}), refs, seed)


def put(store: Store, made: Spec, files: Mapping[str, bytes], name: str = "test/corpus") -> Artifact:
    with store.making(made, name) as draft:
        for path, data in files.items():
            target = draft.files / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return store.commit(draft, resources=NOTHING_USED, parties=(), stats={"n": len(files)})


@given(
    files=st.dictionaries(
        st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5})?\.bin", fullmatch=True), st.binary(max_size=300), max_size=4
    )
)
@settings(max_examples=25, deadline=None)
def test_what_goes_in_comes_out_and_is_listed(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    made = put(store, spec(), files)
    found = store.get(made.digest)
    assert found is not None
    assert found.manifest == made.manifest
    assert {entry.path: entry.bytes for entry in found.manifest.files} == {k: len(v) for k, v in files.items()}
    assert all((found.path / path).read_bytes() == data for path, data in files.items())
    assert found.corrupted() == []
    assert list((store.root / "partial").iterdir()) == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=4), st.randoms())
def test_a_digest_depends_on_content_not_on_key_order(config: dict[str, object], random: object) -> None:
    keys = list(config)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert spec(config).digest == spec({key: config[key] for key in keys}).digest
    assert spec(config).digest != spec({**config, "another": 1}).digest
    assert spec(config).digest != spec(config, seed=2).digest


def test_a_file_changed_or_removed_later_is_found(tmp_path: Path) -> None:
    made = put(Store(tmp_path), spec(), {"a.bin": b"12345", "b.bin": b"6", "c.bin": b"7"})
    (made.path / "a.bin").write_bytes(b"12x45")
    (made.path / "b.bin").unlink()
    assert made.corrupted() == ["a.bin", "b.bin"]


def test_a_stage_that_fails_leaves_scratch_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def die_half_way() -> None:
        with store.making(spec(), "x/corpus") as draft:
            (draft.files / "half").write_text("half")
            (draft.scratch / "checkpoint").write_text("step 3")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        die_half_way()
    assert store.get(spec().digest) is None
    assert store.all() == []
    with store.making(spec(), "x/corpus") as draft:
        assert list(draft.files.iterdir()) == []
        assert (draft.scratch / "checkpoint").read_text() == "step 3"


MAKER = """
import sys, os, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_store import NOTHING_USED, spec
from kiban.kit.store import Store
store = Store(Path({root!r}))
with store.making(spec(), "x/corpus") as draft:
    made_before = store.get(spec().digest) is not None
    if not made_before:
        for number in range(200):
            (draft.files / f"{{number}}.bin").write_bytes(os.urandom(20_000))
            if number == 20: print("writing", flush=True)
        store.commit(draft, resources=NOTHING_USED, parties=(), stats={{}})
    print("found" if made_before else "made", flush=True)
"""


def maker(root: Path) -> subprocess.Popen[str]:
    code = MAKER.format(tests=str(Path(__file__).parent), root=str(root))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("delay_ms", [0, 5, 20, 60])
def test_a_maker_killed_at_any_moment_leaves_a_whole_artifact_or_none(tmp_path: Path, delay_ms: int) -> None:
    process = maker(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    deadline = time.monotonic() + delay_ms / 1000
    while time.monotonic() < deadline:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    survived = Store(tmp_path).get(spec().digest)
    assert survived is None or survived.corrupted() == []
    again = maker(tmp_path)
    assert again.communicate(timeout=60)[0].endswith("found\n" if survived else "made\n")
    whole = Store(tmp_path).get(spec().digest)
    assert whole is not None
    assert whole.corrupted() == []
    assert len(whole.manifest.files) == 200


def test_many_makers_of_one_artifact_make_it_once(tmp_path: Path) -> None:
    makers = [maker(tmp_path) for _ in range(4)]
    said = sorted(process.communicate(timeout=60)[0].split()[-1] for process in makers)
    assert said == ["found", "found", "found", "made"]
    assert len(Store(tmp_path).all()) == 1


def test_references_by_name_prefix_and_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = put(store, spec({"n": 1}), {"a": b"1"}, "demo/corpus")
    second = put(store, spec({"n": 2}), {"a": b"2"}, "demo/card")
    store.set_name("demo/corpus", first.digest)
    store.set_name("demo/card", second.digest)
    assert store.find("demo/corpus").digest == first.digest
    assert store.find("demo").digest == second.digest
    assert store.find(first.digest[:12]).digest == first.digest
    assert store.find(str(first.path)).digest == first.digest
    with pytest.raises(BadInput, match="recipes made here: demo"):
        store.find("other")
    with pytest.raises(BadInput, match="cannot name"):
        store.set_name("../../etc/passwd", first.digest)


def test_collection_keeps_what_a_name_reaches_and_only_that(tmp_path: Path) -> None:
    store = Store(tmp_path)
    corpus = put(store, spec({"n": 1}), {"a": b"1" * 1000})
    model = put(store, spec({"n": 2}, {"corpus": corpus}), {"a": b"2"})
    lost = put(store, spec({"n": 3}, {"corpus": corpus}), {"a": b"3"})
    store.set_name("demo/model", model.digest)
    with store.making(spec({"n": 4}), "x/corpus") as draft:
        (draft.scratch / "checkpoint").write_text("hours of work")
    planned = store.collect(dry_run=True, partial_older_than_s=3600)
    assert [path.name for path, _ in planned] == [lost.digest]
    assert store.get(lost.digest) is not None
    assert store.collect(dry_run=False, partial_older_than_s=3600) == planned
    assert {artifact.digest for artifact in store.all()} == {corpus.digest, model.digest}
    assert len(list((store.root / "partial").iterdir())) == 1
    store.collect(dry_run=False, partial_older_than_s=0)
    assert list((store.root / "partial").iterdir()) == []


def test_collection_waits_for_nobody_and_takes_nothing_in_use(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, spec(), {"a": b"1"})
    with store.in_use(), pytest.raises(Refused, match="in use"):
        store.collect(dry_run=False, partial_older_than_s=0)
    assert len(store.all()) == 1


def test_a_collection_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = put(store, spec(), {"a": b"1", "b": b"2"})
    half_removed = made.path.with_name(f".{made.digest}")
    made.path.rename(half_removed)
    (half_removed / "a").unlink()
    assert store.all() == []
    store.collect(dry_run=False, partial_older_than_s=0)
    assert not half_removed.exists()


def test_parties_and_inputs_survive_the_round_trip(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.making(spec(), "x/corpus") as draft:
        party = Party(source="manuals", owner="潮見ヶ丘", licence="CC0-1.0", uses=("train",))
        made = store.commit(draft, resources=NOTHING_USED, parties=(party,), stats={"文書": 3})
    found = store.get(made.digest)
    assert found is not None
    assert found.manifest.parties == (party,)
    raw = json.loads((found.path / "manifest.json").read_text(encoding="utf-8"))
    assert raw["stats"] == {"文書": 3}


def test_fingerprints_follow_content_and_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")
    file = tmp_path / "document.txt"
    file.write_text("一")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    cache = FingerprintCache(store)
    first = cache.digest(file)
    monkeypatch.setattr("kiban.kit.store.digest_file", lambda path: "was read again")
    assert cache.digest(file) == first
    os.utime(file, (1_000_000_001, 1_000_000_001))
    assert cache.digest(file) == "was read again"
    cache.close()


def test_a_store_where_none_can_be_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot make the store"):
        Store(tmp_path / "file" / "store")
