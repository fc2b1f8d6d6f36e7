"""What every page shares: escaping, a page's own templates before the shared ones, one style sheet."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
from markupsafe import Markup
from selectolax.lexbor import LexborHTMLParser

from kiban.kit.page import Table, environment, style

PAGE = '{% extends "page.html.jinja" %}{% from "table.html.jinja" import table %}'
PAGE += "{% block title %}{{ title }}{% endblock %}{% block content %}{{ table(made) }}{% endblock %}"


def test_a_page_extends_the_shared_one_and_escapes_what_it_prints(tmp_path: Path) -> None:
    (tmp_path / "own.html.jinja").write_text(PAGE)
    (tmp_path / "own.css").write_text(".own > p { color: red; }")
    made = Table(Markup("<em>caption</em>"), (Markup("part"), Markup("figure")), ((Markup("a"), Markup("1")),), 1)
    page = environment(tmp_path).get_template("own.html.jinja")
    text = page.render(title="<b>", made=made, style=style(tmp_path / "own.css"))
    tree = LexborHTMLParser(text)
    assert "<title>&lt;b&gt;</title>" in text
    sheet = tree.css_first("style")
    assert sheet is not None
    assert sheet.text().index(":root") < sheet.text().index(".own > p")
    row = tree.css_first("tbody tr")
    assert row is not None
    assert [(cell.tag, cell.attributes.get("scope"), cell.attributes.get("class")) for cell in row.css("th, td")] == [
        ("th", "row", None),
        ("td", None, "n"),
    ]
    assert tree.css_first('td[data-head="figure"]') is not None


def test_a_missing_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "own.html.jinja").write_text("{{ nothing }}")
    with pytest.raises(jinja2.UndefinedError):
        environment(tmp_path).get_template("own.html.jinja").render()
