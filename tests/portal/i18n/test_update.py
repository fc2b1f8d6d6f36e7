from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kiban.portal.i18n import translations
from kiban.portal.i18n.update import main, problems

AREAS = ["calls", "layout"]


def update(*areas: str) -> None:
    main([*(areas or AREAS)])


def test_everything_the_portal_says_is_translated() -> None:
    assert list(problems()) == []


def test_new_texts_come_in_empty_and_every_one_is_named(portal: Path) -> None:
    update()
    assert [line.split(" (")[0] for line in problems(["calls"])] == [
        "calls: missing: 'Deadline'",
        "calls: missing: 'Review'",
        "calls: missing: '%(num)s proposal'",
        "calls: missing: '  Write to %(name)s.\\n'",
        "calls: missing: 'Calls'",
    ]
    assert main(["--check", "calls"]) == 1


def test_translations_stay_and_what_is_gone_is_dropped(portal: Path, say: Callable[..., None]) -> None:
    update()
    say("calls", Deadline="締切", Calls="公募")
    (portal / "pages/calls.py").write_text('title = _("Open calls")\n')
    assert "calls: obsolete: 'Calls'" in list(problems(["calls"]))
    update("calls")
    text = (portal / "ja/calls.po").read_text()
    assert 'msgstr "締切"' in text
    assert "公募" not in text
    assert 'msgid "Open calls"\nmsgstr ""' in text  # nothing is guessed
    assert "fuzzy" not in text


def test_nothing_changes_when_no_text_did(portal: Path) -> None:
    update()
    before = {path: path.read_bytes() for path in (portal / "ja").iterdir()}
    template = portal / "templates/calls/show.html"
    template.write_text("\n\n<p>moved</p>" + template.read_text())
    update()
    assert {path: path.read_bytes() for path in (portal / "ja").iterdir()} == before


def test_only_the_named_areas_are_written_and_another_areas_words_are_taken(
    portal: Path, say: Callable[..., None]
) -> None:
    update("layout")
    assert [path.name for path in (portal / "ja").iterdir()] == ["layout.po"]
    say("layout", Deadline="締切")
    (portal / "templates/layout.html").write_text('{{ _("Menu") }}')
    update("calls")
    assert 'msgid "Deadline"\nmsgstr "締切"' in (portal / "ja/calls.po").read_text()
    assert "Menu" not in (portal / "ja/layout.po").read_text()


def test_areas_that_disagree_are_named(portal: Path, say: Callable[..., None]) -> None:
    update()
    say("calls", Deadline="締切")
    say("layout", Deadline="期限")
    assert any("is '期限' here and '締切' in calls" in line for line in problems(["layout"]))


def test_a_broken_template_or_catalogue_is_named_and_hinders_no_other_area(
    portal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    update()
    (portal / "templates/calls/show.html").write_text("{% if %}")
    (portal / "ja/layout.po").write_text('msgid "half\n')
    assert [line.split(":")[:2] for line in problems(AREAS)] == [
        ["calls", " TemplateSyntaxError"],
        ["layout", " PoFileError"],
    ]
    (portal / "templates/calls/show.html").write_text('{{ _("Title") }}')
    update("calls")
    assert 'msgid "Title"' in (portal / "ja/calls.po").read_text()


def test_people_may_update_at_once(portal: Path, say: Callable[..., None]) -> None:
    for number in range(6):
        folder = portal / f"templates/area{number}"
        folder.mkdir()
        (folder / "a.html").write_text(f'{{{{ _("Text {number}") }}}}')
    areas = [f"area{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(update, areas))
    assert sorted(path.name for path in (portal / "ja").iterdir()) == [f"{area}.po" for area in areas]
    assert all(len(list(problems([area]))) == 1 for area in areas)


def test_the_areas_are_one_language_at_run_time(portal: Path, say: Callable[..., None]) -> None:
    update()
    say("calls", Calls="公募", Review="審査")
    say("layout", Deadline="締切")
    japanese = translations("ja")
    assert (japanese.gettext("Calls"), japanese.gettext("Deadline")) == ("公募", "締切")
    assert (japanese.pgettext("noun", "Review"), japanese.gettext("Review")) == ("審査", "Review")


def test_an_unknown_area_is_refused_with_those_there_are(portal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["cals"])
    assert "there are calls, errors, layout" in capsys.readouterr().err.replace("charts, ", "").replace(", web", "")
