"""The words that say what stands beside them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from kiban.make.corpus.privacy.dictionary import municipalities
from kiban.make.corpus.privacy.lexicon import sorted_words


def listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


# Of forms: whatever stands after them is a name, even one that no dictionary has.
NAME_LABELS = listed(
    "氏名 お名前 御名前 名前 署名 患者名 患者氏名 会員名 お客様名 口座名義 名義 名義人 申込者 申請者 届出人 "
    "代表者名 担当者名 受取人 保護者 契約者 被保険者 続柄 世帯主 差出人 宛名 本名"
)
# Of roles: a name that the dictionary has may stand after them, with a colon or without.
ROLE_LABELS = listed(
    "担当 担当者 担当医 主治医 代表者 代表取締役 代表取締役社長 代表理事 取締役 監査役 責任者 運営責任者 議長 "
    "講師 出席者 参加者 欠席者 連帯保証人 保証人 賃貸人 賃借人 貸主 借主 売主 買主 依頼人 発信者 受付 連絡先 "
    "宛先 送信者 作成者 承認者 起案者 報告者 記入者 社員 対象社員 対象者 被告 原告 弁護士 社長 会長 部長 課長 "
    "係長 主任 教授 准教授 院長 校長 店長 所長 委員長 事務局長 理事長 専務 常務 会社員 公務員 議員 教諭 医師 "
    "看護師 記者 顧問 司会 書記 幹事 審査員 本人 長男 長女 次男 次女 二男 二女 営業部 総務部 人事部 経理部 "
    "開発部 技術部 一課 二課 三課"
)
KANA_LABELS = (
    "フリガナ",
    "ふりがな",
    "ﾌﾘｶﾞﾅ",
    "カナ氏名",
    "氏名カナ",
    "氏名(カナ)",
    "氏名（カナ）",
    "ヨミガナ",
    "よみがな",
    "読み仮名",
)
BIRTH_BEFORE = (
    "生年月日",
    "誕生日",
    "birthday",
    "Birthday",
    "date of birth",
    "Date of Birth",
    "birth_date",
    "birthdate",
    "DOB",
)
BIRTH_AFTER = ("生まれ", "日生", "生（満", "生(満")
PASSWORDS = (
    "password",
    "Password",
    "PASSWORD",
    "passwd",
    "PASSWD",
    "passphrase",
    "パスワード",
    "pwd",
    "PWD",
    "暗証番号",
)
KEY_BLOCK = "-----BEGIN "
POST_CODES = ("〒", "郵便番号")
PREFECTURES = listed(
    "北海道 青森県 岩手県 宮城県 秋田県 山形県 福島県 茨城県 栃木県 群馬県 埼玉県 千葉県 東京都 神奈川県 新潟県 "
    "富山県 石川県 福井県 山梨県 長野県 岐阜県 静岡県 愛知県 三重県 滋賀県 京都府 大阪府 兵庫県 奈良県 和歌山県 "
    "鳥取県 島根県 岡山県 広島県 山口県 徳島県 香川県 愛媛県 高知県 福岡県 佐賀県 長崎県 熊本県 大分県 宮崎県 "
    "鹿児島県 沖縄県"
)
# Words after which a text's bare numbers may be of that kind, also far from the word.
SPOKEN = {
    "マイナンバー": "my_number",
    "個人番号": "my_number",
    "法人番号": "corporate_number",
    "登録番号": "corporate_number",
}
# Special-care personal information: Act on the Protection of Personal Information, article 2 (3), and its Cabinet
# Order, article 2.
SPECIAL_CARE = {
    "creed": listed("信仰 信者 信徒 入信 洗礼 支持政党 政治的信条 宗教的信条 棄教 改宗"),
    "race": listed("人種 民族的出身 在日韓国人 在日朝鮮人 アイヌ民族 黒人 混血児"),
    "social_status": listed("被差別部落 同和地区 部落出身 非嫡出子 身分差別"),
    "medical_history": listed(
        "病歴 既往歴 持病 罹患 発症 診断された 診断を受け 統合失調症 うつ病 躁うつ病 双極性障害 認知症 "
        "糖尿病 癌 がん 白血病 HIV エイズ 肝炎 結核 梅毒 てんかん 脳梗塞 心筋梗塞 ハンセン病 新型コロナ陽性 "
        "入院歴 通院中 手術歴 不妊治療 流産 中絶"
    ),
    "health_examination": listed("健康診断結果 検査結果 ストレスチェック 遺伝子検査"),
    "medical_care": listed("投薬 処方された 診療録 カルテ 保健指導"),
    "disability": listed(
        "身体障害 知的障害 精神障害 発達障害 障害者手帳 療育手帳 聴覚障害 視覚障害 自閉症 ADHD 車椅子生活"
    ),
    "criminal_record": listed("前科 前歴 犯罪歴 有罪判決 懲役 禁錮 服役 実刑 執行猶予"),
    "criminal_procedure": listed("逮捕 起訴 送検 勾留 書類送検 容疑で 取調べ 少年院 保護処分 保護観察"),
    "crime_victim": listed("犯罪被害 被害届 性被害 虐待を受け DV被害 ストーカー被害"),
}


@functools.cache
def keywords() -> tuple[list[str], list[str]]:
    """The words above in the order of a lexicon, and the role of each.

    Roles: "name", "role", "kana", "birth", "born", "password", "post", "place", "key", "speaks:KIND", "care:CATEGORY".
    A word has one role.
    """
    role_of: dict[str, str] = {}
    groups: Sequence[tuple[str, Sequence[str]]] = (
        ("role", ROLE_LABELS),
        ("name", NAME_LABELS),
        ("kana", KANA_LABELS),
        ("birth", BIRTH_BEFORE),
        ("born", BIRTH_AFTER),
        ("password", PASSWORDS),
        ("post", POST_CODES),
        ("place", (*PREFECTURES, *municipalities())),
        ("key", (KEY_BLOCK,)),
        *((f"speaks:{kind}", (word,)) for word, kind in SPOKEN.items()),
        *((f"care:{category}", words) for category, words in SPECIAL_CARE.items()),
    )
    for role, words in groups:
        role_of |= dict.fromkeys(words, role)
    words = sorted_words(role_of)
    return words, [role_of[word] for word in words]
