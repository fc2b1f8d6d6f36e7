from __future__ import annotations

import jinja2
import pytest

from kiban.portal.i18n import (
    _,
    catalogue,
    current_language,
    in_language,
    ngettext,
    npgettext,
    pgettext,
    text,
    translations,
    using_language,
)

JAPANESE = {
    (None, "Deadline"): "締切",
    (None, "%(what)s is needed."): "%(what)sが必要です。",
    (None, "%(num)s proposal"): "%(num)s件の提案",
    ("noun", "Review"): "審査結果",
    ("verb", "%(num)s day"): "%(num)s日",
}


@pytest.fixture(autouse=True)
def _japanese(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"en": translations("en"), "ja": catalogue.Japanese(JAPANESE)}
    monkeypatch.setattr(text, "translations", lambda language: both[language])


def test_a_text_is_shown_in_the_language_that_is_current_where_it_is_shown() -> None:
    title = _("Deadline")
    assert str(title) == "Deadline"
    with using_language("ja"):
        assert (str(title), f"{title}") == ("締切", "締切")
    assert current_language() == "en"
    assert in_language(title, "ja") == "締切"
    assert in_language("as it is", "ja") == "as it is"


def test_values_that_are_texts_are_in_the_same_language() -> None:
    needed = _("%(what)s is needed.", what=_("Deadline"))
    assert in_language(needed, "ja") == "締切が必要です。"
    assert in_language(needed, "en") == "Deadline is needed."


@pytest.mark.parametrize(
    ("number", "english", "japanese"), [(0, "0 proposals", "0件の提案"), (1, "1 proposal", "1件の提案")]
)
def test_numbers_choose_the_english_plural(number: int, english: str, japanese: str) -> None:
    counted = ngettext("%(num)s proposal", "%(num)s proposals", number)
    assert (in_language(counted, "en"), in_language(counted, "ja")) == (english, japanese)


def test_context_tells_meanings_apart_and_what_is_not_translated_is_english() -> None:
    assert in_language(pgettext("noun", "Review"), "ja") == "審査結果"
    assert in_language(pgettext("verb", "Review"), "ja") == "Review"
    assert in_language(npgettext("verb", "%(num)s day", "%(num)s days", 2), "ja") == "2日"
    assert in_language(npgettext("noun", "%(num)s day", "%(num)s days", 2), "ja") == "2 days"


def test_templates_escape_the_values_of_texts_and_of_their_own() -> None:
    environment = jinja2.Environment(autoescape=True, extensions=["jinja2.ext.i18n"])
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        catalogue.Japanese(JAPANESE), newstyle=True
    )
    template = environment.from_string("{{ lazy }}|{{ _('%(what)s is needed.', what=bad) }}|{{ ngettext(s, p, 2) }}")
    with using_language("ja"):
        shown = template.render(
            lazy=_("%(what)s is needed.", what="<b>"), bad="<i>", s="%(num)s proposal", p="%(num)s proposals"
        )
    assert shown == "&lt;b&gt;が必要です。|&lt;i&gt;が必要です。|2件の提案"
