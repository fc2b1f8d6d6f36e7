from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from kiban.kit.errors import BadInput
from kiban.kit.manifest import Party
from kiban.kit.store import Artifact, Store
from kiban.kit.withdrawals import Staleness, Withdrawal, marked, record, withdrawals
from kiban.make.corpus.rights import withdrawal as module
from kiban.make.corpus.rights.withdrawal import (
    Withdrawn,
    concerning,
    count_in_corpora,
    documents,
    resolve,
    search_corpora,
    withdrawals_input,
)

from .conftest import Put, sha256

MANUALS = [
    ("manuals", "a.txt", "Shiomi", "いろは"),
    ("manuals", "b.txt", "Kudo", "にほへ"),
    ("web", "a.txt", "Wataru", "ちりぬ"),
    ("web", "c.txt", "Shiomi", "るをわ"),
]
OWNERS = {"manuals": "Works", "web": "Web"}


def withdraw(store: Store, value: str, **more: str) -> Withdrawal:
    meant = resolve(store, value, **more)  # type: ignore[arg-type]
    made = record(store, meant.kind, meant.value, source=meant.source, owner=meant.owner, texts=meant.texts)
    search_corpora(store)
    return made


def held(store: Store, found: Withdrawal) -> dict[str, int]:
    return {each.manifest.name: n for each in store.all() if (n := marked(store, each.digest).get(found.id))}


# -- finding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ledger", [True, False])
def test_documents_are_listed_with_their_owners(put_corpus: Put, ledger: bool) -> None:
    made = put_corpus("demo/corpus", MANUALS, owners=OWNERS, ledger=ledger)
    found = {(each.source, each.id): (each.owner, each.sha256) for each in documents(made)}
    expected = {
        (source, identity): (owner if ledger else OWNERS[source], sha256(text).hex())
        for source, identity, owner, text in MANUALS
    }
    assert found == expected


def test_a_document_is_found_by_its_id_source_and_owner(store: Store, put_corpus: Put) -> None:
    put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    found = withdraw(store, "b.txt")
    assert (found.kind, found.value, found.source, found.owner) == ("document", "b.txt", "manuals", "Works")
    assert found.texts == (sha256("にほへ").hex(),)
    assert held(store, found) == {"demo/corpus": 1}


def test_a_name_of_several_documents_has_to_be_told_apart(store: Store, put_corpus: Put) -> None:
    put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    put_corpus("other/corpus", [("notes", "b.txt", "Else", "other")])
    with pytest.raises(
        BadInput, match=r"2 documents are called 'a.txt', in 'manuals' of Works, 'web' of Web.*--source"
    ):
        resolve(store, "a.txt")
    assert withdraw(store, "a.txt", source="web").owner == "Web"
    within = [store.find("other/corpus").manifest]
    assert resolve(store, "b.txt", within=within).source == "notes"


def test_an_owner_is_found_in_every_source_or_in_one(store: Store, put_corpus: Put) -> None:
    put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    assert held(store, withdraw(store, "ＳＨＩＯＭＩ")) == {"demo/corpus": 2}
    assert held(store, withdraw(store, "Shiomi", source="web")) == {"demo/corpus": 1}
    put_corpus("old/corpus", MANUALS, owners=OWNERS, ledger=False)
    assert held(store, withdraw(store, "Works")) == {"old/corpus": 2}, "in the new one each document has its own owner"


def test_copies_of_a_withdrawn_text_are_withdrawn_too(store: Store, put_corpus: Put) -> None:
    put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    put_corpus("copy/corpus", [("mirror", "zzz", "Nobody", "にほへ"), ("mirror", "b.txt", "Nobody", "another")])
    assert held(store, withdraw(store, "b.txt", source="manuals")) == {"demo/corpus": 1, "copy/corpus": 1}


def test_a_new_version_of_a_withdrawn_document_is_withdrawn(store: Store, put_corpus: Put) -> None:
    put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    found = withdraw(store, "b.txt")
    put_corpus("demo/corpus", [("manuals", "b.txt", "Kudo", "にほへと、改訂")], owners=OWNERS)
    search_corpora(store)
    assert sorted(held(store, found).items()) == [("demo/corpus", 1)]
    assert sum(marked(store, each.digest).get(found.id, 0) for each in store.all()) == 2


def test_nothing_or_two_things_of_that_name(store: Store, put_corpus: Put) -> None:
    put_corpus("demo/corpus", [("s", "Shiomi", "Shiomi", "x"), ("s", "b", "Else", "y")])
    with pytest.raises(BadInput, match=r"is a document and an owner.*--as"):
        resolve(store, "Shiomi")
    assert resolve(store, "Shiomi", kind="owner").kind == "owner"
    assert resolve(store, "Shiomi", kind="document").source == "s"
    with pytest.raises(BadInput, match=r"no corpus in .* has a document or owner 'nobody'"):
        resolve(store, "nobody")
    assert resolve(store, "nobody", kind="owner").value == "nobody", "what is made later may have it"
    with pytest.raises(BadInput, match="--source"):
        resolve(store, "later.txt", kind="document")
    assert resolve(store, "later.txt", kind="document", source="s").owner is None


def test_a_base_model_of_a_withdrawn_owner_is_found(store: Store, put_artifact: Put) -> None:
    base = put_artifact(
        store, "demo/base", kind="model", parties=[Party(source="base:gemma", owner="Lab", licence="l")]
    )
    model = put_artifact(store, "demo/model", inputs={"base": base})
    found = withdraw(store, "lab")
    assert [each.name for each in Staleness(store).seen_by(found)] == ["demo/base", "demo/model"]
    assert model.digest in {each.digest for each in Staleness(store).seen_by(found)}


