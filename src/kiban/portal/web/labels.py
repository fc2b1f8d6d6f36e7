"""What values of enumerations are called in the interface."""

from __future__ import annotations

from enum import Enum

from kiban.portal.i18n import Text

_LABELS: dict[tuple[str, str], Text] = {}


def register(kind: str, labels: dict[str, Text]) -> None:
    """Add what the values of a kind are called: `register("CallStatus", {"draft": _("Draft"), …})`."""
    for value, text in labels.items():
        _LABELS[kind, value] = text


def label(value: Enum | str, kind: str = "") -> Text:
    """The name of an enumeration's value; of a plain text, `kind` says what it is one of.

    A value that has no name is shown as it is: the record is older or newer than the page.
    """
    if isinstance(value, Enum):
        return _LABELS.get((kind or type(value).__name__, str(value.value)), str(value.value))
    return _LABELS.get((kind, value), value)
