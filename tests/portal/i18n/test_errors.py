from __future__ import annotations

import enum
import typing
import uuid
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_core import core_schema

from kiban.kit.errors import KibanError
from kiban.office.errors import Conflict, Forbidden, Invalid, TooMany
from kiban.office.guards.inspection.report import make_finding
from kiban.office.ledger.accounts import AccountRef
from kiban.office.ledger.models import AccountKind
from kiban.office.ledger.service import Overdrawn
from kiban.portal.i18n import error_texts
from kiban.portal.i18n.catalogue import ERRORS, read, translated
from kiban.portal.i18n.errors import Said, explain, explain_validation, say
from kiban.portal.i18n.validation import ENGLISH


def test_every_template_finds_its_own_text_again() -> None:
    """None is hidden behind another that fits the same text."""
    lost = []
    for (context, english), japanese in translated(read(ERRORS, strict=True)).items():
        if context is None and english not in ENGLISH.values():
            values = {f"{{{n}}}": f"⟨{n}⟩" for n in range(6)}
            text = _replace(english, values)
            if say(text, "ja") != Said(_replace(japanese, values), "ja"):
                lost.append((text, say(text, "ja").text))
    assert lost == []


def _replace(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (Conflict("the call is closed"), "この公募は受付を終了しています。", None),
        (Conflict("it is submitted and stays as it is"), "「提出済み」の状態のため、変更できません。", None),
        (
            Conflict("another call has the code 'AI-2026'"),
            "公募番号「AI-2026」は、別の公募で使われています。",
            None,
        ),
        (Forbidden("this takes the role operator or panel"), "これには次の役割が必要です：事務局、審査会", None),
        (
            TooMany("too many attempts", retry_after_seconds=30),
            "試行の回数が多すぎます。",
            "30秒後にもう一度試してください。",
        ),
        (
            Overdrawn(AccountRef(AccountKind.AVAILABLE, "yen"), -1200),
            "勘定「利用可能」（yen）の残高が-1,200になります。",
            "何も記帳していません。",
        ),
        (
            Invalid("tracks.1: takes any size: no proposal reaches the tracks after it; closes_at: it has passed"),
            "tracks.1：規模の上限がないため、後の審査区分に入る提案がありません。 closes_at：すでに過ぎています。",
            None,
        ),
        (
            Invalid(f"計画 1.pdf: {make_finding('encrypted').en} {make_finding('macros', 'vbaProject.bin').en}"),
            f"計画 1.pdf：{make_finding('encrypted').ja} {make_finding('macros', 'vbaProject.bin').ja}",
            None,
        ),
    ],
)
def test_errors_of_the_office_in_japanese(error: KibanError, message: str, hint: str | None) -> None:
    told = explain(error, "ja")
    assert told.message == Said(message, "ja")
    assert told.hint == (None if hint is None else Said(hint, "ja"))


def test_in_english_the_office_speaks_in_sentences() -> None:
    told = explain(Conflict("the call is closed", hint="ask the programme's office"), "en")
    assert told.message == Said("The call is closed.", "en")
    assert told.hint == Said("Ask the programme's office.", "en")
    assert say("`closes_at` must be after `opens_at`", "en").text == "`closes_at` must be after `opens_at`"


@pytest.mark.parametrize("text", ["the moon is full", "x" * 100_000, "a is b" * 500, ": ; : ; ", ""])
def test_what_nobody_translated_stays_english_and_says_so(text: str) -> None:
    assert say(text, "ja").language == "en"


def test_texts_are_found_in_code_however_they_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "office").mkdir()
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit/errors.py").write_text("class KibanError(Exception): ...\nclass BadInput(KibanError): ...\n")
    (tmp_path / "office/service.py").write_text(
        """
NO_THING = "there is no such thing"
class Gone(BadInput): ...
def reason(x) -> str | None:
    if x == 1:
        return "too late"
    return None if x == 2 else "too early"
def act(what, count, late):
    why = reason(count)
    hint = f"nearest: {', '.join(what)}" if what else "none is near"
    gone = Gone(f"{what!r} is gone, {why}", hint=hint)
    if late:
        raise gone
    if count > 3:
        raise BadInput(NO_THING)
    if not what:
        raise BadInput("first " + ("open" if late else "close") + f" the {what}")
    raise ValueError("a mistake of the program")
class Over(BadInput):
    def __init__(self, n):
        super().__init__(f"it is {n} too much", hint="take less")
"""
    )
    monkeypatch.setattr(error_texts, "ROOT", tmp_path)
    monkeypatch.setattr(error_texts, "SPEAKING", ("office",))
    caches = (error_texts.nodes, error_texts.constants, error_texts.errors_of_kiban, error_texts.phrases)
    for cached in caches:
        cached.cache_clear()
    try:
        found = {text for context, text in error_texts.templates() if text not in ENGLISH.values()}
    finally:
        for cached in caches:
            cached.cache_clear()
    assert found == {
        "{0} is gone, too late",
        "{0} is gone, too early",
        "nearest: {0}",
        "none is near",
        "there is no such thing",
        "first open the {0}",
        "first close the {0}",
        "it is {0} too much",
        "take less",
    }


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Form(BaseModel, extra="forbid"):
    name: str = Field("name", min_length=2, max_length=4)
    count: int = Field(1, ge=1, lt=10)
    colour: Colour = Colour.RED
    person: uuid.UUID = uuid.UUID(int=0)
    day: date = date(2026, 11, 22)
    tags: list[str] = Field([], max_length=1)
    share: float = 0.5

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        if name == "nul":
            raise ValueError("`closes_at` must be after `opens_at`")
        return name


@pytest.mark.parametrize(
    ("given", "japanese", "english"),
    [
        ({"name": "a"}, "2文字以上で書いてください。", "Write at least 2 characters."),
        ({"name": "abcde"}, "4文字以内で書いてください。", "Write 4 characters at most."),
        ({"name": 3}, "文字で書いてください。", "Write this as text."),
        ({"name": "nul"}, "締切は受付開始より後にしてください。", "`closes_at` must be after `opens_at`"),
        ({"count": "many"}, "整数を書いてください。", "Write a whole number."),
        ({"count": 0}, "1以上の数を書いてください。", "Write a number of 1 or more."),
        ({"count": 10}, "10より小さい数を書いてください。", "Write a number below 10."),
        ({"colour": "green"}, "次から選んでください：red、blue。", "Choose one of: red or blue."),
        ({"person": "me"}, "この事業の識別子ではありません。", "This is not an identifier of this programme."),
        ({"day": "today"}, "日付を書いてください。例：2026-11-22。", "Write a date, for example 2026-11-22."),
        ({"tags": ["a", "b"]}, "1個までです。今は2個です。", "There can be 1 at most; there are 2."),
        ({"share": "half"}, "数を書いてください。", "Write a number."),
        ({"shape": 1}, "この項目はありません。", "There is no such field."),
    ],
)
def test_fields_that_are_wrong(given: dict[str, Any], japanese: str, english: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Form.model_validate(given)
    [error] = wrong.value.errors()
    assert explain_validation(error, "ja") == Said(japanese, "ja")
    assert explain_validation(error, "en") == Said(english, "en")


def test_the_types_of_errors_are_those_of_pydantic() -> None:
    assert set(ENGLISH) <= set(typing.get_args(core_schema.ErrorType))
