from __future__ import annotations

from collections.abc import Callable
from email.header import Header
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any

import pytest

ReadSource = Callable[..., Any]


def test_a_message_is_its_text_with_headers_as_fields(read_source: ReadSource, tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"] = "ポンプ点検の件(第３回)"
    message["From"] = "汐見 太郎 <taro@example.co.jp>"
    message["Date"] = "Tue, 02 Apr 2024 10:12:34 +0900"
    message.set_content(
        "お世話になっております。\n> 引用です\n承知しました。\n-- \n汐見 太郎\n", charset="iso-2022-jp", cte="7bit"
    )
    message.add_alternative("<p>お世話になっております</p>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="報告書.pdf")
    (tmp_path / "a.eml").write_bytes(message.as_bytes())
    read = read_source("a.eml")
    record = read.records["a.eml"]
    assert record.text == "お世話になっております。\n> 引用です\n承知しました。"
    assert record.fields == {
        "subject": "ポンプ点検の件(第３回)",
        "from": "汐見 太郎 <taro@example.co.jp>",
        "date": "2024-04-02T10:12:34+09:00",
        "attachments": "報告書.pdf",
    }
    assert read.notes["a.eml"].passed_over == {"attachment": 1}


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        (Header("会議のお知らせ" * 12, "iso-2022-jp").encode().encode(), "会議のお知らせ" * 12),
        (b"=?Shift_JIS?B?h0CJ74tj?=", "①会議"),  # what Windows calls Shift_JIS
        ("会議".encode("iso2022_jp"), "会議"),  # not encoded at all
        ("会議の件につきまして".encode("cp932"), "会議の件につきまして"),
        (b"=?utf-8?Q?a?= b", "a b"),
        (b"=?x-unknown?B?YWJj?=", "abc"),
        (b"=?utf-8?B?=E3=?=", "=?utf-8?B?=E3=?="),
    ],
)
def test_subjects_as_programs_write_them(read_source: ReadSource, tmp_path: Path, raw: bytes, subject: str) -> None:
    (tmp_path / "a.eml").write_bytes(b"Subject: " + raw + b"\n\ntext\n")
    record = read_source("a.eml").records["a.eml"]
    assert (record.fields["subject"], record.text) == (subject, "text")


def test_microsofts_iso_2022_jp_has_circled_numbers_and_half_width_katakana(
    read_source: ReadSource, tmp_path: Path
) -> None:
    body = b"\x1b$B-!$NItIJ\x1b(B No.2\r\n\x1b(I6E\x1b(B end\r\n\x1b$B=*\r\n"  # the last line forgets to return
    head = b"Content-Type: text/plain; charset=ISO-2022-JP\r\n\r\n"
    (tmp_path / "a.eml").write_bytes(head + body)
    assert read_source("a.eml").texts == {"a.eml": "①の部品 No.2\nｶﾅ".replace("ﾅ", "\uff85") + " end\n終"}


def test_html_mail_goes_through_the_reader_of_pages(read_source: ReadSource, tmp_path: Path) -> None:
    message = MIMEMultipart("alternative")
    message.attach(MIMEText(" \n", "plain", "utf-8"))
    message.attach(MIMEText("<p>本文<script>1</script></p><p>二つ目</p>", "html", "utf-8"))
    (tmp_path / "a.eml").write_bytes(message.as_bytes())
    assert read_source("a.eml").texts == {"a.eml": "本文\n\n二つ目"}


def test_flowed_lines_are_joined(read_source: ReadSource, tmp_path: Path) -> None:
    text = "これは長い \n文章です。\nEnglish words \nare wrapped.\n> quoted \nno more\n"
    head = b"Content-Type: text/plain; charset=utf-8; format=flowed\nContent-Transfer-Encoding: 8bit\n\n"
    (tmp_path / "a.eml").write_bytes(head + text.encode())
    expected = "これは長い文章です。\nEnglish words are wrapped.\n> quoted\nno more"
    assert read_source("a.eml").texts == {"a.eml": expected}


def test_messages_of_a_mailbox_are_documents(read_source: ReadSource, tmp_path: Path) -> None:
    box = (
        "From - Tue Apr 02 10:12:34 2024\nSubject: one\n\n一通目\n\nFrom now on this is text.\n>From here too\n\n"
        "From taro@example.com Tue Apr  2 10:12:35 2024\nSubject: two\nContent-Type: text/plain; charset=utf-8\n\n"
        + "長" * 900
        + "\n\nFrom taro@example.com Tue Apr  2 10:12:36 2024\nSubject: three\n\n三通目\n"
    )
    (tmp_path / "list.mbox").write_text(box)
    read = read_source("list.mbox", limit=2000)
    assert read.texts == {"list.mbox:1": "一通目\n\nFrom now on this is text.\nFrom here too", "list.mbox:3": "三通目"}
    assert read.broken == {"list.mbox:2": "too_long"}
    assert [record.fields["subject"] for record in read.records.values()] == ["one", "three"]
    (tmp_path / "no.mbox").write_text("this is no mailbox\n")
    assert read_source("no.mbox").files == {"no.mbox": "damaged"}


def test_a_message_that_breaks_its_reader_costs_itself_only(read_source: ReadSource, tmp_path: Path) -> None:
    nested = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(1200))
    parts = ["Subject: a\n\nfirst\n", f"Subject: bomb\n{nested}\n", "Subject: c\n\nlast\n"]
    (tmp_path / "in.mbox").write_text("".join(f"From a Tue Apr  2 10:12:34 2024\n{part}\n" for part in parts))
    read = read_source("in.mbox")
    assert read.texts == {"in.mbox:1": "first", "in.mbox:3": "last"}
    assert read.broken == {"in.mbox:2": "crashed"}
    assert "RecursionError" in read.details["in.mbox:2"]
