"""What changed from one body to another, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from kiban.office.calls.schemas import CallOut
from kiban.office.proposals.differences import differences
from kiban.portal.i18n import _
from kiban.portal.pages.proposals.places import leaf_name, name_of
from kiban.portal.web import page as pages
from kiban.portal.web.diffs import Piece, shortened, text_diff
from kiban.portal.web.views import formats

# A text this long is compared by its words; shorter values stand beside one another.
LONG_CHARS = 60


@dataclass(frozen=True)
class Compared:
    path: str
    name: str
    before: Any
    after: Any
    pools: Mapping[str, str]

    @property
    def is_long(self) -> bool:
        texts = [each for each in (self.before, self.after) if isinstance(each, str)]
        return len(texts) == 2 and max(map(len, texts)) > LONG_CHARS

    @property
    def pieces(self) -> list[Piece | None]:
        return shortened(text_diff(str(self.before), str(self.after)))

    @property
    def shown_before(self) -> Markup:
        return shown(self.before, self.pools, self.path)

    @property
    def shown_after(self) -> Markup:
        return shown(self.after, self.pools, self.path)


def compared(before: Mapping[str, Any], after: Mapping[str, Any], call: CallOut) -> list[Compared]:
    """What changed, in the order of the form's paths."""
    pools = pool_names(call)
    return [
        Compared(each.path, name_of(each.path, call.questions), each.before, each.after, pools)
        for each in differences(dict(before), dict(after))
    ]


def pool_names(call: CallOut) -> dict[str, str]:
    """By id, what the pools are called that a call offers."""
    return {str(each.pool_id): each.name for each in call.pools}


def shown(value: Any, pools: Mapping[str, str], path: str = "") -> Markup:
    """A value of a body in words: texts as they are, objects field by field, lists of them entry by entry.

    Args:
        pools: names of what is named by an id.
        path: of the value, by which its fields are called what the form calls them.
    """
    if value is None or value == "":
        return Markup("")
    if isinstance(value, bool):
        return escape(_("Yes") if value else _("No"))
    if isinstance(value, int | float):
        return escape(f"{value:,}")
    if isinstance(value, str):
        return Markup('<bdi class="value">{}</bdi>').format(pools.get(value, value))
    if isinstance(value, Mapping):
        fields = [(each, shown(inner, pools, f"{path}.{each}")) for each, inner in value.items() if each != "key"]
        named = [Markup("{}: {}").format(leaf_name(f"{path}.{each}"), inner) for each, inner in fields if inner]
        return Markup("<br>").join(named)
    if any(isinstance(each, Mapping | list) for each in value):
        entries = (Markup("<li>{}</li>").format(shown(each, pools, path)) for each in value)
        return Markup("<ul>{}</ul>").format(Markup("").join(entries))
    comma = formats(pages.current().language, era=False).comma
    return Markup("<bdi>{}</bdi>").format(comma.join(pools.get(str(each), str(each)) for each in value))
