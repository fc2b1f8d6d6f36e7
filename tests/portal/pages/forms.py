"""A page's forms as a browser without scripts sends them."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from httpx import Response
from starlette.testclient import TestClient


class SeenForm:
    """A form with what its fields hold."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: list[tuple[str, str]] = []

    def __getitem__(self, name: str) -> str:
        return next(value for given, value in reversed(self.fields) if given == name)

    def send(self, browser: TestClient, *, to: str = "", **changes: Any) -> Response:
        """Post it with some fields changed; names as in `**{"team.0.name": "…"}`, a list for several values."""
        kept = [(name, value) for name, value in self.fields if name not in changes]
        for name, value in changes.items():
            kept += [(name, each) for each in (value if isinstance(value, list) else [value]) if each is not None]
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return browser.post(to or self.action, content=urlencode(kept), headers=headers)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[SeenForm] = []
        self._form: SeenForm | None = None
        self._area: str | None = None
        self._text = ""
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name"), given.get("value") or ""
        if tag == "form":
            self._form = SeenForm(given.get("action") or "")
            self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "input" and name and given.get("type") != "file":
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self._form.fields.append((name, value))
        elif tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option" and self._select:
            self._options.append((value, "selected" in given))

    def handle_endtag(self, tag: str) -> None:
        if self._form is None:
            return
        if tag == "textarea" and self._area:
            self._form.fields.append((self._area, self._text.removeprefix("\n")))
            self._area = None
        elif tag == "select" and self._select and self._options:
            chosen = [value for value, is_chosen in self._options if is_chosen] or [self._options[0][0]]
            self._form.fields.append((self._select, chosen[-1]))
            self._select = None
        elif tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._text += data


def forms_of(page: Response) -> list[SeenForm]:
    parser = _Parser()
    parser.feed(page.text)
    return parser.forms


def form_of(page: Response, end: str) -> SeenForm:
    """The first form whose action ends so."""
    return next(form for form in forms_of(page) if form.action.partition("?")[0].endswith(end))
