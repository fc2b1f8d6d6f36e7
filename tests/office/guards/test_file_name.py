"""Names that stay safe, and headers that carry them."""

from __future__ import annotations

from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.office.guards.file_name import MAX_NAME_BYTES, content_disposition, extension, safe_file_name

NAMES = st.text(st.characters() | st.sampled_from('\u202e\u200b\x00\r\n/\\."; %:か\u3099Cc0Oo1Nn'), max_size=300)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("計画書.docx", "計画書.docx"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\案.pdf", "案.pdf"),
        ("report\u202efdp.exe", "reportfdp.exe"),
        ("か\u3099.txt", "が.txt"),
        (".htaccess", "htaccess"),
        (".pdf", "file.pdf"),
        ("pdf", "pdf"),
        (" .PDF ", "file.PDF"),
        ("con.txt", "_con.txt"),
        ("COM1", "_COM1"),
        ("console.txt", "console.txt"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie_ x"),
        ("folder/", "folder"),
        ("", "file"),
        ("...", "file"),
        ("案.pdf. . ", "案.pdf"),
        ("辻󠄀.txt", "辻󠄀.txt"),  # with a variation selector
    ],
)
def test_known_names(given_name: str, expected: str) -> None:
    assert safe_file_name(given_name) == expected


def test_a_long_name_keeps_its_extension_and_whole_characters() -> None:
    name = safe_file_name("計" * 300 + ".docx")
    assert name.endswith("計.docx")
    assert MAX_NAME_BYTES - 3 < len(name.encode()) <= MAX_NAME_BYTES


@given(NAMES)
def test_a_safe_name_is_its_own_safe_name(name: str) -> None:
    safe = safe_file_name(name)
    assert safe_file_name(safe) == safe
    assert 0 < len(safe.encode()) <= MAX_NAME_BYTES
    assert not set(safe) & set('/\\\x00\r\n:"\u202e')
    assert not safe.startswith(".")


@given(NAMES)
def test_a_header_is_one_line_and_gives_the_name_back(name: str) -> None:
    header = content_disposition(name)
    assert header.isascii()
    assert header.isprintable()
    assert unquote(header.partition("filename*=UTF-8''")[2]) == safe_file_name(name)
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"


def test_extension() -> None:
    assert (extension("a.PDF"), extension("a.tar.gz"), extension("a"), extension(".profile")) == ("pdf", "gz", "", "")
