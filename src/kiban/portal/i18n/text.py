"""Text that is written in English in the code and shown in the language of the page.

`_("Deadline")` is no string yet: it becomes one where it is shown, in the language that is current there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeGuard, get_args

from kiban.portal.i18n.catalogue import translations

Language = Literal["ja", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_CURRENT: ContextVar[Language] = ContextVar("language", default="en")


def is_language(value: object) -> TypeGuard[Language]:
    return value in LANGUAGES


def current_language() -> Language:
    """The language in which lazy texts are shown here; English where none was set."""
    return _CURRENT.get()


@contextmanager
def using_language(language: Language) -> Iterator[None]:
    """Show lazy texts in this language until the end of the block."""
    token = _CURRENT.set(language)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@dataclass(frozen=True)
class LazyText:
    """A message and its values. `str()` shows it in the current language; `%` signs of its own are written `%%`."""

    message: str
    plural: str | None = None
    number: int = 1
    context: str | None = None
    values: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.shown_in(current_language())

    def shown_in(self, language: Language) -> str:
        said = translations(language)
        if self.plural is None:
            text = said.gettext(self.message) if self.context is None else said.pgettext(self.context, self.message)
        elif self.context is None:
            text = said.ngettext(self.message, self.plural, self.number)
        else:
            text = said.npgettext(self.context, self.message, self.plural, self.number)
        with using_language(language):  # values may be lazy too
            return text % self.values


Text: TypeAlias = str | LazyText


def in_language(text: Text, language: Language) -> str:
    """The text in this language; a plain string as it is."""
    return text.shown_in(language) if isinstance(text, LazyText) else text


def gettext(message: str, /, **values: Any) -> LazyText:
    """A text, with `%(name)s` for its values. Imported as `_`."""
    return LazyText(message, values=values)


def ngettext(singular: str, plural: str, number: int, /, **values: Any) -> LazyText:
    """A text that differs with a number, which it may show as `%(num)s`."""
    return LazyText(singular, plural, number, values={"num": number, **values})


def pgettext(context: str, message: str, /, **values: Any) -> LazyText:
    """A text whose English has several meanings; `context` says which: `pgettext("noun", "Review")`."""
    return LazyText(message, context=context, values=values)


def npgettext(context: str, singular: str, plural: str, number: int, /, **values: Any) -> LazyText:
    """Both: several meanings, and a number."""
    return LazyText(singular, plural, number, context, {"num": number, **values})
