from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from kiban.kit.errors import BadInput
from kiban.make.corpus.rights.config import PolicyConfig, RightsConfig
from kiban.make.corpus.rights.document import Refusal, Rights, RightsReader, read_date
from kiban.make.corpus.rights.policy import Policy, check_expiry_is_dated, judge, overdue

from .conftest import rights_of


def policy(**values: Any) -> PolicyConfig:
    return PolicyConfig.model_validate(values, strict=False)


def reader(**values: Any) -> RightsReader:
    config = RightsConfig.model_validate(values, strict=False)
    return RightsReader(source="docs", owner="Shiomi", licence="CC-BY-4.0", uses=("train",), config=config)


# -- what a record says -------------------------------------------------------------------------------------------


def test_a_record_that_says_nothing_has_the_rights_of_its_source() -> None:
    of_source = reader(agreement="A-1", flags=["suspected_piracy"], trust=3)
    expected = Rights(
        source="docs", owner="Shiomi", licence="CC-BY-4.0", licence_text="CC-BY-4.0", uses=("train",),
        consent="unknown", personal_data="unknown", flags=("suspected_piracy",), agreement="A-1", expires=None, trust=3,
    )  # fmt: skip
    assert of_source.read({}) == of_source.read({"owner": " ", "title": "x", "date": "2020"}) == expected


def test_what_a_record_says_takes_the_place_of_the_sources() -> None:
    found = reader(agreement="A-1", personal_data="personal", consent="consent").read(
        {
            "licence": "公共データ利用規約（第1.0版）",
            "owner": "デジタル庁",
            "agreement": "A-2",
            "expires": "２０２７年３月３１日",
            "personal_data": "要配慮個人情報",
            "consent": "Opt out",
        }
    )
    assert isinstance(found, Rights)
    assert (found.licence, found.licence_text) == ("LicenseRef-PDL-1.0", "公共データ利用規約（第1.0版）")
    assert (found.owner, found.agreement) == ("デジタル庁", "A-2")
    assert found.expires == dt.date(2027, 3, 31)
    assert (found.personal_data, found.consent) == ("special-care", "opt-out")
    assert found.uses == ("train",), "what a source is cleared for is its owner's word"


@pytest.mark.parametrize(
    ("field", "value"),
    [("expires", "next spring"), ("expires", "2026-13-01"), ("personal_data", "a bit"), ("consent", "maybe")],
)
def test_a_limit_that_cannot_be_read_is_not_passed_over(field: str, value: str) -> None:
    assert reader().read({field: value}) == Refusal("rights_unreadable", f"{field}: {value}")


def test_names_in_records_cannot_fill_memory() -> None:
    found = reader().read({"owner": "x" * 10**6, "licence": "y" * 10**6})
    assert isinstance(found, Rights)
    assert len(found.owner) == 500
    assert len(found.licence_text) == 2_000


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-31", dt.date(2026, 3, 31)),
        ("20260331", dt.date(2026, 3, 31)),
        (" 2026/3/1 ", dt.date(2026, 3, 1)),
        ("2026年3月1日", dt.date(2026, 3, 1)),
        ("2026-03-31T12:00:00+09:00", dt.date(2026, 3, 31)),
        ("2026", None),
        ("31.3.2026", None),
        ("2" * 10**6, None),
        ("", None),
    ],
)
def test_days(text: str, day: dt.date | None) -> None:
    assert read_date(text) == day


