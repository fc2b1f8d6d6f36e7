"""Japanese surnames and given names, from the package japanese-personal-name-dataset (MIT licence)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib import resources

import numpy as np

from kiban.make.corpus.letters import Codes
from kiban.make.corpus.privacy.lexicon import Strings, packed, spelt


def words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# Older and print forms of characters that stand in many names, each beside the form in the dictionary.
VARIANTS = (
    ("高", "髙"), ("崎", "﨑"), ("崎", "嵜"), ("辺", "邉"), ("辺", "邊"), ("沢", "澤"), ("斎", "齋"), ("斉", "齊"),
    ("島", "嶋"), ("浜", "濱"), ("広", "廣"), ("国", "國"), ("真", "眞"), ("桜", "櫻"), ("徳", "德"), ("富", "冨"),
)  # fmt: skip
# Given names of one character are words, too: these are far more often names where they follow a surname.
ONE_CHARACTER = frozenset(
    "亘亨享亮仁介伸俊修倫健儀優充光克凛凜剛功勇勉勲匠卓博厚司咲哲啓喜堅塁奏学守宏宙実宣寛尚岬岳崇巌巧巽希幹弘彩徹"
    "忍忠恋恒恵悟悠悦惇愛慎慶憲拓掌操敦敬斉旬昂昇昌明昭晃晋晴智暁暢曜朗望杏柚栞桂桃梓梢楓樹櫂正毅汐治洋洸浄浩淳渉"
    "渚湊満滋潔潤澄澪烈煌照燿猛玲理琢琴瑛瑞瑠瑶環甫登真瞬瞳碧祐稔稜穂竜章笑節篤精紀純紘紫紬累結絢維綾緑繁義翔翠翼"
    "耕聖聡肇舞良芳芽茂茜荘菖菫華萌萩葵蒼蓮蕾薫藍蘭虎蛍衛裕覚詢詩誉誠諒謙譲護豊豪貢貴賢赳輝辰透進遙遥遼郁醇鈴鋭錬"
    "鎮陽隆雄雅雫静鞆響順頼颯馨駿鮎鳳麗麟黎龍"
)
# Words that are in the list of given names and as a rule mean something else after a surname.
WORDS = words(
    "一人 一体 一同 一家 一方 一族 一本 一派 一緒 一行 一部 三世 三人 三代 三女 三男 上人 上流 下流 世代 中央 "
    "中山 中川 中心 中野 中間 主人 主任 主張 主演 主義 事実 二世 二人 二代 五女 五男 人文 人間 今日 令和 以上 "
    "以下 以外 会長 作家 作者 係長 俳優 健康 兄弟 先代 先生 先輩 光景 全体 全員 全部 公園 公正 内閣 出演 出生 "
    "出身 初代 勝利 北部 区長 医院 千代田 千葉 南部 博士 古代 同士 同様 名人 名前 名義 周辺 商店 四人 四女 四男 "
    "在住 地域 地方 城下 城主 城跡 大人 大使 大和 大学 大将 大山 大川 大橋 大正 大臣 天王 天皇 天神 夫人 夫妻 "
    "夫婦 女優 姉妹 委員 安全 安心 家元 家族 小川 小橋 局長 山口 山川 山本 山田 川上 川口 工業 市長 希望 平和 "
    "平成 幸福 店長 当時 当然 役員 所長 投手 捕手 政府 政権 政治 教授 文化 文学 文庫 文明 文書 新春 新聞 新規 "
    "方面 日光 日本 明日 明治 春日 昨日 昭和 時代 書店 月光 有利 有名 本人 本当 村長 来日 東部 校長 次代 次女 "
    "次男 歌手 正当 正月 正確 母子 海岸 温泉 父子 王女 王子 班長 現代 現実 理事 町長 画家 病院 監事 監督 真実 "
    "真理 真相 知事 社長 祖母 祖父 神宮 神社 秋田 空港 筆者 組合 総理 編者 署長 美人 美容 美術 義母 義父 自体 "
    "自信 自分 自然 自由 自身 船長 艦長 良心 英国 英語 著者 薬局 製作 西部 親子 記者 訳者 読者 課長 議員 議長 "
    "近代 道場 道路 選手 部長 銀行 長女 長男 院長 隊長 電気 青山 風土 風景 首相 騎手 高校 高等"
)
GEOGRAPHIC = words(
    "青森 岩手 宮城 秋田 山形 福島 茨城 栃木 群馬 埼玉 千葉 東京 新潟 富山 石川 福井 山梨 長野 岐阜 静岡 愛知 "
    "三重 滋賀 京都 大阪 兵庫 奈良 鳥取 島根 岡山 広島 山口 徳島 香川 愛媛 高知 福岡 佐賀 長崎 熊本 大分 宮崎 "
    "鹿児島 沖縄 大和 横浜 神戸 札幌 仙台 名古屋 日本 中国 江戸 東 西 南 北 中 前 奥 今 向 角 所 谷 島 浜 沖 坂 "
    "沢 峰 岸 浦 城 境 新 長 高 平 神 金 見 星 森 林 原 泉 滝 宮 畑 柳 椿 桂 橘 湊"
)


class Dictionary:
    """Attributes:
    surnames, given: names of 1 to 4 characters.
    places: numbers of the surnames that are also names of places, or plain words.
    """

    def __init__(self) -> None:
        from japanese_personal_name_dataset import load_dataset

        men, women, self._families = load_dataset(include_last_names=True)
        popular = load_dataset(kind="opti")
        self.surnames = Strings(_with_variants(spelt(tuple(self._families))))
        kanji = spelt([name for names in (men, women) for entry in names.values() for name in entry["kanji"]])
        # 一子 to 九郎 are names; a surname before a surname is a list of surnames.
        no_names = Strings(spelt((*WORDS, *self._families))).keys
        keys = packed(kanji)
        others = no_names[np.minimum(np.searchsorted(no_names, keys), len(no_names) - 1)] != keys
        kanji = kanji[(kanji[:, 1] > 0) & others]
        kana = [reading for names in popular for reading in names if 3 <= len(reading) <= 4]
        self.given = Strings(_with_variants(np.concatenate((kanji, spelt((*ONE_CHARACTER, *kana))))))
        places = {self.surnames.number(name) for name in (*GEOGRAPHIC, *_city_stems())}
        self.places = frozenset(places - {-1})

    @functools.cached_property
    def romaji(self) -> frozenset[str]:
        """Surnames in Latin letters, lower case."""
        romaji = frozenset(entry["en"] for entry in self._families.values())
        return romaji | {name.replace("ou", "o").replace("uu", "u").replace("oo", "o") for name in romaji}

    @functools.cached_property
    def readings(self) -> dict[str, str]:
        """Surname -> its usual reading in hiragana."""
        return {
            spelling: entry["reading"]
            for name, entry in self._families.items()
            for spelling in (name, *(name.replace(usual, variant) for usual, variant in VARIANTS if usual in name))
        }


dictionary = functools.cache(Dictionary)


def municipalities() -> list[str]:
    text = resources.files("kiban.make.corpus.privacy").joinpath("municipalities.txt").read_text(encoding="utf-8")
    return [name for line in text.splitlines() if not line.startswith("#") for name in line.split()]


def _city_stems() -> Iterator[str]:
    """The names of cities without 市 that are also among the commoner words of place: 松本, 福山, 高松."""
    return (name[:-1] for name in municipalities() if name.endswith("市"))


def _with_variants(codes: Codes) -> Codes:
    """Names as from `spelt`, and each with one character in each of its other forms."""
    spellings = [codes]
    for usual, variant in VARIANTS:
        having = codes[functools.reduce(np.logical_or, (column == ord(usual) for column in codes.T))]
        spellings.append(np.where(having == ord(usual), np.uint32(ord(variant)), having))
    return np.concatenate(spellings)
