"""Who may see and do what on the pages: everybody everywhere, and that no page tells what its reader must not know."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.office.conftest import sqlite_template
from tests.portal.api.test_authorisation import APPLICANTS, JUDGES
from tests.portal.api.world import CONFLICTED, PEOPLE, World

from .everything import browser_of, silent, token_field, visits, world

__all__ = ["silent", "sqlite_template", "world"]

MATRIX = Path(__file__).with_name("authorisation.txt")
HEADING = """\
# What each of the world's people is answered by the pages (see tests/portal/api/world.PEOPLE, in this order), by route
# and case. Acts are sent with an empty form.
# 2: shown, or done. 9: admitted, but the form or the state of things does not allow it (400, 409, 413, 415, 422).
# 1: to the sign-in page. 3: seen, but not allowed (403). 4: not there for this person (404). >: on to another page.
#
"""
FAST = ("other", "operator")
EVERYBODY = [who if who in FAST else pytest.param(who, marks=pytest.mark.slow) for who in PEOPLE]
LEARNERS = [who if who in FAST else pytest.param(who, marks=pytest.mark.slow) for who in APPLICANTS | JUDGES]
# Who was funded is announced to everybody, and told wherever awards are.
PUBLIC_WORDS = ("甲機構アルファ", "Alphakiko")
PUBLIC = re.compile(r"/ja(|/awards.*|/calls/[^/]+|/figures.*|/open-data.*|/models.*|/search)")

ONLOOKERS = [
    "auditor",
    pytest.param("auditor_c", marks=pytest.mark.slow),
    pytest.param("observer", marks=pytest.mark.slow),
]
OWN_ACTS = re.compile(
    r"/ja/(account|sign-out|sign-in|forgotten-password|reset-password|preferences|notices/preferences|playground)(/|$)"
)


@dataclass(frozen=True)
class Answer:
    name: str
    path: str
    status: int
    location: str
    text: str

    @property
    def letter(self) -> str:
        if self.status in (301, 302, 303, 307):
            return "1" if "/sign-in" in self.location else ">"
        known = {200: "2", 400: "9", 401: "1", 403: "3", 404: "4", 409: "9", 413: "9", 415: "9", 422: "9"}
        return known.get(self.status, str(self.status))


@pytest.fixture(scope="module")
def pages_of(world: World) -> Callable[[str], list[Answer]]:
    """Every page as somebody gets it."""
    kept: dict[str, list[Answer]] = {}

    def get(who: str) -> list[Answer]:
        if who not in kept:
            browser = browser_of(world, who)
            kept[who] = []
            for visit in visits(world, "GET"):
                answer = visit.send(browser)
                location = answer.headers.get("location", "")
                kept[who].append(Answer(visit.name, visit.path, answer.status_code, location, answer.text))
        return kept[who]

    return get


def posting_to(answer: Answer) -> set[str]:
    """Where a page's forms and their buttons post to."""
    found = set()
    for form in re.findall(r"<form\b[^>]*method=\"post\".*?</form>", answer.text, re.DOTALL):
        start = form.partition(">")[0]
        actions = re.findall(r' action="([^"]*)"', start) + re.findall(r' formaction="([^"]*)"', form)
        found |= {html.unescape(each).partition("?")[0] for each in actions or [answer.path]}
    return found - {"#"}  # examples of the style guide


def table() -> dict[str, dict[str, str]]:
    """Route and case -> person -> answer."""
    found = {}
    for line in MATRIX.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            words = line.split()
            answers, name = words[-len(PEOPLE) :], " ".join(words[: -len(PEOPLE)])
            found[name] = dict(zip(PEOPLE, answers, strict=True))
    return found


def acts_of(world: World, who: str) -> Iterator[tuple[str, str]]:
    """Every act by somebody whose own pages sent it, with nothing in its form."""
    browser, fields = browser_of(world, who), token_field(world, who)
    for visit in visits(world, "POST"):
        answer = visit.send(browser, data=fields or {"a": "b"})
        location = answer.headers.get("location", "")
        yield visit.name, Answer(visit.name, visit.path, answer.status_code, location, "").letter.replace(">", "2")


