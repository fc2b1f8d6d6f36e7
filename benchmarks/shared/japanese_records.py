"""Made-up Japanese documents with every piece of personal data in them labelled: what finders of it are measured on.

Two sets of templates, `dev` and `test`, have different wording, layouts and people, and share only how the values are
made. Rules are tuned on `dev`; `test` is for measuring. The values are made here, by published rules where they have
check digits, and independently of kiban's own code. Nobody's data is in them: names are drawn from lists of common and
less common ones, numbers from a seeded generator.
"""

# ruff: noqa: E501

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from dataclasses import dataclass

from shared.japanese_templates import DEV, DEV_PEOPLE, TEST, TEST_PEOPLE, TOWNS

SLOT = re.compile(r"\{(\w+)\}")
FULL_WIDTH = str.maketrans(string.digits + string.ascii_letters + "-()@.+", "０１２３４５６７８９"
                           + "".join(chr(ord(each) + 0xFEE0) for each in string.ascii_letters) + "－（）＠．＋")  # fmt: skip
HYPHENS = "-" * 12 + "‐－ー−–"
KANJI_DIGITS = "〇一二三四五六七八九"


@dataclass(frozen=True)
class Entity:
    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Record:
    """`neutral`: spans of e-mail and IP addresses that belong to nobody (example.com, 192.0.2.1); no finder is judged
    by them."""

    text: str
    entities: tuple[Entity, ...]
    neutral: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Person:
    surname: str
    given: str
    surname_kana: str
    given_kana: str


def records(which: str, count: int, seed: int) -> list[Record]:
    """`count` documents of the template set `which`, "dev" or "test"; the same for the same seed."""
    templates, people = {"dev": (DEV, DEV_PEOPLE), "test": (TEST, TEST_PEOPLE)}[which]
    rng = random.Random(f"{which} {seed}")
    return [_fill(templates[number % len(templates)], _Values(rng, people)) for number in range(count)]


def _fill(template: str, values: _Values) -> Record:
    parts: list[str] = []
    entities: list[Entity] = []
    neutral: list[tuple[int, int]] = []
    position = done = 0
    for slot in SLOT.finditer(template):
        before = template[done : slot.start()]
        value, kind = values.of(slot[1])
        position += len(before)
        if kind:
            entities.append(Entity(position, position + len(value), kind))
        elif slot[1] in ("docmail", "docip"):
            neutral.append((position, position + len(value)))
        parts += (before, value)
        position += len(value)
        done = slot.end()
    parts.append(template[done:])
    return Record("".join(parts), tuple(entities), tuple(neutral))


class _Values:
    """What goes into the slots of one document: person 1 and 2 are the same throughout it."""

    def __init__(self, rng: random.Random, people: tuple[str, str]) -> None:
        self.rng = rng
        surnames, given = ([each.split(":") for each in names.split()] for names in people)
        self.people = []
        for _ in range(4):
            (surname, surname_kana), (name, name_kana) = rng.choice(surnames), rng.choice(given)
            self.people.append(Person(surname, name, surname_kana, name_kana))
        # A document is written by one hand: one width and one kind of hyphen.
        self.wide = rng.random() < 0.15
        self.hyphen = rng.choice(HYPHENS)

    def of(self, slot: str) -> tuple[str, str | None]:
        """The value for a slot and its kind, None for what is no personal data."""
        name = slot.rstrip("1234")
        if name in NAMES:
            person = self.people[int(slot[len(name) :] or 1) - 1]
            return NAMES[name](person), "person_name"
        if name in PERSONAL:
            kind, make = PERSONAL[name]
            return make(self), kind
        return NEGATIVES[name](self), None

    def digits(self, count: int) -> str:
        return "".join(self.rng.choices(string.digits, k=count))

    def drawn(self, value: str) -> str:
        """In the document's width and hyphens."""
        value = value.replace("-", self.hyphen)
        return value.translate(FULL_WIDTH) if self.wide else value

    def choose(self, *options: str) -> str:
        return self.rng.choice(options)


NAMES: dict[str, Callable[[Person], str]] = {
    "name": lambda person: person.surname + person.given,
    "spaced": lambda person: f"{person.surname} {person.given}",
    "widespaced": lambda person: f"{person.surname}\u3000{person.given}",
    "surname": lambda person: person.surname,
    "kana": lambda person: person.surname_kana + person.given_kana,
    "kanaspaced": lambda person: f"{person.surname_kana} {person.given_kana}",
    "katakana": lambda person: _katakana(f"{person.surname_kana} {person.given_kana}"),
}


def _katakana(hiragana: str) -> str:
    return "".join(chr(ord(each) + 96) if "ぁ" <= each <= "ゖ" else each for each in hiragana)


SYLLABLES = "ka ki ku ke ko sa shi su ta chi to na ni no ha hi ma mi mo ya yu ra ri ru"


