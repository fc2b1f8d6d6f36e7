"""A small portal of its own, with one template and one module that say something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kiban.portal.i18n import catalogue, extraction, translations

SHOW = """{{ _("Deadline") }} {{ pgettext("noun", "Review") }}
{{ ngettext("%(num)s proposal", "%(num)s proposals", n) }}
{% trans name=call.title %}
  Write to {{ name }}.
{% endtrans %}"""


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "templates/calls").mkdir(parents=True)
    (tmp_path / "pages").mkdir()
    (tmp_path / "ja").mkdir()
    (tmp_path / "templates/calls/show.html").write_text(SHOW)
    (tmp_path / "pages/calls.py").write_text('title = _("Calls")\ndeadline = _("Deadline")\n')
    (tmp_path / "templates/layout.html").write_text('{{ _("Deadline") }}')
    monkeypatch.setattr(extraction, "PORTAL", tmp_path)
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "ja")
    translations.cache_clear()
    yield tmp_path
    translations.cache_clear()


@pytest.fixture
def say(portal: Path) -> Callable[..., None]:
    """Write translations into an area's catalogue, by the English text."""

    def write(area: str, **texts: str) -> None:
        path = portal / f"ja/{area}.po"
        text = path.read_text()
        for english, japanese in texts.items():
            english = english.replace("_", " ")
            for empty in (f'msgid "{english}"\nmsgstr ""', f'msgid "{english}"\nmsgid_plural'):
                place = text.find(empty)
                if place >= 0:
                    start = text.index('""', place)
                    text = text[:start] + f'"{japanese}"' + text[start + 2 :]
        path.write_text(text)

    return write
