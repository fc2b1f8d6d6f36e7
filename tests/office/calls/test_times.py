from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kiban.office.calls.times import jst_en, jst_ja, left_en, left_ja


def test_instants_are_shown_in_japans_time() -> None:
    at = datetime(2026, 4, 30, 15, 0, tzinfo=UTC)
    assert jst_ja(at) == "2026年5月1日（金）0時00分（日本時間）"
    assert jst_en(at) == "Fri 1 May 2026, 00:00 JST"
    assert jst_ja(at.replace(hour=14, minute=59, second=59)) == "2026年4月30日（木）23時59分59秒（日本時間）"


@pytest.mark.parametrize("month", range(1, 13))
def test_there_is_no_summer_time(month: int) -> None:
    assert "09:00 JST" in jst_en(datetime(2026, month, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("seconds", "ja", "en"),
    [
        (3 * 86_400 + 4 * 3600 + 59, "あと3日4時間", "3 d 4 h left"),
        (3600, "あと1時間0分", "1 h 0 min left"),
        (310, "あと5分10秒", "5 min 10 s left"),
        (9, "あと9秒", "9 s left"),
        (0, "あと0秒", "0 s left"),
    ],
)
def test_what_is_left_in_its_two_largest_parts(seconds: int, ja: str, en: str) -> None:
    assert (left_ja(seconds), left_en(seconds)) == (ja, en)
