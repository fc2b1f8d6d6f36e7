"""Text from people: names as they write them, and nothing a database or a header would choke on."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.office.errors import Invalid
from kiban.office.guards.text import clean_line, clean_text, corporate_number, normalise_email, orcid


def line(text: str, max_chars: int = 1000) -> str:
    return clean_line(text, max_chars=max_chars, where="name", required=False)


@pytest.mark.parametrize("name", ["塚本", "髙橋", "﨑山", "神谷", "辻󠄀", "葛󠄁城", "渡邉"])
def test_names_keep_their_own_characters(name: str) -> None:
    assert line(name) == name


def test_why_plain_nfc_would_not_do() -> None:
    assert unicodedata.normalize("NFC", "\ufa10本") == "塚本" != "\ufa10本" == line("\ufa10本")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("か\u3099く", "がく"),
        ("  a \t b\n", "a b"),
        ("山田\u3000太郎", "山田\u3000太郎"),
        ("a\x07b\x1b[31m", "ab[31m"),
        ("a\u202eb", "ab"),
        ("a\r\nBcc: x", "a Bcc: x"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
    ],
)
def test_lines(text: str, expected: str) -> None:
    assert line(text) == expected


def test_texts_keep_their_lines() -> None:
    assert clean_text("\n一\r\n\t二 \v三\r", max_chars=20, where="abstract") == "一\n\t二\n三"


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", ""])
def test_what_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        clean_line(text, max_chars=10, where="title")
    assert caught.value.where == "title"


def test_length_is_counted_in_characters() -> None:
    assert line("語" * 10, 10) == "語" * 10
    with pytest.raises(Invalid, match="11 characters"):
        line("語" * 11, 10)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert line(line(text)) == line(text)
    paragraphs = clean_text(text, max_chars=1000, where="x", required=False)
    assert clean_text(paragraphs, max_chars=1000, where="x", required=False) == paragraphs
    assert not set(line(text)) & set("\n\r\t\x1b\x85\u2028\u202e")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hanako@Example.CO.JP", "hanako@example.co.jp"),
        (" ｈａｎａ＠ｅｘａｍｐｌｅ．ｊｐ ", "hana@example.jp"),
        ("a+b@日本語.jp", "a+b@xn--wgv71a119e.jp"),
    ],
)
def test_addresses(text: str, expected: str) -> None:
    assert normalise_email(text) == expected
    assert normalise_email(expected) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a", "a@b", "a@example.jp\nBcc: x@y.jp", "a@b.jp,c@d.jp", "A <a@b.jp>", "a..b@c.jp", ".a@b.jp", '"a b"@c.jp',
     "a@[127.0.0.1]", "a@127.0.0.1", "a@-b.jp", "a@b..jp", "花子@example.jp", "a" * 65 + "@b.jp",
     "a@" + "b." * 130 + "jp",
     "a@b.jp\x00", "a@b.jp\u202e", "a@b_c.jp", "a\u200b@b.jp"],
)  # fmt: skip
def test_no_addresses(text: str) -> None:
    with pytest.raises(Invalid):
        normalise_email(text)


# The National Tax Agency, the Digital Agency, the Ministry of Economy, Trade and Industry.
@pytest.mark.parametrize("number", ["7000012050002", "8000012010038", "4000012090001"])
def test_corporate_numbers(number: str) -> None:
    assert corporate_number(number) == number
    assert corporate_number(f" {number[0]}-{number[1:5]}-{number[5:9]}-{number[9:]} ") == number


@given(st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_is_noticed_unless_nine_and_nought_change_places(position: int, change: int) -> None:
    number = "7000012050002"
    digit = (int(number[position]) + change) % 10
    wrong = number[:position] + str(digit) + number[position + 1 :]
    if position and {digit, int(number[position])} == {0, 9}:
        assert corporate_number(wrong) == wrong  # the scheme is modulo 9
    else:
        with pytest.raises(Invalid):
            corporate_number(wrong)


@pytest.mark.parametrize("text", ["", "700001205000", "70000120500022", "x000012050002"])
def test_no_corporate_numbers(text: str) -> None:
    with pytest.raises(Invalid, match="13 digits"):
        corporate_number(text)


@pytest.mark.parametrize(
    "given_id", ["0000-0002-1825-0097", "0000000218250097", "https://orcid.org/0000-0002-1825-0097"]
)
def test_orcid(given_id: str) -> None:
    assert orcid(given_id) == "0000-0002-1825-0097"


def test_orcid_with_an_x() -> None:
    assert orcid("0000-0002-1694-233x") == "0000-0002-1694-233X"


@given(st.integers(0, 15), st.integers(1, 9))
def test_one_wrong_digit_of_an_orcid_is_noticed(position: int, change: int) -> None:
    digits = "0000000218250097"
    wrong = digits[:position] + str((int(digits[position]) + change) % 10) + digits[position + 1 :]
    with pytest.raises(Invalid):
        orcid(wrong)


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("\u2067אבג\u2069 と", "\u2067אבג\u2069 と"),
        ("開いたまま\u2067", "開いたまま"),
        ("\u2069終わりだけ", "終わりだけ"),
        ("\u2066a\u2067b\u2069", "a\u2067b\u2069"),
        ("\u2067一行目\n二行目\u2069", "一行目\n二行目"),
    ],
)
def test_isolates_stay_where_their_line_closes_them(given_text: str, expected: str) -> None:
    assert clean_text(given_text, max_chars=100, where="text") == expected
    assert clean_text(expected, max_chars=100, where="text") == expected
