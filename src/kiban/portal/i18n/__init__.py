"""The languages of the pages. English is written in code and templates; Japanese is in `ja/<area>.po`.

In Python, `from kiban.portal.i18n import _`. After a text was added or changed,
`python -m kiban.portal.i18n.update <area>` brings the area's file up to date; then translate what is empty there, with
the terms of TERMS.md.
"""

from kiban.portal.i18n.catalogue import translations
from kiban.portal.i18n.text import (
    LANGUAGES,
    Language,
    LazyText,
    Text,
    current_language,
    gettext,
    in_language,
    is_language,
    ngettext,
    npgettext,
    pgettext,
    using_language,
)

_ = gettext

__all__ = [
    "LANGUAGES",
    "Language",
    "LazyText",
    "Text",
    "_",
    "current_language",
    "gettext",
    "in_language",
    "is_language",
    "ngettext",
    "npgettext",
    "pgettext",
    "translations",
    "using_language",
]
