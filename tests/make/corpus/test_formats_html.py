from __future__ import annotations

import time
from typing import Any

import pytest

from kiban.make.corpus.edits import Anchor
from kiban.make.corpus.formats.events import Notes
from kiban.make.corpus.formats.html import page_text

TEXT = "ポンプの点検は、毎月一回、係の者が行うことになっています。結果は台帳に書いてください。"
LINKS = "".join(f'<li><a href="/{n}">{title}</a></li>' for n, title in enumerate(("新しい工場", "採用情報", "催し")))
LONG = "".join(f'<li><a href="/{n}">第{n}回 ポンプの選び方と使い方を考える会が開かれました</a></li>' for n in range(4))


def text(page: str, **options: Any) -> str:
    return page_text(page.encode(), None, Notes(), **options).text


@pytest.mark.parametrize(
    "surrounding",
    [
        '<div class="breadcrumb"><a href="/">トップ</a> &gt; 点検について</div>',
        '<div><a href="/">ホーム</a> &gt; <a href="/p">くらしの情報</a> &gt; 水道の点検について</div>',
        '<ol class="c-topicPath"><li><a href="/">ホーム</a></li><li>点検についての長い題名のついたページ</li></ol>',
        '<ul class="sns-share"><li><a href="#t">ツイート</a></li><li>シェアする</li></ul>',
        f"<h2>関連記事</h2><ul>{LONG}</ul>",
        f'<div class="related"><div class="title"><h3>あわせて読みたい</h3></div><ul>{LONG}</ul></div>',
        f"<div><p>アクセスランキング</p><ol>{LONG}</ol></div>",
        f'<div id="side"><ul>{LINKS}</ul></div>',
        '<p><a href="#top">このページの先頭へ</a></p>',
        '<div id="footer"><p>汐見製作所 汐見市中央一丁目</p><ul><li><a href="/c">会社概要</a></li></ul></div>',
        "<p>Copyright © 2024 Shiomi Works. All Rights Reserved. 無断転載を禁じます。</p>",
        '<div class="pager"><a href="/1">前へ</a> 2 / 5 <a href="/3">次へ</a></div>',
        f"<nav>{LONG}</nav>",
    ],
)
def test_what_surrounds_the_text_goes(surrounding: str) -> None:
    page = f"<body><div><h1>点検について</h1><p>{TEXT}</p><p>{TEXT}</p></div>{surrounding}</body>"
    assert text(page) == f"点検について\n\n{TEXT}\n\n{TEXT}"


@pytest.mark.parametrize(
    "block",
    [
        f'<div class="menu"><p>{TEXT}</p></div>',  # a name that lies
        f'<div class="related"><p>{TEXT}<a href="/x">台帳</a>{TEXT}</p></div>',
        f"<h2>関連記事について</h2><p>{TEXT}</p>",
        '<p>詳しくは<a href="/x">取扱説明書</a>と<a href="/y">台帳</a>をご覧ください。</p>',
        '<p>温度 &gt; 圧力 &gt; <a href="/f">流量</a>の順に測る。</p>',
        "<p>著作権(Copyright)についての本文です。</p><p>終わり</p>",
        f"<ul>{LONG}</ul>",
    ],
)
def test_text_that_looks_like_it_stays(block: str) -> None:
    plain = text(f"<body>{block}</body>")
    page = text(f"<body><h1>題</h1><p>{TEXT}</p><div>{block}</div><p>{TEXT * 2}</p></body>")
    assert len(plain) > 10
    assert page == f"題\n\n{TEXT}\n\n{plain}\n\n{TEXT * 2}"


def test_the_only_article_is_the_page_when_it_is_most_of_it() -> None:
    assert text(f"<body><p>外側の話</p><article><p>{TEXT}</p></article></body>") == TEXT
    both = text(f"<body><p>{TEXT}</p><article><p>小さな囲み</p></article></body>")
    assert both == f"{TEXT}\n\n小さな囲み"


def test_headings_with_ids_are_anchors() -> None:
    body = page_text(
        '<h1 id="top">題</h1><p>文</p><h2><a name="old"></a>二</h2><h2>無名</h2>'
        '<table><tr><td><h3 id="cell">欄</h3></td></tr></table><h2 id="gone"></h2>'.encode(),
        None,
        Notes(),
    )
    assert body.anchors == tuple(
        Anchor(body.text.index(heading), label) for heading, label in (("題", "#top"), ("二", "#old"), ("欄", "#cell"))
    )


def test_readings_are_kept_in_brackets_when_asked_for() -> None:
    page = "<p><ruby>汐<rp>(</rp><rt>しお</rt><rp>)</rp>見<rt>み</rt></ruby>製作所<ruby>一<rt></rt></ruby></p>"
    assert text(page) == "汐見製作所一"
    assert text(page, ruby="keep") == "汐(しお)見(み)製作所一"


def test_the_server_is_believed_before_the_page() -> None:
    page = '<meta charset="utf-8"><p>点検の結果</p>'.encode("euc_jp")
    assert page_text(page, None, Notes(), charset="EUC-JP").text == "点検の結果"


@pytest.mark.parametrize(
    "piece", ['<div class="share"><a href="/">a</a></div>', "<h2>関連記事</h2>", "<p><a href=x>a</a> &gt; ", "©<br>"]
)
def test_hostile_pages_take_no_quadratic_time(piece: str) -> None:
    def seconds(count: int) -> float:
        page = piece * count
        started = time.process_time()
        text(page)
        return time.process_time() - started

    small, large = seconds(500), seconds(4000)
    assert large < 40 * small + 0.5  # quadratic would be 64 times
