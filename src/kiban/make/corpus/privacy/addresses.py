"""Postal addresses down to the house number: what begins with the name of a prefecture, city, ward, town or village.

東京都新宿区 alone is where millions are; an address is reported from the number of the block or lot on.
"""

from __future__ import annotations

import re

from kiban.make.corpus.privacy.finding import Finding

N = "(?:[0-9０-９]{1,5}|[〇一二三四五六七八九十百千]{1,7})"
HYPHEN = "[-‐－ー−–—―のノ]"
# 5丁目19番8号, 三丁目12-5, 1234番地の5, 5-19-8; the part before them is the town's name.
NUMBERS = re.compile(
    f"(?:(?P<block>{N}丁目)(?:{N}(?:番地|番|号|{HYPHEN})?(?:{HYPHEN}?{N}(?:号|{HYPHEN}{N})?)?)?"
    f"|(?P<lot>{N}(?:番地|番(?=[0-9０-９一二三四五六七八九十])|番$))(?:{HYPHEN}?{N}(?:号|{HYPHEN}{N})?)?"
    f"|(?P<short>{N}{HYPHEN}{N}(?:{HYPHEN}{N}){{0,2}}号?))(?![町通条軒宮日月年円点%％,.．:：/／0-9０-９])"
)
FIRST_NUMBER = re.compile("[0-9０-９〇一二三四五六七八九十百千]")
TOWN = re.compile("[一-鿿々ヶヵケノのァ-ヴーぁ-ん〆]")
TOWN_MOST = 26
# Words of a sentence; no part of the name of a town.
NOT_TOWN = re.compile(
    "では|には|での|から|まで|より|です|ます|した|する|され|れる|って|という|[でにをがはへ、。]|との|による|現在|午[前後]|令和|平成|昭和"
)
PREFECTURE = re.compile("(?:北海道|東京都|京都府|大阪府|[一-鿿]{2,3}県)")
UNITS = re.compile("[市区町村郡]")
BUILDING = re.compile(
    r"(?:[ \u3000]|(?<=号)|(?<=[0-9０-９])(?=[^0-9０-９ \u3000]))"
    r"(?P<name>[一-鿿々ァ-ヴーA-Za-zＡ-Ｚ・ぁ-ん]{2,16}?)"
    r"(?P<room>[ \u3000]?[0-9０-９A-ZＡ-Ｚ]{1,5}(?:号室?|階|[FＦ]|号棟)"
    r"|[ \u3000]?[0-9０-９]{2,4}(?![0-9０-９年月日円時分個名件点人%-]))"
)
NAMED = re.compile(
    r"[ \u3000]?[一-鿿々ァ-ヴーA-Za-z・ぁ-ん]{0,14}?(?:ビルディング|ビル|マンション|ハイツ|アパート|コーポ|メゾン"
    r"|レジデンス|タワー|荘|ハウス|団地|会館)"
    r"[一-鿿々ァ-ヴー]{0,8}"
)
ROOM = re.compile(r"[ \u3000]?[0-9０-９A-ZＡ-Ｚ]{1,5}(?:号室?|階|[FＦ])")


def address_at(text: str, begin: int, end: int) -> Finding | None:
    """The address that begins with the name of a place at `text[begin:end]`, if a house number follows."""
    place = end
    last = min(len(text), end + TOWN_MOST)
    while place <= last:
        number = NUMBERS.match(text, place) if FIRST_NUMBER.match(text, place) else None
        if number and _is_address(text[begin:end], text[end:place], number):
            stop = _building(text, number.end())
            return Finding(begin, stop, "address", "place and number")
        if (place < len(text) and (TOWN.match(text, place) or _numbered_town(text, place))) or (
            place == end and text[place : place + 1] in (" ", "\u3000")
        ):
            place += 1
        else:
            return None
    return None


def _numbered_town(text: str, place: int) -> bool:
    """北1条西2丁目: in Sapporo and elsewhere the streets have numbers."""
    return text[place] in "0123456789０１２３４５６７８９" and text[place - 1 : place] in tuple(
        "東西南北0123456789０１２３４５６７８９"
    )


def _is_address(named: str, town: str, number: re.Match[str]) -> bool:
    town = town.strip(" \u3000")
    if NOT_TOWN.search(town):
        return False
    if number["short"]:
        # 3-2 after a city's name is more often a score; a town or ward has to stand between.
        whole = named + town
        return bool(town) and bool(UNITS.search(PREFECTURE.sub("", whole)) or len(town) >= 2)
    return True


def _building(text: str, end: int) -> int:
    """Where the building's name and room after the numbers end; `end` if there are none."""
    window = text[end : end + 40].split("\n")[0]
    for pattern in (BUILDING, NAMED):
        match = pattern.match(text, end, end + len(window))
        if match is None:
            continue
        stop = match.end()
        inside = text[end:stop]
        if NOT_TOWN.search(inside) or (pattern is BUILDING and not _is_building(match)):
            continue
        if pattern is NAMED and (room := ROOM.match(text, stop)):
            stop = room.end()
        return stop
    return end


def _is_building(match: re.Match[str]) -> bool:
    name = match["name"].strip()
    return bool(
        re.search("[ァ-ヴーA-Za-z]{2}", name)
        or name.endswith(("荘", "棟", "館"))
        or match["room"].endswith(("号室", "階"))
    )
