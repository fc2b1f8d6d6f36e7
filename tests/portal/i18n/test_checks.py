from __future__ import annotations

import pytest

from kiban.portal.i18n.checks import faults


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        ("Deadline", "締切"),
        ("%(n)s of %(all)s done.", "%(all)s件のうち%(n)s件が終わりました。"),
        ("100%% of <b>it</b>", "<b>その</b>100%%"),
        ("See %(url)s.", "%(url)sを見てください（英語）"),
        ("Is it open?", "受付中ですか。"),
        ("e.g. 12:30", "例：12:30"),
    ],
)
def test_good_translations(english: str, japanese: str) -> None:
    assert list(faults((english,), japanese)) == []


@pytest.mark.parametrize(
    ("english", "japanese", "fault"),
    [
        ("%(n)s left", "残り%(m)s", "placeholders m instead of n"),
        ("%(n)s left", "残り", "placeholders none instead of n"),
        ("50%% done", "50%終わりました", "a lone %"),
        ("Saved.", "保存しました", "does not end with 。"),
        ("Saved.", "保存しました.", "ASCII punctuation"),
        ("Save, then go on", "保存,続行", "ASCII punctuation"),
        ("Award (final)", "採択(確定)", "ASCII punctuation"),
        ("Data", "ﾃﾞｰﾀ", "half-width"),
        ("<b>New</b>", "新しい", "other tags"),
        ("Title ", "題名", "other spaces"),
    ],
)
def test_slips(english: str, japanese: str, fault: str) -> None:
    assert any(fault in found for found in faults((english,), japanese))


def test_a_plural_keeps_the_placeholders_of_the_plural() -> None:
    assert list(faults(("One proposal", "%(num)s proposals"), "%(num)s件の提案")) == []
    assert list(faults(("One proposal", "%(num)s proposals"), "提案")) != []


def test_placeholders_of_errors_are_in_braces() -> None:
    assert list(faults(("the call is {0}", "50% of {0}"), "{0}の50%", braces=True)) == []
    assert list(faults(("the call is {0}",), "公募は{1}です。", braces=True)) != []