# -- what a policy lets pass --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rights", "wanted", "refusal"),
    [
        ({}, {}, None),
        ({"uses": ("evaluate",)}, {}, Refusal("use_not_permitted", "train")),
        ({"uses": ("train",)}, {"require_uses": ["train", "rag"]}, Refusal("use_not_permitted", "rag")),
        ({"licence": "CC-BY-4.0"}, {"permit_licences": ["CC BY 4.0"]}, None),
        ({"licence": "CC-BY-4.0"}, {"permit_licences": ["permissive"]}, None),
        ({"licence": "CC-BY-3.0"}, {"permit_licences": ["CC-BY-4.0"]}, Refusal("licence_not_permitted", "CC-BY-3.0")),
        ({"licence": "GPL-3.0-only OR MIT"}, {"permit_licences": ["permissive"]}, None),
        (
            {"licence": "GPL-3.0-only AND MIT"},
            {"permit_licences": ["permissive"]},
            Refusal("licence_not_permitted", "GPL-3.0-only AND MIT"),
        ),
        ({"licence": "house rules"}, {}, None),
        (
            {"licence": "house rules"},
            {"permit_licences": ["permissive"]},
            Refusal("licence_unknown", "LicenseRef-house-rules-d6a0f87c"),
        ),
        ({"licence": "house rules"}, {"permit_licences": ["permissive"], "on_unknown_licence": "allow"}, None),
        (
            {"licence": "LicenseRef-ours"},
            {"on_unknown_licence": "drop"},
            Refusal("licence_unknown", "LicenseRef-ours"),
        ),
        ({"licence": "LicenseRef-ours"}, {"permit_licences": ["LicenseRef-ours"]}, None),
        (
            {"flags": ("database_on_sale",)},
            {"forbid_flags": ["crawler_denial", "database_on_sale"]},
            Refusal("copyright_flag", "database_on_sale"),
        ),
        ({"flags": ("database_on_sale",)}, {"forbid_flags": ["crawler_denial"]}, None),
        (
            {"personal_data": "special-care"},
            {"forbid_personal_data": ["special-care"]},
            Refusal("personal_data", "special-care"),
        ),
        ({"personal_data": "personal"}, {"forbid_personal_data": ["special-care"]}, None),
        ({"expires": "2026-03-31"}, {"as_of": "2026-03-31"}, None),
        ({"expires": "2026-03-31"}, {"as_of": "2026-04-01"}, Refusal("expired", "2026-03-31")),
        ({"expires": "2026-03-31"}, {}, Refusal("expiry_undated", "2026-03-31")),
    ],
)
def test_the_first_rule_that_forbids(rights: dict[str, Any], wanted: dict[str, Any], refusal: Refusal | None) -> None:
    found = rights_of(**rights)
    ready = Policy(policy(**wanted))
    if refusal and refusal.rule == "licence_unknown" and "house" in refusal.value:
        refusal = Refusal(refusal.rule, found.licence)
    assert ready.judge(found) == refusal
    assert ready.judge(found) == refusal, "nor does asking again change it"
    assert judge(found, policy(**wanted)) == refusal


@pytest.mark.parametrize("named", ["CC-BY-5.0", "permisive", "whatever they say"])
def test_a_licence_that_there_is_not_cannot_be_permitted(named: str) -> None:
    with pytest.raises(BadInput, match=f"there is no licence '{named}'"):
        Policy(policy(permit_licences=[named]))


def test_a_policy_for_another_use_than_training_is_refused() -> None:
    with pytest.raises(ValidationError, match="must have `train`"):
        policy(require_uses=["rag"])


def test_what_expires_needs_a_day_to_hold_it_against() -> None:
    expiring = RightsConfig(expires=dt.date(2026, 3, 31))
    for source in (("a", expiring, False), ("a", RightsConfig(), True)):
        with pytest.raises(ValueError, match=r"documents of source 'a' expire: `policy\.as_of` must say"):
            check_expiry_is_dated(policy(), [source])
        check_expiry_is_dated(policy(as_of="2026-01-01"), [source])
    check_expiry_is_dated(policy(), [("a", RightsConfig(), False)])


def test_who_uses_a_corpus_is_told_when_something_in_it_has_expired() -> None:
    day = dt.date(2026, 3, 31)
    assert overdue(None, day) is None
    assert overdue(day, day) is None
    said = overdue(day, day + dt.timedelta(1))
    assert said is not None
    assert "until 2026-03-31 only: set corpus.policy.as_of to 2026-04-01" in said
