"""What becomes of findings: placeholders, pseudonyms, dropped documents, counts and the audit."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from kiban.kit.errors import BadInput
from kiban.make.corpus.edits import apply
from kiban.make.corpus.letters import letters
from kiban.make.corpus.normalise import normalise
from kiban.make.corpus.privacy.act import Acted, act, read_key
from kiban.make.corpus.privacy.config import DEFAULT_ACTIONS, KINDS, PrivacyConfig
from kiban.make.corpus.privacy.find import Finder
from kiban.make.corpus.privacy.finding import Finding, disjoint
from kiban.make.corpus.privacy.placeholders import PLACEHOLDER, mask, pseudonym

KEY = b"0123456789abcdef"
TEXT = "佐藤さんの電話は03-3581-1111、メールはsato@kaisha.jpです。"


def acted(text: str, config: PrivacyConfig, key: bytes | None = None) -> tuple[str, Acted]:
    found = Finder(config, Path()).find([text], letters([text]))[0]
    result = act(text, found, config, key)
    return apply(text, result.edits), result


def test_defaults_mask_what_reaches_a_person_and_leave_names() -> None:
    text, result = acted(TEXT, PrivacyConfig())
    assert text == "佐藤さんの電話は〈電話番号〉、メールは〈メールアドレス〉です。"
    assert result.counts == {"email.mask": 1, "person_name.report": 1, "phone.mask": 1}
    assert result.drop is None


def test_every_kind_has_a_default_and_a_placeholder_of_its_own() -> None:
    assert set(DEFAULT_ACTIONS) == set(KINDS) == set(PrivacyConfig().actions)
    assert len({mask(kind) for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        for placeholder in (mask(kind), pseudonym(kind, "値", KEY)):
            assert PLACEHOLDER.fullmatch(placeholder)
            assert normalise(placeholder) == placeholder


def test_pseudonyms_are_the_same_for_all_spellings_of_a_value() -> None:
    for one, other in (("090-1234-5678", "０９０－１２３４－５６７８"), ("090-1234-5678", "+81 90 1234 5678")):
        assert pseudonym("phone", one, KEY) == pseudonym("phone", other, KEY)
    assert pseudonym("person_name", "佐藤 太郎", KEY) == pseudonym("person_name", "佐藤太郎", KEY)
    assert pseudonym("phone", "090-1234-5678", KEY) != pseudonym("phone", "090-1234-5679", KEY)
    assert pseudonym("phone", "090-1234-5678", KEY) != pseudonym("phone", "090-1234-5678", KEY[::-1])
    assert pseudonym("person_name", "1", KEY).removeprefix("〈氏名") != pseudonym("card", "1", KEY).removeprefix(
        "〈カード番号"
    )


def test_pseudonyms_and_audit_hold_nothing_of_the_value() -> None:
    config = PrivacyConfig(actions={"person_name": "pseudonym", "email": "report"}, pseudonym_key="key")
    text, result = acted(TEXT, config, KEY)
    assert "佐藤" not in text
    assert "sato@kaisha.jp" in text
    assert [(one.kind, one.start, one.end, one.action) for one in result.audit] == [
        ("person_name", 0, 2, "pseudonym"), ("phone", 8, 20, "mask"), ("email", 25, 39, "report"),
    ]  # fmt: skip
    assert not any(secret in repr(result.audit) for secret in ("佐藤", "3581", "sato"))
    assert len({one.keyed_hash for one in result.audit}) == 3
    assert [one.keyed_hash for one in acted(TEXT, PrivacyConfig())[1].audit] == [None] * 3


def test_drop() -> None:
    text, result = acted(TEXT, PrivacyConfig(actions={"phone": "drop"}))
    assert (result.drop, result.edits, text) == ("phone", (), TEXT)
    assert result.counts["phone.drop"] == 1


def test_special_care_is_counted_or_drops() -> None:
    care = "佐藤さんは糖尿病と診断された。"
    _, flagged = acted(care, PrivacyConfig())
    assert flagged.drop is None
    assert flagged.counts == {"person_name.report": 1, "special_care.medical_history": 1}
    assert acted(care, PrivacyConfig(special_care="drop"))[1].drop == "special_care"
    assert acted(TEXT, PrivacyConfig(special_care="drop"))[1].drop is None


def test_pseudonyms_need_a_key(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="pseudonym_key is missing: the action for phone is pseudonym"):
        PrivacyConfig(actions={"phone": "pseudonym"})
    config = PrivacyConfig(actions={"phone": "pseudonym"}, pseudonym_key="secret/key")
    with pytest.raises(BadInput, match=r"secret/key: cannot read the key"):
        read_key(config, tmp_path)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_bytes(b"too short\n")
    with pytest.raises(BadInput, match="the key has 9 bytes; at least 16"):
        read_key(config, tmp_path)
    (tmp_path / "secret" / "key").write_bytes(KEY + b"\n")
    assert read_key(config, tmp_path) == KEY
    assert read_key(PrivacyConfig(), tmp_path) is None
    with pytest.raises(ValueError, match="no key"):
        act(TEXT, [Finding(8, 20, "phone", "number plan")], config)


def test_unknown_kinds_and_actions_are_refused() -> None:
    for actions in ({"telephone": "mask"}, {"phone": "hide"}):
        with pytest.raises(ValidationError):
            PrivacyConfig.model_validate({"actions": actions})


def test_of_overlapping_findings_the_surer_stays() -> None:
    name = Finding(0, 4, "person_name", "label")
    phone, mail = Finding(3, 12, "phone", "number plan"), Finding(2, 20, "email", "form")
    assert disjoint([phone, name, mail]) == [mail]
    assert disjoint([phone, name]) == [phone]
    assert disjoint([name, Finding(0, 2, "person_name", "honorific")]) == [name]
    assert disjoint([name, Finding(4, 5, "phone", "number plan")]) == [name, Finding(4, 5, "phone", "number plan")]
    assert disjoint([]) == []