def test_every_page_and_act_has_its_row(world: World) -> None:
    asked = [visit.name for method in ("GET", "POST") for visit in visits(world, method)]
    assert asked == list(table()), "a page without a row, or a row without a page"
    english = [visit.name for method in ("GET", "POST") for visit in visits(world, method, "en")]
    assert english == asked


@pytest.mark.parametrize("who", EVERYBODY)
def test_everybody_sees_what_the_table_says(pages_of: Callable[[str], list[Answer]], who: str) -> None:
    expected = table()
    wrong = [
        f"{answer.name}: {answer.letter}, not {expected.get(answer.name, {}).get(who)}"
        for answer in pages_of(who)
        if answer.letter != expected.get(answer.name, {}).get(who)
    ]
    assert not wrong, f"{who}, {PEOPLE[who]}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("who", EVERYBODY)
def test_everybody_does_what_the_table_says(world: World, who: str) -> None:
    expected = table()
    with world.unchanged():
        wrong = [
            f"{name}: {letter}, not {expected.get(name, {}).get(who)}"
            for name, letter in acts_of(world, who)
            if letter != expected.get(name, {}).get(who)
        ]
    assert not wrong, f"{who}, {PEOPLE[who]}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("who", ONLOOKERS)
def test_who_may_write_nothing_is_shown_no_form_that_writes(
    world: World, pages_of: Callable[[str], list[Answer]], who: str
) -> None:
    """All that they are shown to send is about themselves."""
    shown: dict[str, str] = {}
    for answer in pages_of(who):
        if answer.letter == "2":
            for action in posting_to(answer):
                shown.setdefault(action, answer.name)
    assert "/ja/sign-out" in shown
    acts = {visit.path: visit.name for visit in visits(world, "POST")}
    wrong = [f"{path} on {name}" for path, name in shown.items() if not (path in acts and OWN_ACTS.match(path))]
    assert not wrong, "\n".join(wrong)
    allowed = table()
    refused = [path for path in shown if allowed[acts[path]][who] not in "129"]  # 1: a wrong password
    assert not refused, "\n".join(refused)


@pytest.mark.parametrize("who", LEARNERS)
def test_no_page_tells_what_must_not_be_known(pages_of: Callable[[str], list[Answer]], who: str) -> None:
    told = []
    for answer in pages_of(who):
        for word in (APPLICANTS | JUDGES)[who]:
            at = answer.text.find(word)
            if at >= 0 and not (word in PUBLIC_WORDS and PUBLIC.fullmatch(answer.path)):
                told.append(f"{answer.name}: {word} in {answer.text[max(0, at - 150) : at + 100]!r}")
    assert not told, "\n".join(told)


@pytest.mark.slow
def test_what_must_not_be_known_can_be_read_by_those_who_may(pages_of: Callable[[str], list[Answer]]) -> None:
    """Words that no page shows would make the test of who is not told them worth nothing."""
    wanted = {word for words in (APPLICANTS | JUDGES).values() for word in words}
    told = "".join(answer.text for who in ("operator", "owner", "other") for answer in pages_of(who))
    assert {word for word in wanted if word not in told} == set()


@pytest.mark.slow
@pytest.mark.parametrize("who", CONFLICTED)
def test_who_reviews_a_proposal_is_hidden_from_those_in_conflict(
    world: World, pages_of: Callable[[str], list[Answer]], who: str
) -> None:
    hidden = [str(world.ids[name]) for name in ("assignment_id", "review_id", "pin_id")]
    told = [
        f"{answer.name}: {word}"
        for answer in pages_of(who)
        for word in hidden
        if word in answer.text and word not in answer.path
    ]
    assert not told, "\n".join(told)
