"""What the words before a number say that it is.

The nearest word counts, within a line's reach: in 受付番号 123、電話 03-… the number is a telephone's.
"""

from __future__ import annotations

import re
from typing import Literal

from kiban.make.corpus.privacy.config import Kind

REACH = 32  # characters before a number in which a word may speak of it
NEAR = 6  # and in which a word that says "something else" does
Meaning = Kind | Literal["other"]

# Every branch begins with a literal: the search is linear. A branch's own 番号 belongs to it.
WORDS = re.compile(
    r"(?P<other>問い?合わ?せ番号|(?:注文|伝票|受付|整理|製造|会員|社員|学籍|事業所|荷物|追跡|証券|管理)(?:の?番号|ID|No\.?)"
    r"|品番|型番|図番|部番|型式|品名|商品|部品|金額|合計|小計|税込|税抜|ISBN|ISSN|JAN|EAN|シリアル|[Ss]erial|[Bb]uild|ビルド|送り状|追跡|伝票)"
    r"|(?P<my_number>(?:マイナンバー|個人番号|[Mm]y ?[Nn]umber)(?:カード)?)"
    r"|(?P<residence_card>(?:在留カード|在留資格|特別永住者証明書)(?:の?番号)?)"
    r"|(?P<driving_licence>(?:運転免許|免許証?)(?:の?番号)?)"
    r"|(?P<passport>(?:旅券|パスポート|[Pp]assport|PASSPORT)(?:の?番号)?)"
    r"|(?P<corporate_number>法人番号|登録番号|インボイス)"
    r"|(?P<card>(?:カード|クレジット|VISA|Visa|JCB|Master[Cc]ard|AMEX|[Cc]ard)(?:の?番号)?)"
    r"|(?P<bank_account>普通|当座|貯蓄|口座番号|口座|[(（][普当][)）]|記号)"
    r"|(?P<postal_code>〒|郵便番号|[Zz]ip)"
    r"|(?P<phone>(?:電話|携帯|連絡先|TEL|Tel|tel|ＴＥＬ|Ｔｅｌ|FAX|Fax|fax|ＦＡＸ|ファックス|ファクス|ファクシミリ|℡|☎|📞|ダイヤル"
    r"|問い?合わ?せ|折り?返し|直通|[Pp]hone|PHONE|[Mm]obile)(?:の?番号)?)"
    r"|(?P<some>番号)"
)
MANY_DIGITS = re.compile(r"\d{4}")


def meaning(text: str, start: int) -> Meaning | None:
    """What the nearest word before `start` says; None if there is none that speaks of numbers."""
    first = max(0, start - REACH)
    # A placeholder of an earlier pass took what the words before it spoke of.
    window = text[first:start].rpartition("〉")[2]
    nearest: Meaning | None = None
    end = 0
    for match in WORDS.finditer(window):
        name = match.lastgroup
        if name == "some":
            before = window[match.start() - 1 : match.start()]
            # 番号 alone says nothing new, in ○○番号 it says that it is one of another sort.
            if not ("一" <= before <= "鿿" or "ァ" <= before <= "ヺ" or before == "ー"):
                continue
            name = "other"
        nearest, end = name, match.end()  # type: ignore[assignment]
    between = window[end:]
    if nearest == "other" and len(between) > NEAR:
        return None
    # Several telephone numbers may follow one word; otherwise the word was another number's.
    if nearest != "phone" and MANY_DIGITS.search(between):
        return None
    return nearest
