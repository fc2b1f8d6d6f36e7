"""Japanese-like texts for the tests of quality, made up here."""

from __future__ import annotations

import random

from hypothesis import strategies as st

PROSE = (
    "潮見ヶ丘ポンプ製作所は、港に近い工業団地の一角にある。創業者の谷口は、戦後まもなく中古の旋盤一台で仕事を始めた。"
    "最初の注文は、隣町の製氷会社から来た小さな循環ポンプの修理だったという。部品が手に入らず、彼は三日かけて羽根車を"
    "自分で削り出した。その羽根車は、今も玄関のガラス棚に飾られている。\n"
    "工場を訪ねると、まず機械油の匂いがする。案内してくれた若い技術者は、耳当てを外しながら笑った。"
    "「慣れると、この音で調子がわかるんです」と彼女は言う。軸受けが傷み始めると、低い音に細かな震えが混じるらしい。"
    "それを聞き分けられるようになるまで、五年はかかったそうだ。\n"
    "会社がいま力を入れているのは、農業用水の無人管理である。水位計と弁を遠くから見守り、雨の予報に合わせて開け閉めする。"
    "高齢になった水番の仕事を軽くしたい、というのが出発点だった。試験を引き受けた集落では、夜中の見回りが月に二度で"
    "済むようになった。ただし、雷の後には必ず誰かが様子を見に行く。機械を信じすぎないこと、それも先代の教えなのだ。\n"
    "昼休みになると、社員食堂の窓から港が見える。貨物船が一隻、ゆっくりと沖へ出ていくところだった。"
    "谷口の孫にあたる現在の社長は、カレーを食べながら来年の計画を話してくれた。海外の展示会に出ること、"
    "新しい試験棟を建てること、そして何より、若い人が長く働ける会社にすること。どれも急がない、と彼は付け加えた。"
    "ポンプは止まらないことが一番の性能で、会社も同じだと考えているからである。\n"
)
ENGLISH = (
    "The pump works stands at the edge of the harbour. Its founder began after the war with one second-hand lathe and "
    "a promise to repair whatever was brought to him. The first order came from an ice factory in the next town. "
    "Parts could not be had, so he spent three days cutting an impeller by hand, and that impeller is still kept in "
    "a glass case near the entrance. Visitors notice the smell of machine oil first. A young engineer took off her ear "
    "protection and laughed: after a while, she said, you can hear how a bearing feels. It took her five years to "
    "learn the difference between a low note and a low note with a faint tremble in it.\n"
)

ALPHABET = "あいうのはがをたアイン・ー漢字水車々、。．！？!?…\n\n  \u3000abXY-12,.()話年月日𠮷🍣\ufffd"
japanese_like = st.text(st.sampled_from(ALPHABET), max_size=200)


def repetitive(rng: random.Random, letters: int) -> str:
    """Japanese-like text with sentences, lines and passages that come back."""
    parts = ["".join(rng.choices(ALPHABET, k=rng.randint(1, 30))) for _ in range(12)]
    text = ""
    while len(text) < letters:
        text += rng.choice(parts) + rng.choice(["", "。", "\n", rng.choice(ALPHABET)])
    return text[:letters]


def varied(number: int, seed: int = 5) -> list[str]:
    """Texts of all kinds and lengths, some of them near the limits of rules."""
    rng = random.Random(seed)
    lines = PROSE.splitlines() + ENGLISH.splitlines()
    pieces = [
        "……",
        "...",
        "コメント",
        "SOLD OUT",
        "(月)",
        "2020-1-10話",
        "2021年 3月 4日",
        "-",
        "第12話",
        "質問",
        "レビュー",
    ]
    pieces += [
        "お問い合わせください",
        "営業時間",
        "楽天市場",
        "・",
        "# ",
        "- ",
        "★",
        "🍣",
        "http://example.com/a?b=c",
        "ﾊﾝｶｸ",
    ]
    texts = [
        "",
        " ",
        "\n",
        "あ",
        "。",
        "…\n",
        "IS",
        "漢" * 250,
        "っ" * 199 + "た",
        "ー" * 200,
        "1" * 300 + "話",
        "\n" * 30,
    ]
    while len(texts) < number:
        kind = rng.randrange(6)
        if kind == 0:
            text = "\n".join(rng.sample(lines, rng.randint(1, len(lines))))
        elif kind == 1:
            text = repetitive(rng, rng.randint(1, 1500))
        elif kind == 2:
            text = "".join(rng.choices(pieces, k=rng.randint(1, 40)))
        elif kind == 3:
            text = PROSE[: rng.randint(20, len(PROSE))] + rng.choice(pieces) * rng.randint(1, 60)
        elif kind == 4:
            text = "\n".join(rng.choice(lines)[: rng.randint(3, 40)] + rng.choice(pieces) for _ in range(40))
        else:
            text = PROSE * rng.randint(1, 3) + repetitive(rng, rng.randint(1, 400)) + ENGLISH * rng.randint(0, 2)
        texts.append(text)
    return texts[:number]
