from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from license_expression import get_spdx_licensing

from kiban.make.corpus.rights.licence_terms import INCOMPATIBLE, TERMS, carried_by
from kiban.make.corpus.rights.licences import Conflict, chosen, combine, parse_licence, permitted

SPDX = get_spdx_licensing().known_symbols


@pytest.mark.parametrize(
    ("written", "expression"),
    [
        ("MIT", "MIT"),
        ("apache-2.0", "Apache-2.0"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("mit and (cc-by-4.0 or GPL-2.0+)", "MIT AND (CC-BY-4.0 OR GPL-2.0-or-later)"),
        ("GPL-2.0-or-later WITH Classpath-exception-2.0", "GPL-2.0-or-later WITH Classpath-exception-2.0"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2+ or CC-BY-SA-3.0", "GPL-2.0-or-later OR CC-BY-SA-3.0"),
        ("GFDL-1.3+", "GFDL-1.3-or-later"),
        ("CC BY-SA 4.0", "CC-BY-SA-4.0"),
        ("Creative Commons Attribution-NonCommercial 4.0 International", "CC-BY-NC-4.0"),
        ("クリエイティブ・コモンズ 表示 - 継承 4.0 国際 ライセンス", "CC-BY-SA-4.0"),
        ("ＣＣ　ＢＹ　４．０", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/3.0/deed.ja", "CC-BY-NC-SA-3.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("公共データ利用規約（第1.0版）", "LicenseRef-PDL-1.0"),
        ("PDL1.0", "LicenseRef-PDL-1.0"),
        ("政府標準利用規約（第2.0版）", "LicenseRef-GJSTU-2.0"),
        ("public domain (Aozora Bunko)", "LicenseRef-public-domain"),
        ("All rights reserved.", "LicenseRef-proprietary"),
        ("LicenseRef-ours OR MIT", "LicenseRef-ours OR MIT"),
    ],
)
def test_what_is_said_in_common_words_becomes_spdx(written: str, expression: str) -> None:
    found = parse_licence(written)
    assert found.expression == expression
    assert found.text == written


@pytest.mark.parametrize(
    "written", ["per page (JM project)", "社内利用に限る", "MIT WITH nothing", "AND", "MIT MIT", "", "-", "a" * 500]
)
def test_anything_else_is_a_reference_of_its_own_with_the_text_beside(written: str) -> None:
    found = parse_licence(written)
    assert found.expression.startswith("LicenseRef-")
    assert found.expression not in TERMS
    assert found.text == written
    assert chosen(found.expression) == {found.expression}
    assert parse_licence(written + "!").expression != found.expression


def test_two_texts_that_read_alike_are_two_references() -> None:
    assert parse_licence("for us: only").expression != parse_licence("for us only").expression


@given(st.text(max_size=60) | st.text("()ANDORWITH mit-+/.", max_size=60))
@settings(max_examples=300, deadline=None)
def test_every_text_gives_an_expression_that_stands_for_itself(written: str) -> None:
    found = parse_licence(written)
    assert parse_licence(found.expression).expression == found.expression
    assert chosen(found.expression)


@pytest.mark.parametrize("hostile", ["(" * 10**6, "MIT OR " * 10**5, "継承" * 10**6, " AND " * 10**6])
def test_hostile_text_takes_no_longer_than_its_length(hostile: str) -> None:
    started = time.process_time()
    found = parse_licence(hostile)
    assert time.process_time() - started < 2, "quadratic would be hours"
    assert found.expression.startswith("LicenseRef-")
    assert len(found.text) <= 2_000


def test_the_table_knows_licences_by_identifiers_that_exist() -> None:
    assert len(TERMS) >= 40
    for key, terms in TERMS.items():
        assert key in SPDX or key.startswith("LicenseRef-"), key
        assert parse_licence(key).expression == key
        assert all(each in TERMS for each in terms.passes_to), key
        assert terms.binds_whole or not terms.passes_to, key
    assert all(one in TERMS and other in TERMS for one, other in INCOMPATIBLE)


def test_alternatives_are_chosen_by_what_they_ask() -> None:
    assert chosen("GPL-3.0-only OR MIT") == {"MIT"}
    assert chosen("CC-BY-NC-4.0 OR CC-BY-SA-4.0") == {"CC-BY-SA-4.0"}
    assert chosen("LicenseRef-unknown OR AGPL-3.0-only") == {"AGPL-3.0-only"}, "what is known rather than what is not"
    assert chosen("MIT AND (GPL-2.0-only OR Apache-2.0)") == {"MIT", "Apache-2.0"}
    assert chosen("GPL-2.0-only WITH Classpath-exception-2.0") == {"GPL-2.0-only"}


def test_permission_is_any_of_alternatives_and_all_of_parts() -> None:
    allowed = {"MIT", "CC-BY-4.0"}.__contains__
    assert permitted("MIT OR GPL-3.0-only", allowed)
    assert not permitted("MIT AND GPL-3.0-only", allowed)
    assert permitted("(GPL-3.0-only OR CC-BY-4.0) AND MIT", allowed)


def pairs(*expressions: str, **more: bool) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.rule, each.between) for each in combine(expressions, **more).conflicts]


def test_obligations_add_up() -> None:
    whole = combine(["MIT", "CC-BY-4.0", "CC0-1.0", "LicenseRef-PDL-1.0"])
    assert whole.expression == "CC-BY-4.0 AND CC0-1.0 AND LicenseRef-PDL-1.0 AND MIT"
    assert whole.obligations == ("notice", "attribution")
    assert whole.conflicts == ()
    assert whole.adaptation == (), "no licence is prescribed"
    assert combine(["AGPL-3.0-only"]).obligations == ("notice", "share-alike", "network-copyleft")
    assert combine(["LicenseRef-secret", "MIT"]).unknown == ("LicenseRef-secret",)
    assert combine([]).expression == ""


# What the stewards say: creativecommons.org/compatiblelicenses, gnu.org/licenses/license-list and its matrix.
@pytest.mark.parametrize(
    ("parts", "compatible"),
    [
        (("CC-BY-SA-3.0", "CC-BY-SA-4.0"), True),
        (("CC-BY-SA-1.0", "CC-BY-SA-4.0"), False),
        (("CC-BY-SA-4.0", "GPL-3.0-or-later"), True),
        (("CC-BY-SA-4.0", "GPL-2.0-only"), False),
        (("CC-BY-SA-3.0", "GPL-2.0-only"), False),
        (("CC-BY-SA-4.0", "GFDL-1.3-or-later"), False),
        (("GPL-2.0-only", "GPL-3.0-only"), False),
        (("GPL-2.0-or-later", "GPL-3.0-only"), True),
        (("GPL-3.0-only", "AGPL-3.0-only"), True),
        (("GPL-2.0-only", "AGPL-3.0-only"), False),
        (("GPL-2.0-only", "Apache-2.0"), False),
        (("GPL-2.0-or-later", "Apache-2.0"), True),
        (("GPL-3.0-only", "Apache-2.0"), True),
        (("GPL-2.0-only", "LGPL-2.1-only"), True),
        (("MPL-2.0", "CC-BY-SA-4.0"), True),
        (("CC-BY-NC-4.0", "CC-BY-SA-4.0"), False),
        (("CC-BY-NC-SA-4.0", "CC-BY-SA-4.0"), False),
        (("CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0"), True),
        (("CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"), True),
        (("CC-BY-NC-4.0", "MIT"), True),
        (("CC-BY-ND-4.0",), False),
        (("ODbL-1.0", "CC-BY-SA-4.0"), False),
        (("LicenseRef-proprietary", "GPL-3.0-only"), False),
        (("LicenseRef-proprietary", "MIT"), True),
    ],
)
def test_what_can_be_adapted_together(parts: tuple[str, ...], compatible: bool) -> None:
    conflicts = combine(parts).conflicts
    assert (not conflicts) == compatible
    for each in conflicts:
        assert set(each.between) <= set(parts)
        assert all(name in each.why for name in each.between)


def test_a_conflict_names_both_sides_once() -> None:
    assert pairs("CC-BY-SA-3.0", "GPL-2.0-only", "MIT") == [("share-alike", ("CC-BY-SA-3.0", "GPL-2.0-only"))]
    assert pairs("CC-BY-NC-4.0", commercial_use=True) == [("commercial-use", ("CC-BY-NC-4.0",))]
    assert pairs("CC-BY-NC-4.0") == []
    assert pairs("CC-BY-NC-4.0 OR CC-BY-4.0", commercial_use=True) == [], "the other may be chosen"
    assert isinstance(combine(["CC-BY-ND-3.0"]).conflicts[0], Conflict)


def test_what_an_adaptation_may_carry() -> None:
    assert combine(["CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-4.0"]).adaptation == (
        "AGPL-3.0-only",
        "CC-BY-SA-4.0",
        "GPL-3.0-only",
    )
    assert combine(["CC-BY-SA-4.0", "GPL-3.0-only"]).adaptation == ("AGPL-3.0-only", "GPL-3.0-only")
    assert carried_by("GPL-2.0-only") == {"GPL-2.0-only"}
