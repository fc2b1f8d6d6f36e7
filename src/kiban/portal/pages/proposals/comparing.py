"""What changed from one body to another, as people read it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from kiban.office.calls.schemas import Question
from kiban.office.proposals.differences import differences
from kiban.portal.i18n import _
from kiban.portal.pages.proposals.places import name_of
from kiban.portal.web.diffs import Piece, shortened, text_diff

# A text this long is compared by its words; shorter values stand beside one another.
LONG_CHARS = 60


@dataclass(frozen=True)
class Compared:
    path: str
    name: str
    before: Any
    after: Any

    @property
    def is_long(self) -> bool:
        texts = [each for each in (self.before, self.after) if isinstance(each, str)]
        return len(texts) == 2 and max(map(len, texts)) > LONG_CHARS

    @property
    def pieces(self) -> list[Piece | None]:
        return shortened(text_diff(str(self.before), str(self.after)))

    @property
    def shown_before(self) -> Markup:
        return shown(self.before)

    @property
    def shown_after(self) -> Markup:
        return shown(self.after)


def compared(before: Mapping[str, Any], after: Mapping[str, Any], questions: Sequence[Question]) -> list[Compared]:
    """What changed, in the order of the form's paths."""
    return [
        Compared(each.path, name_of(each.path, questions), each.before, each.after)
        for each in differences(dict(before), dict(after))
    ]


def shown(value: Any) -> Markup:
    """A value of a body in words: texts as they are, lists and objects by line."""
    if value is None or value == "":
        return Markup("")
    if isinstance(value, bool):
        return escape(_("Yes") if value else _("No"))
    if isinstance(value, int | float):
        return escape(f"{value:,}")
    if isinstance(value, str):
        return Markup('<bdi class="value">{}</bdi>').format(value)
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return Markup("<bdi>{}</bdi>").format(", ".join(str(each) for each in value))
    return Markup('<pre class="value">{}</pre>').format(json.dumps(value, ensure_ascii=False, indent=1))
