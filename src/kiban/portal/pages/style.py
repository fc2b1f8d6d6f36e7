"""The living style page: every component in every state, beside the template text that makes it.

An example is a file of `templates/style/examples`: what is shown is the file rendered, and the source is the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import SimpleNamespace

from markupsafe import escape
from starlette.responses import Response

from kiban.portal.api.dependencies import Reading
from kiban.portal.charts import Bar, Chart, bars, yen
from kiban.portal.i18n import Text, _, in_language
from kiban.portal.web import page as current
from kiban.portal.web.diffs import shortened, text_diff
from kiban.portal.web.forms import BoundForm, PostedForm
from kiban.portal.web.page import Page
from kiban.portal.web.routing import Pages
from kiban.portal.web.views import TEMPLATES, View, formats, view

pages = Pages("style")
EXAMPLES = TEMPLATES / "style" / "examples"


@dataclass(frozen=True)
class Example:
    name: str  # of its file
    title: Text
    note: Text

    @property
    def source(self) -> str:
        return _SOURCES[self.name]


@dataclass(frozen=True)
class Section:
    id: str
    title: Text
    examples: tuple[Example, ...]


SECTIONS = (
    Section(
        "text",
        _("Text and figures"),
        (
            Example("headings", _("Headings and text"), _("One h1 to a page; below it no level is left out.")),
            Example("figures", _("Money, GPU time, dates"), _("Written as the reader has chosen in the settings.")),
            Example("deadline", _("Deadline"), _("The date stands by itself; a script counts down beside it.")),
            Example("names", _("Names, identifiers, files"), _("Whatever people typed stays in its place.")),
            Example("icons", _("Icons"), _("Beside words, never in their place unless they have a label.")),
        ),
    ),
    Section(
        "acts",
        _("Buttons and confirmation"),
        (
            Example("button", _("Button"), _("A button changes something; a link goes somewhere.")),
            Example("confirm", _("Confirmation"), _("Before what cannot be undone. It says what will happen.")),
            Example("undo", _("Undo"), _("After what can be.")),
        ),
    ),
    Section(
        "forms",
        _("Forms"),
        (
            Example("text", _("Text"), _("Hint and error stand between label and field, where they are read first.")),
            Example("number", _("Number and yen"), _("Full-width digits, 万 and 億 are understood.")),
            Example("choice", _("Choice"), _("Up to seven options are shown at once; more go into a list.")),
            Example("other_fields", _("Date, file"), _("Times are Japan time, and say so.")),
            Example("rows", _("Repeated parts"), _("Rows are added and removed without scripts, too.")),
            Example("wrong", _("A form with errors"), _("What was typed stays. The summary leads to the fields.")),
            Example("draft", _("Draft"), _("What one types is kept on the device until the server has it.")),
        ),
    ),
    Section(
        "messages",
        _("Messages"),
        (
            Example("banner", _("Banner"), _("What is good to know on this page.")),
            Example("chip", _("State"), _("An icon and a word; colour says nothing by itself.")),
            Example("empty", _("Nothing here yet"), _("What would stand here, and what to do.")),
            Example("meter", _("How much of how much"), _("The figures are text; the bar is for the eye.")),
        ),
    ),
    Section(
        "order",
        _("Lists and order"),
        (
            Example("facts", _("Facts"), _("A thing's properties.")),
            Example("stats", _("Key figures"), _("A few, each with where it comes from.")),
            Example("timeline", _("What happens when"), _("Done, now, next.")),
            Example("steps", _("Steps of a form"), _("For forms that go over several pages.")),
            Example("cards", _("Cards"), _("A few things of a kind, of which one is chosen.")),
            Example("table", _("Table"), _("Figures end in line. A wide table scrolls in its frame.")),
            Example("chart", _("Chart"), _("A picture, its words, and a table with its figures.")),
            Example("diff", _("Two versions"), _("Removed before added; screen readers say which is which.")),
            Example("details", _("Details"), _("What only some readers need.")),
        ),
    ),
    Section(
        "ways",
        _("Ways around"),
        (
            Example("tabs", _("Tabs"), _("Views of one thing, each with its own address.")),
            Example("breadcrumb", _("Where you are"), _("From the top down to this page.")),
            Example("pagination", _("Pages of a list"), _("Lists that go by cursor have no numbers.")),
            Example("keys", _("Keys"), _("Any link, button or field can have a key; ? lists them.")),
        ),
    ),
)
_SOURCES = {path.stem: path.read_text(encoding="utf-8").strip() for path in sorted(EXAMPLES.glob("*.html"))}

_BEFORE = (
    "本提案では、公開コーパスを用いて10億パラメータの日本語基盤モデルを学習します。評価は8月に行います。"
    "成果は公開しません。"
)
_AFTER = (
    "本提案では、公開コーパスと社内文書を用いて30億パラメータの日本語基盤モデルを学習します。"
    "評価は8月と11月に行います。"
)
_TYPED = PostedForm(
    (("name", ""), ("reason", "計算が足りないため。" * 4), ("budget", "いっぱい"), ("email", "tanaka@"))
)
_MESSAGES: dict[str, Text] = {
    "name": _("Enter the name of the project"),
    "reason": _("Write at most 30 characters"),
    "budget": _("Enter an amount of yen, such as 1億2,000万"),
    "theme": _("Choose a theme"),
    "email": _("Enter an e-mail address, such as name@example.jp"),
}


@pages.get("/style")
def index(work: Reading) -> View | Response:
    """All components, in the page's language."""
    page = current.current()
    messages = {name: escape(in_language(text, page.language)) for name, text in _MESSAGES.items()}
    return view(
        "style/index.html",
        sections=SECTIONS,
        blank=BoundForm(None, {}),
        wrong=BoundForm(_TYPED, messages),
        awarded=_chart(page),
        moment=datetime(2027, 11, 30, 8, 0, tzinfo=UTC),
        past=datetime(2026, 4, 1, 3, 30, tzinfo=UTC),
        today=date(2027, 3, 31),
        text_pieces=shortened(text_diff(_BEFORE, _AFTER)),
        themes=(("ja", _("Japanese")), ("code", _("Program code")), ("science", _("Science"))),
        sample=SimpleNamespace(digest="9f2c41e07ab8d3559e21f0c6", file="申請書_最終版_本当に最終_v12_基盤モデル.pdf"),
    )


def _chart(page: Page) -> Chart:
    title, heading = (in_language(text, page.language) for text in (_("Awarded by pool"), _("Pool")))
    rows = (Bar("H200", (7_400_000_000,)), Bar("GB200", (3_600_000_000,)), Bar("MI300X", (1_400_000_000,)))
    quantity = yen(title, formats(page.language, page.preferences.era).text)
    source = in_language(_("41 postings in the ledger"), page.language)
    return bars("awarded-by-pool", title, rows, quantity, heading=heading, source=source)
