"""Dates of birth: a date of any form with a word that says that somebody was born then."""

from __future__ import annotations

import re

from kiban.make.corpus.privacy.finding import Finding

DIGIT = "[0-9０-９]"
NUMERAL = f"(?:{DIGIT}{{1,2}}|[〇一二三四五六七八九十]{{1,3}})"
YEAR = (
    f"(?:(?:西暦 ?)?(?:[12１２]{DIGIT}{{3}}|[一二][〇一二三四五六七八九]{{3}})"
    f"|(?:明治|大正|昭和|平成|令和|[MTSHRＭＴＳＨＲ])[ .．]?(?:元|{NUMERAL}))"
)
MARK = r"[ \u3000]?[年月./／\-‐－ー−–．][ \u3000]?"
DATE = re.compile(
    f"{YEAR}(?:[（(][^）)\n]{{1,8}}[）)])?(?:{MARK}{NUMERAL}{MARK}{NUMERAL}[ \u3000]?日?(?![0-9０-９])"
    f"|(?<=[12]{DIGIT}{{3}})[01]{DIGIT}[0-3]{DIGIT}(?![0-9]))"
)
LEAD = re.compile(r"[^0-9０-９\n]{0,10}\n?[ \u3000]{0,4}")
REACH = 28


def after_label(text: str, end: int) -> Finding | None:
    """生年月日：1980年1月2日"""
    window = text[end : end + 16 + REACH]
    lead = LEAD.match(window)
    for match in DATE.finditer(window):
        # An era's name is part of the date but no digit, so that the lead may reach into it.
        if lead and match.start() <= lead.end():
            return Finding(end + match.start(), end + match.end(), "birth_date", "label")
        break
    return None


def before_word(text: str, begin: int) -> Finding | None:
    """1980年1月2日生まれ. `begin`: where the word begins, or where 日生 does."""
    first = max(0, begin - REACH)
    window = text[first : begin + 1]
    last = None
    for match in DATE.finditer(window):
        last = match
    if last and last.end() >= len(window) - 2 and window[last.end() :].strip("にの生 ") == "":
        return Finding(first + last.start(), first + last.end(), "birth_date", "born")
    return None