def _word(values: _Values) -> str:
    return "".join(values.rng.choices(SYLLABLES.split(), k=values.rng.randint(2, 4)))


def _email(values: _Values) -> str:
    local = _word(values) + values.choose("", "", f".{_word(values)}", f"_{values.digits(2)}", f"+{_word(values)}")
    domain = _word(values) + values.choose("-tech", "", "sangyo")
    address = f"{local}@{domain}{values.choose('.co.jp', '.ne.jp', '.com', '.jp', '.ac.jp', '.go.jp', '.io')}"
    return address.translate(FULL_WIDTH) if values.wide else address


def _phone(values: _Values) -> str:
    rng = values.rng
    style = rng.randrange(9)
    four, other = values.digits(4), f"{rng.randint(2, 9)}{values.digits(3)}"
    if style == 0:
        number = f"{values.choose('03', '06')}-{other}-{four}"
    elif style == 1:
        number = f"{values.choose('045', '052', '011', '092', '075', '022')}-{other[:3]}-{four}"
    elif style == 2:
        number = f"{values.choose('0422', '0466', '0798', '0263')}-{other[:2]}-{four}"
    elif style in (3, 4):
        number = f"{values.choose('090', '080', '070', '050')}-{other}-{four}"
    elif style == 5:
        number = values.choose(
            f"0120-{other[:3]}-{four[:3]}", f"0800-{other[:3]}-{four}", f"0570-{other[:3]}-{four[:3]}"
        )
    elif style == 6:
        number = values.choose(f"({values.choose('03', '06')}){other}-{four}", f"03({other}){four}",
                               f"045 ({other[:3]}) {four}")  # fmt: skip
    elif style == 7:
        rest = values.choose(f"3-{other}-{four}", f"90-{other}-{four}", f"80-{other}-{four}", f"45-{other[:3]}-{four}")
        number = "+81-" + rest if rng.random() < 0.6 else "+81 " + rest.replace("-", " ")
    else:
        number = values.choose(f"090{other}{four}", f"080{other}{four}", f"03 {other} {four}", f"090 {other} {four}")
    return values.drawn(number)


def _landline(values: _Values) -> str:
    return values.digits(0) + f"03{values.rng.randint(3, 6)}{values.digits(7)}"


def _mod11(digits: str, weights: list[int]) -> int:
    remainder = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11
    return 0 if remainder <= 1 else 11 - remainder


def _my_number(values: _Values) -> str:
    body = values.digits(11)
    number = body + str(_mod11(body, [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]))
    if values.rng.random() < 0.5:
        number = values.choose("-", " ").join((number[:4], number[4:8], number[8:]))
    return values.drawn(number)


def _corporate(values: _Values) -> str:
    body = str(values.rng.randint(1, 9)) + values.digits(11)
    total = sum(int(digit) * (1 if place % 2 == 0 else 2) for place, digit in enumerate(reversed(body)))
    number = f"{9 - total % 9}{body}"
    return values.drawn(number)


