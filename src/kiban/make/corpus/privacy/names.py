"""Names of persons: a surname that the dictionary has, with a given name, an honorific, a label or a role beside it.

A surname alone says little (森 is a forest, 山口 a prefecture). It is taken for a person where a given name follows,
or さん, 様, 氏, or a title; after a label (氏名：); as a speaker at the beginning of a line; where somebody introduces
himself; and, once a text has named a person surely, where the same surname stands by itself.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence

from kiban.make.corpus.privacy.dictionary import dictionary
from kiban.make.corpus.privacy.finding import Finding
from kiban.make.corpus.privacy.lexicon import AFTER_SURNAME

HONORIFIC = re.compile(
    "さん|さま(?![たでざよ])|様|氏(?!族|神|子|名)|くん|君(?!主|臨|達)|ちゃん|殿(?!堂|下)|先生|せんせい"
)
TITLE = re.compile(
    "(?:代表)?取締役|社長|副社長|部長|次長|課長|係長|室長|主任|主査|専務|常務|会長|副会長|委員長?|議員|議長|教授|准教授|教諭|講師|院長|医師|弁護士|監督|選手|容疑者|被告"
    "|監査役|理事長?|校長|師範|主将|記者"
)
# 神様 is a god, 奥様 a wife.
NOT_BEFORE_HONORIFIC = frozenset(("神", "奥", "今", "中", "宮", "前", "新", "仲間"))
# 前会長 was chairman before, 南部長 heads the south.
NOT_BEFORE_TITLE = frozenset("前新元今現中東西南北神高長金平")
SEAL = re.compile("印(?![一-鿿])|名義")
UNKNOWN_GIVEN = re.compile("([一-鿿々]{1,3}|[ぁ-ん]{2,4}?)(?:さん|さま|様|氏(?!族|名)|くん|ちゃん|殿(?!堂|下)|先生)")
NOT_GIVEN = re.compile(
    "[県市郡区町村駅港島川山寺城家派式流藩][一-鿿]?|.*(?:製薬|商店|電機|電器|工業|銀行|建設|産業|組合|会社|支店|本店|病院|医院|大学|高校|商事|薬局|書店|酒造|運輸|自動車|商会|機械|旅館|夫妻|一家|夫人|両|達|"
    "[部課社室店会所長])$"
)
# What may stand in front of a name without a blank although it is kanji: roles, titles, relations.
ROLE_BEFORE = re.compile(
    "(?:担当者?|担当医|代表|取締役|社長|部長|課長|係長|会長|主任|専務|常務|理事長?|監査役|議長|委員長?|議員|教授|講師|弁護士|医師|記者|選手|監督|社員|会社員|公務員"
    "|賃[貸借]人|保証人|依頼人|請求人|申立人|被告人?|原告|容疑者|作|著|訳|編|画|文|夫|妻|父|母|長男|長女|次男|次女|氏名|名前|故|元|新|部|課|室|係|店|署名|大臣|首相|知事|市長)$"
)
ROLE_AND_NO = re.compile(
    "(?:担当|係|部|課|室|社|店|院|校|受付|窓口|事務|長|員|士|師|者|役|オペレーター|マネージャー|マネジャー|リーダー|スタッフ|ディレクター|エンジニア"
    "|デザイナー|コーディネーター|アドバイザー|コンサルタント|プロデューサー|会社[^の\n]{0,12}|法人[^の\n]{0,12})の$"
)
PERSON_AND_NO = re.compile("(?:担当|係|長|員|士|師|役|オペレーター|マネージャー|リーダー|スタッフ)の$")
GREETING = re.compile("(?:ます|です|でした|ません|様|各位|さん)[、。,！!]?[ \u3000\n]{0,2}$")
DEFINED = re.compile("[(（]以下")
SELF = re.compile("です[。、！!\n]|でございます|と申しま|と申す|と言います|といいます")
LINE_BEFORE = re.compile(
    r"(?:^|\n)[ \t\u3000>・●○*-]{0,4}(?:[\[(（【<]?[^\n\])）】>]{0,20}[\])）】>]|\d{1,2}:\d\d(?::\d\d)?)?"
    r"[ \t\u3000]{0,3}$"
)
FREE_AFTER = re.compile("[はがをにのもとへで、。，．！？!?)）」』\\s]|$")
KANA_NAME = re.compile("[ぁ-んァ-ヴー]{2,8}[ \u3000・]?[ぁ-んァ-ヴー]{0,8}")
RUBY = re.compile("[(（]([ぁ-んァ-ヴー]{2,8}[ \u3000・]?[ぁ-んァ-ヴー]{1,8})[)）]")
PARTICLE = re.compile("は、?")
READ = re.compile("[ \u3000]?([一-鿿々]{1,3})[(（]([ぁ-んァ-ヴー]{3,12})")
# All that may follow a surname alone that is a person's.
BESIDE = re.compile("|".join(each.pattern for each in (HONORIFIC, TITLE, UNKNOWN_GIVEN, READ, SELF)))
SEPARATOR = re.compile("[)）】\\]」』]?[ \t\u3000]{0,6}(?:[:：=＝|｜][ \t\u3000]{0,6})?")
FULL_KATAKANA = re.compile("[ァ-ヴー]{2,8}[ \u3000][ァ-ヴー]{2,8}")
VALUE = re.compile("[一-鿿々ヶ﨑髙ぁ-んァ-ヴー]{1,8}(?:[ \u3000・][一-鿿々ぁ-んァ-ヴー]{1,6})?")
LIST_GOES_ON = re.compile("(?:さん|様|氏|君)?[ \u3000]?[、,，・/／][ \u3000]?")
LIST_MOST = 50
ANY_NAME = re.compile(
    "[一-鿿々ヶ]{1,4}[ \u3000]?[一-鿿々ぁ-んァ-ヴー]{1,5}|[ァ-ヴー]{2,8}[ \u3000・][ァ-ヴー]{2,8}"
    "|[ぁ-ん]{2,6}[ \u3000][ぁ-ん]{2,6}"
)
NO_NAME = re.compile(
    "未定|不明|同上|記入|記載|必須|任意|一覧|変更|入力|なし|無し|匿名|非公開|省略|以下|事務局|編集部|該当|上記|担当|確認|登録|空欄|自署|印鑑|及び|または|又は|住所|電話"
)
LATIN_BEFORE_MAIL = re.compile(r"(?<![A-Za-z])([A-Z][a-z]{1,14}) ([A-Z][A-Za-z]{1,14})\"? ?[<＜]$")


def in_hits(text: str, hits: Sequence[Sequence[int]], bare: Sequence[Sequence[int]]) -> list[Finding]:
    """Findings where surnames stand.

    Args:
        hits: the NAMEs of `scan.look`: where the surname begins and ends, its number, blanks, letters of the given
            name.
        bare: the SURNAMEs of `scan.look`.
    """
    places = dictionary().places
    found: list[Finding] = []
    named: set[int] = set()
    alone: list[tuple[int, int, int]] = []
    speakers: list[tuple[int, int, int]] = []
    end = 0
    for place, after, number, gap, given in hits:
        if place < end:
            continue
        if given:
            stop = after + gap + given
            if _is_full(text, place, after - place, gap, given, stop):
                found.append(Finding(place, stop, "person_name", "surname and given name"))
                named.add(number)
                end = stop
                continue
            if place and "一" <= text[place - 1] <= "鿿":
                continue
            following = text[after : after + 1]
            if following not in AFTER_SURNAME and not ("一" <= following <= "鿿"):
                alone.append((place, after, number))
                continue
        if text[after : after + 1] in (":", "："):
            speakers.append((place, after, number))
            continue
        one = _alone(text, place, after, number in places)
        if one is None:
            alone.append((place, after, number))
            continue
        found.append(one)
        end = one.end
        named.add(number)
    begins = [one.start for one in found]
    for one, number in _speakers(text, speakers):
        found.append(one)
        named.add(number)
    named -= places
    if not named:
        return found
    for place, after, number, _, _ in bare:
        if number in named:
            before = bisect_right(begins, place) - 1
            if before < 0 or found[before].end <= place:
                alone.append((place, after, number))
    for place, after, number in alone:
        if number in named and after - place > 1 and FREE_AFTER.match(text, after):
            found.append(Finding(place, after, "person_name", "surname named before"))
    return found


def _is_full(text: str, place: int, surname: int, gap: int, given: int, stop: int) -> bool:
    before = text[place - 1 : place]
    if (
        before
        and ("一" <= before <= "鿿" or before == "々")
        and not ROLE_BEFORE.search(text[max(0, place - 5) : place])
    ):
        return False
    following = text[stop : stop + 1]
    kanji_given = "一" <= text[stop - 1] <= "鿿"
    if "一" <= following <= "鿿" and not any(each.match(text, stop) for each in (HONORIFIC, TITLE, SEAL)):
        return False
    if (
        not kanji_given
        and "ぁ" <= following <= "ん"
        and not (HONORIFIC.match(text, stop) or FREE_AFTER.match(text, stop))
    ):
        return False
    if surname > 1:
        # 石川 進 in a line of its own is a person; 石川 明 in a row of words may be none.
        return given > 1 or gap == 0 or _ends_line(text, stop)
    told = HONORIFIC.match(text, stop) or RUBY.match(text, stop) or SELF.match(text, stop) or DEFINED.match(text, stop)
    if told and (
        gap or given > 1 or before not in "のがをにはとも" or ROLE_AND_NO.search(text[max(0, place - 20) : place])
    ):
        return True
    if given == 1:
        return gap == 1 and _ends_line(text, stop) and _begins_line(text, place)
    if gap:
        return True
    return not ("ァ" <= before <= "ー") and text[stop - 1] in TYPICAL


# How given names of two and three kanji most often end. After a surname of one kanji that is also a word, nothing else
# is believed: 原子, 林道, 東北.
TYPICAL = frozenset(
    "子美郎夫男雄彦介輔助一二三樹也哉斗太香織恵奈菜江代世乃花華佳里莉沙紗希紀穂保音翔真治司志史之行幸弘浩宏裕博明昭彰和平吾悟造蔵吉作外石葉衣"
)


def _ends_line(text: str, stop: int) -> bool:
    return bool(re.match("[ \u3000\t]*(?:$|\n|様|殿|さん|氏|印|[<＜(（、,，・|])", text[stop : stop + 8]))


def _begins_line(text: str, place: int) -> bool:
    return bool(re.search("(?:^|[\n:：\t|、,】>」\u3000])[ \u3000]{0,8}$", text[max(0, place - 10) : place]))


def _alone(text: str, place: int, after: int, is_place: bool) -> Finding | None:
    """A surname with no given name that the dictionary has: what follows decides."""
    if not BESIDE.match(text, after):
        return _in_role(text, place, after, is_place)
    if HONORIFIC.match(text, after) and text[place:after] not in NOT_BEFORE_HONORIFIC:
        return Finding(place, after, "person_name", "honorific")
    if after - place > 1 and (unknown := UNKNOWN_GIVEN.match(text, after)) and not NOT_GIVEN.match(unknown[1]):
        return Finding(place, unknown.end(1), "person_name", "honorific")
    if (read := READ.match(text, after)) and _is_reading(text[place:after], read[2]):
        return Finding(place, read.end(1), "person_name", "reading")
    if SELF.match(text, after):
        before = text[max(0, place - 20) : place]
        if ROLE_AND_NO.search(before) or GREETING.search(before):
            return Finding(place, after, "person_name", "introduces himself")
        if not is_place and (not before or before[-1] in "の、。\n \u3000"):
            return Finding(place, after, "person_name", "introduces himself")
        return None
    if one := _in_role(text, place, after, is_place):
        return one
    if TITLE.match(text, after) and text[place:after] not in NOT_BEFORE_TITLE:
        return Finding(place, after, "person_name", "title")
    return None


def _in_role(text: str, place: int, after: int, is_place: bool) -> Finding | None:
    """担当の佐藤が"""
    if text[after : after + 1] not in ("が", "は", "と") or text[place - 1 : place] not in ("の", "\n"):
        return None
    before = text[max(0, place - 20) : place]
    if ROLE_AND_NO.search(before) and (not is_place or PERSON_AND_NO.search(before)):
        return Finding(place, after, "person_name", "role")
    return None


def _is_reading(surname: str, kana: str) -> bool:
    reading = dictionary().readings.get(surname, "")
    hiragana = "".join(chr(ord(each) - 96) if "ァ" <= each <= "ヶ" else each for each in kana)
    return bool(reading) and hiragana.startswith(reading)


def _speakers(text: str, seen: Sequence[tuple[int, int, int]]) -> Iterator[tuple[Finding, int]]:
    """Surnames before a colon at the beginning of a line.

    石川: may begin a row of a list of prefectures; after the time of a message, said twice, or among other speakers it
    does not.
    """
    if not seen:
        return
    lines = []
    for place, after, number in seen:
        before = text[max(0, place - 32) : place]
        if line := LINE_BEFORE.search(before if place > 32 else "\n" + before):
            lines.append((place, after, number, line[0]))
    often = Counter(number for _, _, number, _ in lines)
    places = dictionary().places
    sure = any(number not in places for _, _, number, _ in lines)
    for place, after, number, line_before in lines:
        if sure or often[number] > 1 or re.search("[0-9]:[0-9]", line_before):
            yield Finding(place, after, "person_name", "speaker"), number


def at_label(text: str, end: int, *, form: bool) -> Iterator[Finding]:
    """Names after a label that ends at `end`; `form`: the label asks for a name, so that any word may be one."""
    if particle := PARTICLE.match(text, end):
        if form and (katakana := FULL_KATAKANA.match(text, particle.end())):
            yield Finding(katakana.start(), katakana.end(), "person_name", "label")
        return
    separator = SEPARATOR.match(text, end)
    if separator is None or not separator[0]:
        return
    # A blank may just as well stand between the headings of a table: names that the dictionary has, then.
    clear = any(sign in separator[0] for sign in ":：=＝|｜\t】") or (form and "\u3000" in separator[0])
    place = separator.end()
    for _ in range(LIST_MOST):
        value = VALUE.match(text, place)
        if value is None:
            return
        stop = _name_end(text, place, value.end(), any_word=form and clear, clear=clear)
        if stop is None and form and clear and (katakana := FULL_KATAKANA.match(text, place)):
            stop = katakana.end()
        if stop is None:
            return
        yield Finding(place, stop, "person_name", "label")
        goes_on = LIST_GOES_ON.match(text, stop)
        if goes_on is None:
            return
        place = goes_on.end()


def _name_end(text: str, place: int, last: int, *, any_word: bool, clear: bool) -> int | None:
    """Where the name that begins at `place` ends, None if it is none; no further than `last`."""
    known = dictionary()
    value = text[place:last]
    if NO_NAME.match(value):
        return None
    for length in (4, 3, 2, 1):
        if len(value) < length or known.surnames.number(value[:length]) < 0:
            continue
        blank = 1 if value[length : length + 1] in (" ", "\u3000", "・") and len(value) > length + 1 else 0
        rest = value[length + blank :]
        for given in (4, 3, 2, 1):
            if (
                len(rest) >= given
                and known.given.number(rest[:given]) >= 0
                and _free(text, place + length + blank + given)
            ):
                return place + length + blank + given
        unknown = re.match("[一-鿿々]{1,3}|[ぁ-ん]{2,4}|[ァ-ヴー]{2,6}", rest)
        if unknown and (blank or clear) and not NOT_GIVEN.match(unknown[0]):
            stop = place + length + blank + unknown.end()
            if _free(text, stop):
                return stop
        if (length > 1 or any_word) and _free(text, place + length):
            return place + length
    if not any_word:
        return None
    whole = ANY_NAME.match(value)
    if whole and len(whole[0]) >= 3 and not NOT_GIVEN.match(whole[0]):
        stop = place + len(whole[0])
        while stop > place + 2 and HONORIFIC.fullmatch(text, stop - 1, stop):
            stop -= 1
        return stop if _free(text, stop) else None
    return None


def _free(text: str, stop: int) -> bool:
    """A name may end here: a blank, a sign, an honorific or a particle follows."""
    following = text[stop : stop + 1]
    if not following or not (following.isalnum() or following in "々ー"):
        return True
    return any(each.match(text, stop) for each in (HONORIFIC, TITLE, SEAL, FREE_AFTER))


def at_kana_label(text: str, end: int) -> Finding | None:
    """フリガナ：ヤマダ タロウ"""
    separator = SEPARATOR.match(text, end)
    value = KANA_NAME.match(text, separator.end() if separator else end)
    if not separator or not separator[0] or value is None or len(value[0]) < 4 or NO_NAME.match(value[0]):
        return None
    return Finding(value.start(), value.end(), "person_name", "reading")


def readings(text: str, found: Sequence[Finding]) -> Iterator[Finding]:
    """山田太郎（やまだたろう）: the reading in brackets after a name."""
    for one in found:
        if one.end - one.start >= 3 and (ruby := RUBY.match(text, one.end)) and len(ruby[1]) >= 4:
            yield Finding(ruby.start(1), ruby.end(1), "person_name", "reading")


def before_mail(text: str, begin: int) -> Finding | None:
    """Taro Yamada <taro@…>"""
    match = LATIN_BEFORE_MAIL.search(text[max(0, begin - 40) : begin])
    if match and {match[1].lower(), match[2].lower()} & dictionary().romaji:
        first = max(0, begin - 40)
        return Finding(first + match.start(1), first + match.end(2), "person_name", "before an e-mail address")
    return None
