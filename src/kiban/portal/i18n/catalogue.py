"""The translations: English is what the code says, Japanese is read from `ja/*.po`, one file per area of the pages."""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent / "ja"
# What the office's errors say has a catalogue of its own: its placeholders are `{0}`, and pages do not say it.
ERRORS = "errors"

# A message's key: its context, and its English text (the singular).
Key = tuple[str | None, str]


class Japanese(gettext.NullTranslations):
    """All areas as one. A text that has no translation yet is shown in English; a test finds those."""

    def __init__(self, texts: dict[Key, str]) -> None:
        super().__init__()
        self.texts = texts

    def gettext(self, message: str) -> str:
        return self.texts.get((None, message)) or message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.texts.get((None, msgid1)) or super().ngettext(msgid1, msgid2, n)

    def pgettext(self, context: str, message: str) -> str:
        return self.texts.get((context, message)) or message

    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int) -> str:
        return self.texts.get((context, msgid1)) or super().npgettext(context, msgid1, msgid2, n)


@cache
def translations(language: str) -> gettext.NullTranslations:
    """What `jinja2.ext.i18n` installs: gettext, ngettext, pgettext and npgettext in this language."""
    if language == "en":
        return gettext.NullTranslations()
    texts: dict[Key, str] = {}
    for area in translated_areas():
        if area != ERRORS:
            texts.update(translated(read(area, strict=False)))
    return Japanese(texts)


def path_of(area: str) -> Path:
    return FOLDER / f"{area}.po"


def translated_areas() -> list[str]:
    """The areas that have a catalogue."""
    return sorted(path.stem for path in FOLDER.glob("*.po"))


def read(area: str, *, strict: bool) -> Catalog:
    """One area's catalogue; an empty one where there is no file.

    Args:
        strict: whether a mistake in the file is raised, instead of leaving out what cannot be read.

    Raises:
        babel.messages.pofile.PoFileError: the file has a mistake.
    """
    path = path_of(area)
    if not path.exists():
        return Catalog(locale="ja")
    with path.open("rb") as file:
        return read_po(file, locale="ja", charset="utf-8", ignore_obsolete=True, abort_invalid=strict)


def translated(catalogue: Catalog) -> dict[Key, str]:
    """The messages that have a translation somebody has stood for, that is no fuzzy one."""
    found: dict[Key, str] = {}
    for message in catalogue:
        text = message.string if isinstance(message.string, str) else (message.string or ("",))[0]
        if message.id and text and not message.fuzzy:
            found[key_of(message)] = text
    return found


def key_of(message: Message) -> Key:
    return message.context, message.id if isinstance(message.id, str) else message.id[0]