def _card(values: _Values) -> str:
    prefix, length = values.rng.choice([("4", 16), ("51", 16), ("55", 16), ("3528", 16), ("3588", 16), ("37", 15),
                                        ("2300", 16), ("36", 14)])  # fmt: skip
    body = prefix + values.digits(length - 1 - len(prefix))
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body))]
    number = body + str(-sum(each // 10 + each % 10 for each in doubled) % 10)
    cuts = {16: (4, 8, 12), 15: (4, 10), 14: (4, 10)}[length]
    if values.rng.random() < 0.7:
        ends = (*cuts, length)
        number = values.choose("-", " ").join(number[a:b] for a, b in zip((0, *cuts), ends, strict=True))
    return values.drawn(number)


def _passport(values: _Values) -> str:
    return values.drawn(values.choose("TK", "TR", "MZ", "TZ", "TS", "MU") + values.digits(7))


def _residence(values: _Values) -> str:
    letters = values.rng.choices(string.ascii_uppercase, k=4)
    return values.drawn(f"{letters[0]}{letters[1]}{values.digits(8)}{letters[2]}{letters[3]}")


def _licence(values: _Values) -> str:
    office = values.choose("10", "22", "30", "43", "45", "54", "62", "63", "90", "97")
    body = office + f"{values.rng.choice([85, 91, 99, 3, 8, 15, 21]):02d}" + values.digits(6)
    total = sum(int(digit) * weight for digit, weight in zip(body, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=True))
    return values.drawn(f"{body}{(11 - total % 11) % 10}{values.choose('0', '0', '1', '2')}")


def _account(values: _Values) -> str:
    return values.drawn(values.digits(7))


def _post_account(values: _Values) -> str:
    return values.drawn(f"1{values.digits(3)}0-{values.rng.randint(1, 9)}{values.digits(6)}1")


def _zip(values: _Values) -> str:
    return values.drawn(f"{values.rng.randint(1, 9)}{values.digits(2)}-{values.digits(4)}")


def _kanji_number(number: int) -> str:
    tens, ones = divmod(number, 10)
    return ("" if tens == 0 else "十" if tens == 1 else KANJI_DIGITS[tens] + "十") + (
        KANJI_DIGITS[ones] if ones else ""
    )


def _address(values: _Values) -> str:
    rng = values.rng
    place = rng.choice(TOWNS.split())
    if rng.random() < 0.2 and place[2:4] != "道":
        place = re.sub("^(東京都|北海道|(大阪|京都)府|.{2,3}県)", "", place)
    chome, lot, house = rng.randint(1, 9), rng.randint(1, 40), rng.randint(1, 30)
    style = rng.randrange(6)
    if style <= 1:
        numbers = values.drawn(f"{chome}-{lot}-{house}")
    elif style == 2:
        numbers = values.drawn(f"{chome}丁目{lot}番{house}号")
    elif style == 3:
        numbers = f"{_kanji_number(chome)}丁目{_kanji_number(lot)}番{_kanji_number(house)}号"
    elif style == 4:
        numbers = values.drawn(values.choose(f"{lot * 37}番地", f"{lot * 37}番地{house}", f"{lot}番地の{house}"))
    else:
        numbers = f"{_kanji_number(chome)}丁目" + values.drawn(f"{lot}-{house}")
    building = ""
    if rng.random() < 0.4:
        name = values.choose("コーポ青葉", "メゾン桜", "サンハイツ", "グランドビル", "パークマンション", "第二田村ビル")
        building = values.choose(" ", "\u3000", "") + name
        building += values.choose(values.drawn(f"{rng.randint(1, 9)}0{rng.randint(1, 9)}号室"), values.drawn(f" {rng.randint(2, 9)}F"),
                                  values.drawn(f"{rng.randint(1, 9)}0{rng.randint(1, 9)}"), f"{rng.randint(2, 12)}階")  # fmt: skip
    return place + numbers + building


def _birth(values: _Values) -> str:
    year, month, day = values.rng.randint(1950, 2010), values.rng.randint(1, 12), values.rng.randint(1, 28)
    era, first = ("昭和", 1926) if year < 1989 else ("平成", 1989)
    letter = {"昭和": "S", "平成": "H"}[era]
    return values.drawn(
        values.choose(f"{year}年{month}月{day}日", f"{era}{year - first + 1}年{month}月{day}日", f"{year}/{month:02d}/{day:02d}",
                      f"{year}.{month}.{day}", f"{letter}{year - first + 1}.{month}.{day}", f"{year}年 {month}月 {day}日")
    )  # fmt: skip


def _iso_birth(values: _Values) -> str:
    return f"{values.rng.randint(1950, 2010)}-{values.rng.randint(1, 12):02d}-{values.rng.randint(1, 28):02d}"


def _ip(values: _Values) -> str:
    rng = values.rng
    if rng.random() < 0.2:
        return f"2400:{rng.randrange(0x4000, 0x4FFF):x}:{rng.randrange(1, 0xFFFF):x}:{rng.randrange(1, 0xFFF):x}::{rng.randrange(1, 0xFFFF):x}"
    return f"{rng.choice([27, 49, 60, 118, 133, 153, 210, 219])}.{rng.randint(1, 254)}.{rng.randint(0, 254)}.{rng.randint(1, 254)}"


ALPHANUMERIC = string.ascii_letters + string.digits


def _secret(values: _Values) -> str:
    def some(count: int, letters: str = ALPHANUMERIC) -> str:
        return "".join(values.rng.choices(letters, k=count))

    style = values.rng.randrange(6)
    if style == 0:
        return "AKIA" + some(16, string.ascii_uppercase + "234567")
    if style == 1:
        return "ghp_" + some(36)
    if style == 2:
        return "xoxb-" + values.digits(12) + "-" + values.digits(12) + "-" + some(24)
    if style == 3:
        return f"eyJhbGciOiJIUzI1NiJ9.eyJ{some(40)}.{some(43)}"
    if style == 4:
        return "AIza" + some(35)
    return "sk_live_" + some(24)


def _key_value(values: _Values) -> str:
    return "".join(values.rng.choices(ALPHANUMERIC, k=values.choose("x" * 20, "x" * 32).count("x") + 4))


def _password(values: _Values) -> str:
    return (
        _word(values).capitalize()
        + values.choose("#", "!", "_")
        + values.digits(4)
        + "".join(values.rng.choices(ALPHANUMERIC, k=3))
    )


def _private_key(values: _Values) -> str:
    kind = values.choose("RSA ", "", "EC ", "OPENSSH ")
    body = "\n".join("".join(values.rng.choices(ALPHANUMERIC + "+/", k=64)) for _ in range(4))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


PERSONAL: dict[str, tuple[str, Callable[[_Values], str]]] = {
    "email": ("email", _email),
    "phone": ("phone", _phone),
    "landline": ("phone", _landline),
    "my_number": ("my_number", _my_number),
    "corporate": ("corporate_number", _corporate),
    "card": ("card", _card),
    "passport": ("passport", _passport),
    "residence": ("residence_card", _residence),
    "licence": ("driving_licence", _licence),
    "account": ("bank_account", _account),
    "post_account": ("bank_account", _post_account),
    "zip": ("postal_code", _zip),
    "address": ("address", _address),
    "birth": ("birth_date", _birth),
    "iso_birth": ("birth_date", _iso_birth),
    "ip": ("ip_address", _ip),
    "secret": ("secret", _secret),
    "key_value": ("secret", _key_value),
    "password": ("secret", _password),
    "private_key": ("secret", _private_key),
}

NEGATIVES: dict[str, Callable[[_Values], str]] = {
    "part": lambda v: v.choose(f"AB-{v.digits(4)}-{v.digits(4)}", f"MX{v.digits(3)}-{v.digits(4)}", f"{v.digits(3)}-{v.digits(3)}-{v.digits(3)}X"),
    "law": lambda v: v.choose(f"第{v.rng.randint(1, 999)}条", f"第{v.rng.randint(1, 99)}条第{v.rng.randint(1, 9)}項", f"平成{v.rng.randint(1, 30)}年法律第{v.rng.randint(1, 130)}号"),
    "price": lambda v: v.choose(f"{v.rng.randint(1, 999)},{v.digits(3)}円", f"¥{v.rng.randint(1, 99)},{v.digits(3)},{v.digits(3)}", f"{v.digits(7)}円"),
    "version": lambda v: v.choose(f"{v.rng.randint(0, 9)}.{v.rng.randint(0, 20)}.{v.rng.randint(0, 99)}", f"v{v.rng.randint(1, 9)}.{v.rng.randint(0, 20)}.{v.rng.randint(0, 9)}.{v.digits(4)}"),
    "date": lambda v: v.choose(f"{v.rng.randint(1990, 2026)}年{v.rng.randint(1, 12)}月{v.rng.randint(1, 28)}日", f"2024-{v.rng.randint(1, 12):02d}-{v.rng.randint(1, 28):02d}", f"令和{v.rng.randint(1, 8)}年{v.rng.randint(1, 12)}月{v.rng.randint(1, 28)}日"),
    "timestamp": lambda v: f"2024{v.rng.randint(1, 12):02d}{v.rng.randint(1, 28):02d}{v.rng.randint(0, 23):02d}{v.rng.randint(0, 59):02d}",
    "isbn": lambda v: f"978-4-{v.digits(2)}-{v.digits(6)}-{v.digits(1)}",
    "jan": lambda v: f"49{v.digits(11)}",
    "sha": lambda v: "".join(v.rng.choices("0123456789abcdef", k=40)),
    "shortsha": lambda v: "".join(v.rng.choices("0123456789abcdef", k=10)),
    "uuid": lambda v: "-".join("".join(v.rng.choices("0123456789abcdef", k=k)) for k in (8, 4, 4, 4, 12)),
    "docip": lambda v: v.choose(f"192.0.2.{v.rng.randint(1, 254)}", f"203.0.113.{v.rng.randint(1, 254)}", f"192.168.{v.rng.randint(0, 20)}.{v.rng.randint(1, 254)}", "127.0.0.1", "0.0.0.0", "10.0.0.5", "2001:db8::1"),
    "docmail": lambda v: v.choose("user@example.com", "taro@example.co.jp", "admin@example.org", "root@localhost"),
    "order": lambda v: v.choose(f"{v.digits(3)}-{v.digits(7)}-{v.digits(7)}", f"OD{v.digits(10)}", f"{v.rng.randint(2, 9)}{v.digits(9)}"),
    "track": lambda v: f"{v.digits(4)}-{v.digits(4)}-{v.digits(4)}",
    "score": lambda v: f"{v.rng.randint(0, 9)}-{v.rng.randint(0, 9)}",
    "small": lambda v: str(v.rng.randint(1, 400)),
    "seven": lambda v: v.digits(7),
    "bigcount": lambda v: f"{v.rng.randint(1, 9)}{v.digits(11)}",
    "company": lambda v: v.choose("株式会社青海機工", "東和電子株式会社", "有限会社丸信商店", "合同会社みなとラボ", "一般社団法人海洋技術協会"),
    "place": lambda v: v.choose("東京都千代田区", "大阪市", "北海道", "横浜市西区", "福岡県", "山口県", "石川町", "千葉駅", "高松港"),
}  # fmt: skip