def test_each_corpus_is_searched_once_for_each_withdrawal(
    store: Store, put_corpus: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []
    search: Callable[..., None] = module._search

    def counted(store: Store, artifact: Artifact, missing: list[Withdrawal]) -> None:
        searched.append((artifact.manifest.name, len(missing)))
        search(store, artifact, missing)

    monkeypatch.setattr(module, "_search", counted)
    put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    search_corpora(store)
    assert searched == [], "nothing is withdrawn"
    record(store, "owner", "Shiomi")
    record(store, "owner", "Kudo")
    search_corpora(store)
    search_corpora(store)
    assert searched == [("demo/corpus", 2)]
    # An artifact that another process committed while the search ran is searched the next time.
    put_corpus("late/corpus", MANUALS[:2], owners=OWNERS)
    search_corpora(store)
    assert searched[1:] == [("late/corpus", 2)]


def test_a_search_that_is_killed_is_gone_on_with(
    store: Store, put_corpus: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    found = record(store, "owner", "Shiomi")

    def breaks(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "documents", breaks)
        with pytest.raises(KeyboardInterrupt):
            search_corpora(store)
    assert withdrawals(store) == [found], "it is recorded before anything is searched"
    search_corpora(store)
    assert held(store, found) == {"demo/corpus": 2}


def test_counting_without_recording(store: Store, put_corpus: Put) -> None:
    made = put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    imagined = Withdrawal("", "owner", "shiomi", None, None, (), None, "")
    assert count_in_corpora(store, imagined) == {made.digest: 2}
    assert withdrawals(store) == []
    assert marked(store, made.digest) == {}


# -- keeping out ------------------------------------------------------------------------------------------------------


def test_what_concerns_a_recipe_is_of_its_sources(store: Store, put_corpus: Put) -> None:
    put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    manuals, web, both = [("manuals", "Works")], [("web", "Web")], [("manuals", "works "), ("web", "Web")]
    assert concerning(store, both) == ()
    assert withdrawals_input(()) == {}, "a recipe that nothing concerns keeps its digest"
    document = withdraw(store, "b.txt")
    assert concerning(store, manuals) == concerning(store, both) == (document,)
    assert concerning(store, web) == ()
    assert concerning(store, [("manuals", "Someone else")]) == (), "another source that is called the same"
    owner = withdraw(store, "Shiomi")
    assert owner in concerning(store, web), "records there name the owner"
    declared = withdraw(store, "New Owner", kind="owner")
    assert concerning(store, [("new", "NEW owner")]) == (declared,)
    assert declared not in concerning(store, both)


def test_the_input_changes_with_what_is_withdrawn_and_not_with_when(
    store: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    one, two = record(store, "owner", "A", reason="x"), record(store, "owner", "B")
    elsewhere = Store(tmp_path_factory.mktemp("other"))
    same = record(elsewhere, "owner", "A", reason="y")
    assert withdrawals_input([one]) == withdrawals_input([same])
    assert withdrawals_input([one, two]) == withdrawals_input([two, one])
    assert withdrawals_input([one]) != withdrawals_input([one, two])
    ((role, ref),) = withdrawals_input([one]).items()
    assert (role, ref.kind) == ("withdrawals", "external")


def test_withdrawn_documents_are_told_apart(store: Store, put_corpus: Put) -> None:
    put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    document, owner = withdraw(store, "b.txt"), withdraw(store, "Shiomi", source="web")
    sources = list(OWNERS.items())
    withdrawn = pickle.loads(pickle.dumps(Withdrawn(store, sources, concerning(store, sources))))
    assert withdrawn.by("manuals", "b.txt", "Kudo") == document
    assert withdrawn.by("manuals", "b.txt", "Stranger") == document, "whoever its record names now"
    assert withdrawn.by("manuals", "x.txt", "Kudo") is None
    assert withdrawn.by("web", "b.txt", "Kudo") is None
    assert withdrawn.by("web", "any", "Ｓhiomi") == owner
    assert withdrawn.by("manuals", "any", "Shiomi") is None
    assert withdrawn.by("manuals", "copy", "Anyone", sha256("にほへ")) == document
    assert withdrawn.by("manuals", "copy", "Anyone", sha256("other")) is None


def test_where_none_is_withdrawn_nothing_is(store: Store) -> None:
    assert Withdrawn(store, [("s", "o")], ()).by("s", "id", "o", b"\0" * 32) is None


def test_one_that_turns_up_elsewhere_ends_the_run_and_the_next_leaves_it_out(store: Store, put_corpus: Put) -> None:
    put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    found = withdraw(store, "b.txt")
    mirror = [("mirror", "Nobody")]
    assert concerning(store, mirror) == ()
    with pytest.raises(BadInput, match=r"zzz is withdrawn.*run the same command again"):
        Withdrawn(store, mirror, ()).by("mirror", "zzz", "Nobody", sha256("にほへ"))
    concern = concerning(store, mirror)
    assert concern == (found,)
    assert Withdrawn(store, mirror, concern).by("mirror", "zzz", "Nobody", sha256("にほへ")) == found


def test_a_corpus_made_without_them_is_not_stale_and_stays_concerned(store: Store, put_corpus: Put) -> None:
    first = put_corpus("demo/corpus", MANUALS, owners=OWNERS)
    found = withdraw(store, "Shiomi")
    concern = concerning(store, list(OWNERS.items()))
    kept = [each for each in MANUALS if each[2] != "Shiomi"]
    second = put_corpus("demo/corpus", kept, owners=OWNERS, inputs=withdrawals_input(concern))
    search_corpora(store)
    stale = Staleness(store)
    assert stale.of(first.digest) == (found,)
    assert stale.of(second.digest) == ()
    assert concerning(store, list(OWNERS.items())) == concern, "or it would be made again, with them"
