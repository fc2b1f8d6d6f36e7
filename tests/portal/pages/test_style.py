"""The style page shows every component, and what the components promise holds on it."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from kiban.portal.pages.style import EXAMPLES, SECTIONS
from kiban.portal.web.views import TEMPLATES

# Those that other components are made with, and those that read a list or a figure and are shown with real ones.
NOT_ALONE = {"attributes", "branches", "state", "table"}


class Elements(HTMLParser):
    """Every start tag of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, {name: value or "" for name, value in attrs}))

    def values(self, attribute: str) -> list[str]:
        return [given[attribute] for _, given in self.all if attribute in given]


def test_every_component_is_shown() -> None:
    macros = {
        name
        for path in (TEMPLATES / "components").glob("*.html")
        for name in re.findall(r"macro ([a-z]\w*)\(", path.read_text(encoding="utf-8"))
    }
    shown = "\n".join(path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.html"))
    assert {name for name in macros - NOT_ALONE if not re.search(rf"\b{name}\(", shown)} == set()


def test_every_example_is_on_the_page() -> None:
    listed = Counter(example.name for section in SECTIONS for example in section.examples)
    assert listed == Counter(path.stem for path in EXAMPLES.glob("*.html"))


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_page_keeps_what_its_components_promise(language: str, browser: TestClient) -> None:
    answer = browser.get(f"/{language}/style")
    assert answer.status_code == 200
    page = Elements(answer.text)
    _assert_what_refers_to_something_finds_it(page)
    _assert_every_field_has_a_name_and_says_what_is_wrong_with_it(page)
    for tag, given in page.all:  # what the content security policy would refuse
        assert not [name for name in given if name == "style" or name.startswith("on")], (tag, given)
        assert tag != "script" or "src" in given


def _assert_what_refers_to_something_finds_it(page: Elements) -> None:
    ids = page.values("id")
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    described = " ".join(page.values("aria-describedby") + page.values("aria-labelledby")).split()
    anchors = [href.removeprefix("#") for href in page.values("href") if re.match(r"#.", href)]
    assert {*described, *page.values("for"), *anchors, *page.values("data-dialog")} - set(ids) == set()


def _assert_every_field_has_a_name_and_says_what_is_wrong_with_it(page: Elements) -> None:
    labelled = set(page.values("for"))
    fields = [
        given
        for tag, given in page.all
        if tag in ("input", "select", "textarea") and given.get("type") not in ("hidden", "submit")
    ]
    assert [given for given in fields if given.get("id") not in labelled and "aria-label" not in given] == []
    wrong = [given for given in fields if given.get("aria-invalid") == "true"]
    assert len(wrong) == 4
    assert all(f"{given['id']}-error" in given["aria-describedby"].split() for given in wrong)
