"""What surrounds the text of a page and is no part of it: menus, breadcrumbs, share buttons, lists of other pages.

Pages of today mark most of it (nav, aside, footer); the rest is told by structure, by the names that authors give to
such blocks, and by link density (Kohlschütter, Fankhauser & Nejdl, "Boilerplate detection using shallow text
features", 2010). A name alone removes only what is small beside the page, because names lie: a restaurant's
`class="menu"` is its text.
"""

from __future__ import annotations

import re
from typing import Any

BLOCKS_OF_LINKS = frozenset(("p", "div", "td", "center", "ul", "ol", "dl", "table", "section"))
# A list of longer links than this says something itself.
MENU_LETTERS_PER_LINK = 16
HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
NAMED = "div, section, ul, ol, dl, p, table, td, header, span, form, article, h2, h3, h4, small, address"
WORDS = re.compile(r"[a-z]+|[A-Z][a-z]*")
# Words in class and id of blocks that are hardly ever text.
SURELY = frozenset((
    "footer", "foot",
    "breadcrumb", "breadcrumbs", "crumb", "crumbs", "topicpath", "pankuzu", "sns", "pagetop", "gotop", "pager",
    "pagination", "copyright", "gnav", "gnavi", "globalnav", "globalnavi", "lnav", "lnavi", "localnav", "sidebar",
    "cookie", "toolbar", "sharedaddy", "sitemap", "skip",
))  # fmt: skip
# Those of blocks that are no text when they are short or mostly links.
LIKELY = frozenset((
    "share", "sharing", "social", "related", "relation", "recommend", "recommended", "ranking", "rank", "side", "sub",
    "submenu", "menu", "nav", "navi", "navigation", "head", "hd", "ft", "header", "banner", "banners", "bnr", "ad",
    "ads", "advert", "advertisement", "pr", "promo", "widget", "widgets", "tag", "tags", "category", "categories",
    "archive", "archives", "calendar", "login", "search", "popular", "newentry", "latest", "prev", "next", "paging",
    "back", "campaign", "follow", "subscribe", "newsletter",
))  # fmt: skip
SHORT_LETTERS = 60
# What stands above lists of links to other pages of the site, at the beginning of a heading of at most so many letters.
OTHERS = re.compile(
    r"\W*(関連(する)?(記事|ページ|情報|リンク|コンテンツ|ニュース|商品|質問|キーワード)|(人気|最新|新着|おすすめ|オススメ|お勧め|注目|"
    r"最近|過去|ピックアップ)の?(記事|ページ|エントリー|ニュース|商品|投稿|コンテンツ|情報)|(あわせて|合わせて|こちらも)(お)?読み|"
    r"(アクセス|人気|記事|週間|月間|デイリー)*ランキング|この記事を(シェア|共有|読んだ)|シェア(する)?$|共有(する)?$|"
    r"フォローする|カテゴリー?$|カテゴリー?一覧|アーカイブ|月別|タグ(一覧|クラウド)?$|サイト内検索|サイトマップ|"
    r"related (articles?|posts?|links?)|recommended|ranking|most (read|viewed|popular)|share( this)?$|categories$|"
    r"archives?$|follow us)",
    re.IGNORECASE,
)
OTHERS_LETTERS = 24
# A trail of links: ホーム > 製品 > ポンプ
TRAIL = re.compile(r"[>›»＞≫→]")
TRAIL_LETTERS = 80
COPYRIGHT = re.compile(
    r"copyright|©|\(c\)\s*(19|20)\d\d|all rights reserved|無断(転載|複製|使用|引用)|転載(を|は)?(固く)?(禁|お断り)",
    re.IGNORECASE,
)
COPYRIGHT_LETTERS = 120


def letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def remove_boilerplate(root: Any) -> None:
    """Take out of the tree what surrounds the text."""
    whole = letters(root.text())
    _remove_named(root, whole)
    _remove_lists_of_others(root)
    _remove_menus(root)
    _remove_forms(root)


