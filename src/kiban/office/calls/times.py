"""Times as people in Japan read them, and how long there is left."""

from __future__ import annotations

from datetime import datetime

from kiban.office.work import JST

WEEKDAYS_JA = "月火水木金土日"
WEEKDAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def jst_ja(instant: datetime) -> str:
    """`2026年4月1日（水）9時00分（日本時間）`; seconds only where there are any."""
    at = instant.astimezone(JST)
    seconds = f"{at.second:02}秒" if at.second else ""
    day = f"{at.year}年{at.month}月{at.day}日（{WEEKDAYS_JA[at.weekday()]}）"
    return f"{day}{at.hour}時{at.minute:02}分{seconds}（日本時間）"


def jst_en(instant: datetime) -> str:
    """`Wed 1 Apr 2026, 09:00 JST`; seconds only where there are any. Names do not depend on the machine's locale."""
    at = instant.astimezone(JST)
    seconds = f":{at.second:02}" if at.second else ""
    day = f"{WEEKDAYS_EN[at.weekday()]} {at.day} {MONTHS_EN[at.month - 1]} {at.year}"
    return f"{day}, {at.hour:02}:{at.minute:02}{seconds} JST"


def left_ja(seconds: int) -> str:
    """`あと3日4時間`, `あと5分10秒`: the two largest parts."""
    parts = zip(_parts(seconds), ("日", "時間", "分", "秒"), strict=True)
    return "あと" + "".join(f"{number}{unit}" for number, unit in _two_largest(list(parts)))


def left_en(seconds: int) -> str:
    """`3 d 4 h left`: the two largest parts."""
    parts = zip(_parts(seconds), ("d", "h", "min", "s"), strict=True)
    return " ".join(f"{number} {unit}" for number, unit in _two_largest(list(parts))) + " left"


def _parts(seconds: int) -> tuple[int, int, int, int]:
    minutes, second = divmod(max(0, seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return days, hour, minute, second


def _two_largest(parts: list[tuple[int, str]]) -> list[tuple[int, str]]:
    first = next((n for n, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return parts[first : first + 2]
