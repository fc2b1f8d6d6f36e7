from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiban.make.corpus.formats.man import plain

ReadSource = Callable[..., Any]

PAGE = r"""'\" t
.\" a comment
.TH PUMP 1 "2024-04-01" "Shiomi" "利用者の手引き"
.de Xx
not shown
..
.SH 名前
pump \- ポンプを
動かす
.SH 書式
.B pump
.RI [ options ]
.IR file \ ...
.SH 説明
最初の段落は
折り返されている。
Latin words
are wrapped.
.PP
.BR \-v ", " \-\-verbose
を指定すると\fB詳しく\fP表示する \(aqx\(aq \[u2192] C:\ee.
.TP
.B \-h
使い方を示す。
.IP \(bu 2
項目
.nf
  $ pump  \-v
  done
.fi
.TS
tab(:);
l l.
型番:揚程
SP\-100:T{
30 m
以上
T}
.TE
"""
MDOC = r""".Dd April 1, 2024
.Dt PUMP 1
.Os
.Sh NAME
.Nm pump
.Nd move water
.Sh SYNOPSIS
.Nm
.Op Fl v
.Op Fl o Ar file
.Sh DESCRIPTION
See
.Xr valve 8 ,
or
.Dq the manual .
.Bl -tag
.It Fl v
verbose
.El
"""


def test_a_manual_page_is_its_text(read_source: ReadSource, tmp_path: Path) -> None:
    (tmp_path / "pump.1").write_text(PAGE)
    (tmp_path / "euc.8.gz").write_bytes(gzip.compress(PAGE.replace("→", "").encode("euc_jp")))
    (tmp_path / "mdoc.man").write_text(MDOC)
    (tmp_path / "syslog.2").write_text("Apr  1 12:00:00 host app: not a page\n")
    expected = (
        "名前\n\npump - ポンプを動かす\n\n書式\n\npump [options] file\u00a0...\n\n説明\n\n"
        "最初の段落は折り返されている。Latin words are wrapped.\n\n"
        "-v, --verboseを指定すると詳しく表示する 'x' → C:\\e.\n\n-h\n使い方を示す。\n\n•\n項目\n\n"
        "  $ pump  -v\n  done\n\n型番 | 揚程\nSP-100 | 30 m 以上"
    )
    read = read_source("*.*")
    assert read.texts["pump.1"] == expected
    assert read.texts["euc.8.gz"] == expected
    assert read.texts["mdoc.man"] == (
        "NAME\n\npump - move water\n\nSYNOPSIS\n\npump [-v] [-o file]\n\nDESCRIPTION\n\n"
        "See valve(8), or “the manual”.\n\n-v\nverbose"
    )
    assert read.files == {"syslog.2": "unsupported"}
    assert read.notes["euc.8.gz"].encoding == "euc_jp"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"a\fBb\fR\f[CW]c\f(CWd", "abcd"),
        (r"\s-2x\s+2y\s0", "xy"),
        (r"\*(lq\*R\(co\[em]", "“®©—"),
        (r"a\&b\|c\ d\~e\0f", "abc d\u00a0e f"),
        (r"1\h'2m'2\v'1'3", "123"),
        (r"end\" comment", "end"),
        (r"\N'65'\[uFFFFFF]\[unknown]\(zz", "A"),
        ("\\", ""),
    ],
)
def test_escapes(source: str, text: str) -> None:
    assert plain(source) == text
