"""What a page says after something was done: named in the address, so that nothing has to be remembered for it."""

from __future__ import annotations

from kiban.portal.i18n import Text

_NOTICES: dict[str, Text] = {}


def register(area: str, notices: dict[str, Text]) -> None:
    """Add an area's notices: `register("calls", {"published": _("The call is published.")})` is `calls.published`."""
    for name, text in notices.items():
        _NOTICES[f"{area}.{name}"] = text


def notice_text(name: str) -> Text | None:
    """None for a name that nobody registered: addresses are typed by anybody."""
    return _NOTICES.get(name)
