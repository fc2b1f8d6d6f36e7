"""The days on which people in Japan work less: weekends, holidays, and the weeks around them."""

from __future__ import annotations

from datetime import date

# 国民の祝日 of 2025 and 2026 (内閣府), with substitute holidays.
HOLIDAYS = frozenset(
    date.fromisoformat(day)
    for day in [
        "2025-04-29",
        "2025-05-03",
        "2025-05-04",
        "2025-05-05",
        "2025-05-06",
        "2025-07-21",
        "2025-08-11",
        "2025-09-15",
        "2025-09-23",
        "2025-10-13",
        "2025-11-03",
        "2025-11-23",
        "2025-11-24",
        "2026-01-01",
        "2026-01-12",
        "2026-02-11",
        "2026-02-23",
        "2026-03-20",
        "2026-04-29",
        "2026-05-03",
        "2026-05-04",
        "2026-05-05",
        "2026-05-06",
        "2026-07-20",
        "2026-08-11",
        "2026-09-21",
        "2026-09-22",
        "2026-09-23",
        "2026-10-12",
    ]
)
_AWAY = ((8, 12, 16), (12, 28, 31), (1, 1, 4))  # お盆 and 年末年始: month, first and last day


def activity(day: date) -> float:
    """How much people do at a day beside a full working day's 1; what runs by itself goes on."""
    if any(month == day.month and first <= day.day <= last for month, first, last in _AWAY):
        return 0.1
    if day in HOLIDAYS or day.weekday() >= 5:
        return 0.3
    return 1.0
