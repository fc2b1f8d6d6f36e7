"""How a reader likes pages shown: a cookie of words, each with an effect; anything else in it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastapi import Request

from kiban.portal.api.kept import PREFERENCES_COOKIE

Theme = Literal["", "light", "dark"]
YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True)
class Preferences:
    theme: Theme = ""  # as the reader's system has it
    era: bool = False  # years as 令和8年

    @classmethod
    def of(cls, request: Request) -> Preferences:
        words = set(request.cookies.get(PREFERENCES_COOKIE, "").split("."))
        theme: Theme = "dark" if "dark" in words else "light" if "light" in words else ""
        return cls(theme, "era" in words)

    def cookie(self) -> str:
        """The cookie's value."""
        return ".".join(word for word in (self.theme, "era" if self.era else "") if word)
