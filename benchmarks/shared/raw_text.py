"""Raw text for `corpus_training.py`: clean pages, and what crawls and archives add to them, made with a seed.

How much is added follows what was published about the web, and where nothing was, a small share is assumed:

| share | what | from |
|---|---|---|
| 22.2% | pages that are virtually identical to others, in clusters of 2.5 | Fetterly, Manasse and Najork (2003) |
| 7.0% | pages that are very similar to others (their 29.2% less the 22.2%), in clusters of 4.7 | the same |
| 13.8% | pages made for search engines | Ntoulas, Najork, Manasse and Fetterly (2006) |
| 8.6% | of the text: menus and notices | precision 0.914 of extracting main text (Barbaresi, 2021) |
| 2% each | pages decoded wrongly, wrapped at a fixed width, cut off, in other widths | assumed |

The sizes of clusters are those of Broder, Glassman, Manasse and Zweig (1997): 5.3 million pages in 2.1 million clusters
of identical ones, 7.0 million in 1.5 million others. Whole web pages are 40 to 50% template (Gibson, Punera and
Tomkins, 2005); 8.6% is what is left where somebody took out the main text before. Half of the copies are on another
site, under its menus, and a page carries its date and a counter, so hardly two are equal letter for letter. A similar
page differs in 2 to 20% of its sentences. Pages made for search engines are, a quarter each: keywords, sentences from
other pages, tables of goods from one template, logs.

None of this is chosen by what kiban finds: it has no rule against sentences from other pages or pages that are cut off,
and a page whose widths are others is mended in the normal form that both sides of the comparison have. English is in
the real text, and none is added.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from shared.corpus_texts import SENTENCE

IDENTICAL, IDENTICAL_CLUSTER = 0.222, 5.3 / 2.1
SIMILAR, SIMILAR_CLUSTER = 0.292 - 0.222, 7.0 / 1.5
MACHINE = 0.138
FURNITURE = 1 - 0.914
DAMAGE = 0.02
EDITS = (0.02, 0.2)
SITES = 6
PAGE_CHARACTERS = 2_500
SEEN = 0.02
SIGN_CHARACTERS = 10

Kind = Literal["page", "identical", "similar", "keywords", "stitched", "goods", "log"]
Damage = Literal["decoding", "wrapped", "cut_off", "widths"]
Random = np.random.Generator

LABELS = """
ホーム 新着情報 お知らせ 会社概要 事業案内 製品情報 サービス 採用情報 お問い合わせ サイトマップ よくあるご質問 アクセス
資料請求 カタログ ダウンロード 会員登録 ログイン カート 特集 コラム ブログ 掲示板 リンク集 プライバシーポリシー
利用規約 English
"""
NOTICES = (
    "{site}に掲載されている文章や画像を無断で転載することを禁じます。",
    "ご意見・ご感想は{site}のお問い合わせフォームからお寄せください。",
    "このページをご覧になるには最新のブラウザーをお使いください。",
    "{site}の最新情報はメールマガジンでもお届けしています。ご登録はこちらから。",
    "JavaScriptが無効になっています。{site}のすべての機能を使うには有効にしてください。",
    "当サイトはクッキーを使用しています。閲覧を続けると{site}の方針に同意したものとみなします。",
    "Copyright (C) {site} All Rights Reserved.",
    "▲ このページの先頭へ戻る",
)
GOODS = ("商品番号", "商品名", "価格", "在庫", "サイズ", "重さ", "色", "送料", "発送の目安", "評価")
SELLING = ("激安", "通販", "人気", "最安値", "ランキング", "口コミ", "送料無料", "格安", "比較", "おすすめ")
WORD = re.compile(r"[一-鿿]{2,4}|[ァ-ヺー]{3,8}")
TOP_LINES = 3


@dataclass(frozen=True)
class Page:
    """
    Attributes:
        origin: place of the clean page that it was made from; None for what a machine made.
        site: from 0; a site is a source of the corpus.
        damage: what happened to it besides.
    """

    text: str
    kind: Kind
    site: int
    origin: int | None
    damage: Damage | None = None


def split(
    texts: Sequence[tuple[str, str]], clean_bytes: int, candidates: int, seed: int
) -> tuple[list[str], list[str]]:
    """Pages to train on, and documents to choose those from that are scored.

    Both are taken in equal parts from each source. Training pages are from a stretch of neighbours, so that what a
    source says twice in one place is there twice. Documents are from beyond it, with a hundredth of the source between,
    so that they are not of the same works' or manuals' other parts.

    Returns:
        Pages of up to PAGE_CHARACTERS characters; the beginnings of documents, as long.
    """
    rng = np.random.default_rng(seed)
    by_source: dict[str, list[str]] = {}
    for identity, text in texts:
        by_source.setdefault(identity.split(":")[0] if ":" in identity else "", []).append(text)
    clean: list[str] = []
    outside: list[str] = []
    for found in by_source.values():
        wanted = clean_bytes // len(by_source)
        start = int(rng.integers(len(found) // 2))
        end = start
        size = 0
        while size < wanted and end < len(found):
            size += len(found[end].encode())
            clean += pages_of(found[end])
            end += 1
        gap = len(found) // 100 + 1
        others = [*found[: max(0, start - gap)], *found[end + gap :]]
        chosen = rng.permutation(len(others))[: candidates // len(by_source)]
        outside += [pages_of(others[place])[0] for place in chosen.tolist()]
    return clean, outside


def pages_of(text: str) -> list[str]:
    """A long text in parts, each ending with a line or sentence where there is an end."""
    pages, page = [], ""
    for sentence in SENTENCE.findall(text):
        if page and len(page) + len(sentence) > PAGE_CHARACTERS:
            pages.append(page)
            page = ""
        page += sentence
    return [*pages, page] if page or not pages else pages


def unseen(documents: Sequence[str], pages: Sequence[str]) -> list[str]:
    """The documents of which at most SEEN stands in sentences that a page has too; short ones, that all have, are no
    sign."""
    known = {sentence.strip() for page in pages for sentence in SENTENCE.findall(page)}
    found = []
    for document in documents:
        sentences = [sentence.strip() for sentence in SENTENCE.findall(document)]
        seen = sum(len(each) for each in sentences if len(each) >= SIGN_CHARACTERS and each in known)
        if seen <= SEEN * sum(map(len, sentences)):
            found.append(document)
    return found


def cut(text: str, size: int) -> str:
    """The first `size` bytes in UTF-8, whole characters."""
    return text.encode()[:size].decode(errors="ignore")


# -- What is added -----------------------------------------------------------------------------------------------------


def make_raw(clean: Sequence[str], seed: int) -> list[Page]:
    """The clean pages among copies of them and machine-made ones, on SITES sites, dressed and partly damaged.

    Neighbours in `clean` are on the same site. The same pages and seed give the same result.
    """
    rng = np.random.default_rng(seed)
    pages = [Page(text, "page", place * SITES // len(clean), place) for place, text in enumerate(clean)]
    total = round(len(pages) / (1 - copies_share() - MACHINE))
    originals = iter(rng.permutation(len(pages)).tolist())
    sentences = [sentence for text in clean for sentence in SENTENCE.findall(text)]
    clusters: tuple[tuple[Kind, float, float], ...] = (
        ("identical", IDENTICAL, IDENTICAL_CLUSTER),
        ("similar", SIMILAR, SIMILAR_CLUSTER),
    )
    for kind, share, cluster in clusters:
        left = share * total
        while left >= 2:
            original = pages[next(originals)]
            copies = int(rng.geometric(1 / (cluster - 1)))
            for _ in range(copies):
                text = original.text if kind == "identical" else _edited(original.text, sentences, rng)
                site = original.site if rng.random() < 0.5 else int(rng.integers(SITES))
                pages.append(Page(text, kind, site, original.origin))
            left -= copies + 1
    words = [word for text in clean for word in WORD.findall(text)] or ["語"]
    machines = list(MACHINES.items())
    for number in range(round(MACHINE * total)):
        size = len(clean[int(rng.integers(len(clean)))])
        kind, function = machines[number % len(machines)]
        pages.append(Page(function(size, sentences, words, rng), kind, int(rng.integers(SITES)), None))
    furniture_bytes = FURNITURE / (1 - FURNITURE) * sum(len(page.text.encode()) for page in pages) / len(pages)
    dressers = [_dresser(site, furniture_bytes, rng) for site in range(SITES)]
    raw = [_damaged(replace(page, text=dressers[page.site](page.text, rng)), rng) for page in pages]
    return [raw[place] for place in rng.permutation(len(raw)).tolist()]


def copies_share() -> float:
    """Of all pages, those that are there again: of a cluster, all but one."""
    return IDENTICAL * (1 - 1 / IDENTICAL_CLUSTER) + SIMILAR * (1 - 1 / SIMILAR_CLUSTER)


def _edited(text: str, others: Sequence[str], rng: Random) -> str:
    """A sentence in so many is left out, another in its place, or one more before it."""
    rate = rng.uniform(*EDITS)
    edited = []
    for sentence in SENTENCE.findall(text):
        if rng.random() < rate:
            what, other = rng.integers(3), others[int(rng.integers(len(others)))]
            edited += [[], [other], [other, sentence]][what]
        else:
            edited.append(sentence)
    return "".join(edited)


# -- Pages made by machines -------------------------------------------------------------------------------------------


def _drawn(some: Sequence[str], count: int, rng: Random) -> list[str]:
    return [some[place] for place in rng.integers(len(some), size=count).tolist()]


def _keywords(size: int, sentences: Sequence[str], words: Sequence[str], rng: Random) -> str:
    """A few words with what sells, over and over."""
    themes = _drawn(words, int(rng.integers(2, 12)), rng)
    separator = str(rng.choice([" ", "、", ",", "\n"]))
    return separator.join(f"{theme} {sells}" for theme, sells in _pairs(themes, SELLING, size // 8 + 1, rng))[:size]


def _pairs(left: Sequence[str], right: Sequence[str], count: int, rng: Random) -> list[tuple[str, str]]:
    return list(zip(_drawn(left, count, rng), _drawn(right, count, rng), strict=True))


def _stitched(size: int, sentences: Sequence[str], words: Sequence[str], rng: Random) -> str:
    """Sentences of other pages in no order."""
    text = ""
    while len(text) < size:
        text += "".join(_drawn(sentences, 8, rng))
    return text[:size]


def _goods(size: int, sentences: Sequence[str], words: Sequence[str], rng: Random) -> str:
    """One template, filled again and again."""
    rows: list[str] = []
    labels = _drawn(GOODS, int(rng.integers(4, len(GOODS))), rng)
    while sum(map(len, rows)) < size:
        rows += [
            f"{label}: {word}{rng.integers(100, 99_999)}" for label, word in _pairs(labels, words, len(labels), rng)
        ]
    return "\n".join(rows)[:size]


def _log(size: int, sentences: Sequence[str], words: Sequence[str], rng: Random) -> str:
    rows = (
        f"2024-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d} {rng.integers(24):02d}:{rng.integers(60):02d} "
        f"{rng.integers(2**40):010x} {rng.choice(['INFO', 'WARN', 'OK'])} {rng.integers(10**6)}"
        for _ in range(size // 40 + 1)
    )
    return "\n".join(rows)[:size]


MACHINES: dict[Kind, Callable[[int, Sequence[str], Sequence[str], Random], str]] = {
    "keywords": _keywords,
    "stitched": _stitched,
    "goods": _goods,
    "log": _log,
}


# -- What a site puts around a page -----------------------------------------------------------------------------------


def _dresser(site: int, furniture_bytes: float, rng: Random) -> Callable[[str, Random], str]:
    """Puts a site's lines around a text: about `furniture_bytes`, the same on every page but for date and counter."""
    name = f"サイト{'甲乙丙丁戊己庚辛'[site % 8]}"
    menu = rng.permutation(LABELS.split()).tolist()
    joined = [" | ".join(menu[start : start + 4]) for start in range(0, len(menu), 4)]
    lines = [*joined[:2], *rng.permutation([notice.format(site=name) for notice in NOTICES]).tolist(), *joined[2:]]
    changing = "{site} 更新日: 2024年{month}月{day}日 閲覧数: {count}"
    left = furniture_bytes - len(changing.encode())
    taken: list[str] = []
    for line in lines:
        if left < len(line.encode()) / 2:
            break
        taken.append(line)
        left -= len(line.encode()) + 1

    def dress(text: str, rng: Random) -> str:
        dated = changing.format(
            site=name, month=rng.integers(1, 13), day=rng.integers(1, 29), count=rng.integers(1, 100_000)
        )
        return "\n".join([*taken[:TOP_LINES], text, dated, *taken[TOP_LINES:]])

    return dress


