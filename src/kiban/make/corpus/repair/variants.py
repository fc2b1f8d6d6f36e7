"""Old and variant forms of kanji as today's: 國 → 国, 髙 → 高. Only where asked for: they tell names apart.

The pairs are the old forms (康熙字典体) that the list of kanji for general use (常用漢字表, Cabinet notice 2 of 2010)
gives beside its own, as far as OpenCC 1.4.2 (JPShinjitaiCharacters) and joyokanji 1.1.0 agree on them and one old form
has one new form (not 辨 瓣 辯 → 弁); further old forms of the same parts, and variants frequent in names. CJK
compatibility ideographs become what Unicode says that they are.
"""

from __future__ import annotations

import functools
import sys
import unicodedata

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.edits import Edit
from kiban.make.corpus.letters import Letters, Offsets

# Each character is followed by what it becomes.
OLD_FORMS = (
    "乘乗亂乱亞亜佛仏來来倂併假仮傳伝僞偽價価儉倹兒児兩両剩剰劍剣劑剤勞労勳勲勵励勸勧區区卷巻卽即參参單単"
    "嚴厳囑嘱圈圏國国圍囲圓円圖図團団增増墮堕壓圧壘塁壞壊壤壌壯壮壹壱壽寿奧奥奬奨孃嬢學学寢寝實実寫写寬寛"
    "寶宝將将專専對対屆届屬属峽峡嶽岳巢巣帶帯廢廃廣広廳庁彈弾彌弥徑径從従徵徴德徳恆恒惠恵惡悪惱悩愼慎慘惨"
    "應応懷懐戀恋戰戦戲戯戾戻拂払拔抜拜拝挾挟插挿揭掲搖揺搜捜擇択擊撃擔担據拠擧挙擴拡攝摂收収效効敍叙敕勅"
    "數数斷断晚晩晝昼曆暦曉暁曾曽會会條条棧桟榮栄槪概樂楽樓楼樞枢樣様橫横檢検櫻桜權権歐欧歡歓步歩歷歴歸帰"
    "殘残殼殻毆殴每毎氣気涉渉淚涙淨浄淺浅渴渇溪渓溫温滯滞滿満潛潜澁渋澤沢濕湿濟済濱浜瀧滝瀨瀬灣湾燈灯燒焼"
    "營営爐炉爭争爲為犧犠狀状狹狭獨独獵猟獸獣獻献甁瓶畫画當当疊畳瘦痩癡痴發発盜盗盡尽眞真硏研碎砕祕秘禪禅"
    "禮礼稱称稻稲穗穂穩穏竊窃竝並粹粋絲糸經経綠緑緖緒緣縁縣県縱縦總総繩縄繪絵繼継續続纖繊缺欠罐缶聲声聽聴"
    "肅粛腦脳膽胆臟臓臺台與与舊旧艷艶莊荘莖茎萬万薰薫藏蔵藝芸藥薬處処虛虚號号螢蛍蟲虫蠶蚕蠻蛮衞衛裝装襃褒"
    "覺覚覽覧觀観觸触謠謡證証譯訳譽誉讀読變変讓譲豐豊豫予貳弐賣売賴頼贊賛踐践輕軽轉転辭辞遞逓遲遅邊辺郞郎"
    "鄕郷醉酔醫医釀醸釋釈錄録錢銭鍊錬鎭鎮鐵鉄鑄鋳鑛鉱關関陷陥隨随險険隱隠雙双雜雑霸覇靈霊靜静顯顕飜翻餘余"
    "騷騒驅駆驗験驛駅髓髄體体髮髪鬭闘鷄鶏鹽塩麥麦麵麺黃黄黑黒默黙點点黨党齊斉齋斎齒歯齡齢龍竜"
)
OTHER_FORMS = (
    "內内刄刃卻却吳呉姬姫峯峰嵜崎嶋島巖巌彥彦悅悦戶戸敎教晉晋栁柳桒桑歲歳污汚沒没淸清濵浜瑤瑶產産稅税絕絶"
    "繫繋羣群聰聡脫脱舍舎舘館說説遙遥邉辺鄰隣銳鋭閱閲靑青顏顔髙高鬪闘龜亀﨑崎𠮷吉"
)
COMPATIBILITY = (*range(0xF900, 0xFB00), *range(0x2F800, 0x2FA20))

Marks = npt.NDArray[np.bool_]


@functools.cache
def variants() -> dict[str, str]:
    """Every variant, with the character that it becomes, which is none."""
    pairs = OLD_FORMS + OTHER_FORMS
    table = dict(zip(pairs[::2], pairs[1::2], strict=True))
    for code in COMPATIBILITY:
        unified = unicodedata.normalize("NFC", chr(code))
        if unified != chr(code):
            table[chr(code)] = table.get(unified, unified)
    return table


@functools.cache
def _marks() -> Marks:
    """bool [code points]: which are variants."""
    marks = np.zeros(sys.maxunicode + 1, np.bool_)
    marks[[ord(variant) for variant in variants()]] = True
    return marks


def variant_places(letters: Letters) -> Offsets:
    """int64 [variants]: where in `letters.codes`, of normalised texts, variants stand."""
    return np.flatnonzero(_marks()[letters.codes])


def variant_edits(text: str, places: Offsets) -> list[Edit]:
    """What makes variants in `text` today's forms.

    Args:
        places: its `variant_places`.
    """
    table = variants()
    return [
        Edit(position, position + 1, table[text[position]])
        for position in places.tolist()
        if not _selects(text[position + 1 : position + 2])  # it is a form that somebody chose
    ]


def _selects(character: str) -> bool:
    """Whether it is a variation selector."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