def _remove_forms(root: Any) -> None:
    """Search boxes and the like go; a form around most of the page (as ASP.NET makes) is the page."""
    whole = len(root.text())
    for form in root.css("form"):
        if len(form.text()) * 2 < whole:
            form.decompose()


def _remove_named(root: Any, whole: int) -> None:
    for node in root.css(NAMED):
        if node.mem_id == root.mem_id or node.parent is None:
            continue
        attributes = node.attributes
        name = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
        if name == " ":
            continue
        # topicPath, topic-path and topicpath are one name to their authors
        words = {word.lower() for word in WORDS.findall(name)} | set(re.split(r"[\s_-]+", name.lower()))
        sure = not words.isdisjoint(SURELY)
        if not sure and words.isdisjoint(LIKELY):
            continue
        content = node.text()
        count = letters(content)
        if node.css_first("h1") is not None or count * 3 > whole:
            continue  # it has the title, or a good part of the text, in it
        linked = sum(letters(link.text()) for link in node.css("a[href]"))
        short = count <= SHORT_LETTERS and "。" not in content and node.tag not in HEADINGS
        if sure or linked * 2 >= count or short:
            node.decompose()


def _remove_lists_of_others(root: Any) -> None:
    """A heading such as 関連記事 with the links under it."""
    for heading in root.css("h2, h3, h4, h5, h6, dt, p, div, strong"):
        if heading.parent is None:
            continue
        title = heading.text(strip=True)
        if not title or len(title) > OTHERS_LETTERS or not OTHERS.match(title):
            continue
        # The list may stand beside the heading or beside a wrapper of it alone.
        top = heading
        while top.next is None and top.parent is not None and top.parent.mem_id != root.mem_id:
            if letters(top.parent.text()) > letters(title):
                break
            top = top.parent
        following = []
        count = linked = 0
        node = top.next
        while node is not None and node.tag not in HEADINGS:
            text = node.text()
            ours = letters(text)
            theirs = ours if node.tag == "a" else sum(letters(link.text()) for link in node.css("a[href]"))
            if ours and theirs * 2 < ours:
                break
            count, linked = count + ours, linked + theirs
            following.append(node)
            node = node.next
        if linked * 2 >= count and (linked or heading.tag in HEADINGS):
            for each in (*following, top):
                if each.tag != "-text":
                    each.decompose()


def _remove_menus(root: Any) -> None:
    """Short blocks that are mostly links: menus of pages that do not mark them as such."""
    blocks: dict[int, tuple[Any, list[Any]]] = {}
    for link in root.css("a[href]"):
        block = link.parent
        while block.mem_id != root.mem_id and block.tag not in BLOCKS_OF_LINKS:
            block = block.parent
        if block.mem_id != root.mem_id:
            blocks.setdefault(block.mem_id, (block, []))[1].append(link)
    for block, links in blocks.values():
        text = block.text()
        count, linked = letters(text), sum(letters(link.text()) for link in links)
        if len(links) == 1:
            # ページの先頭へ: a link within the page, alone
            menu = (links[0].attributes.get("href") or "").startswith("#") and linked == count
        else:
            menu = linked <= MENU_LETTERS_PER_LINK * len(links) and linked >= 0.6 * count
        if menu or (count <= TRAIL_LETTERS and _is_trail(text, links)):
            block.decompose()


def _is_trail(text: str, links: list[Any]) -> bool:
    first = links[0].text(strip=True)
    return text.strip().startswith(first) and len(TRAIL.findall(text)) >= len(links) and bool(first)


def without_copyright(text: str) -> str:
    """Without short last lines that say who holds the rights; no text follows them on a page."""
    while True:
        line = text[text.rfind("\n") + 1 :]
        if not (len(line) <= COPYRIGHT_LETTERS and COPYRIGHT.search(line)):
            return text
        text = text[: -len(line)].rstrip()