# -- Damage -----------------------------------------------------------------------------------------------------------


def _damaged(page: Page, rng: Random) -> Page:
    chance = rng.random()
    for damage, function in DAMAGES.items():
        if chance < DAMAGE:
            return replace(page, text=function(page.text, rng), damage=damage)
        chance -= DAMAGE
    return page


def _wrongly_decoded(text: str, rng: Random) -> str:
    wrote, read = [("utf-8", "latin-1"), ("utf-8", "cp932"), ("cp932", "latin-1"), ("euc_jp", "cp932")][rng.integers(4)]
    return text.encode(wrote, "replace").decode(read, "replace")


def _wrapped(text: str, rng: Random) -> str:
    """Lines cut at a width in columns, of which kanji and kana take two."""
    width = int(rng.choice([60, 70, 76]))
    lines = []
    for line in text.split("\n"):
        start = columns = 0
        for place, letter in enumerate(line):
            taken = 2 if unicodedata.east_asian_width(letter) in "FW" else 1
            if columns + taken > width:
                lines.append(line[start:place])
                start, columns = place, 0
            columns += taken
        lines.append(line[start:])
    return "\n".join(lines)


def _cut_off(text: str, rng: Random) -> str:
    return text[: int(len(text) * rng.uniform(0.2, 0.8))]


def _other_widths(text: str, rng: Random) -> str:
    """Full-width Latin and digits, or half-width katakana."""
    if rng.random() < 0.5:
        return text.translate(FULL_WIDTH)
    return KATAKANA.sub(lambda found: unicodedata.normalize("NFD", found[0]).translate(HALF_WIDTH), text)


KATAKANA = re.compile("[ァ-ヴー]+")
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
HALF_WIDTH = {ord(unicodedata.normalize("NFKC", chr(code))): chr(code) for code in range(0xFF66, 0xFF9E)} | {
    0x3099: "ﾞ",
    0x309A: "ﾟ",
}
DAMAGES: dict[Damage, Callable[[str, Random], str]] = {
    "decoding": _wrongly_decoded,
    "wrapped": _wrapped,
    "cut_off": _cut_off,
    "widths": _other_widths,
}
