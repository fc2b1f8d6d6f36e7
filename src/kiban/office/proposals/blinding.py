"""A proposal without who proposes it, for reviewers of a blind call.

Fields that name people are emptied, and the names of the organisation and the team are blacked out in every text. What
an author tells about themselves in other words, and what attached files say inside, stays: the call has to ask for
that.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

BLACK = "■■■"
LEAST_CHARS = 2  # a name of one letter would black out half of every text
# What people leave out when they speak of an organisation. What is left may be a word of its own, such as 日本.
LEAST_STEM_CHARS = 3
_LEGAL_FORM = re.compile(
    r"株式会社|有限会社|合同会社|合資会社|合名会社|[（(]株[）)]|㈱|[（(]有[）)]|"
    r"(?:一般|公益)(?:社団|財団)法人|国立大学法人|公立大学法人|学校法人|独立行政法人|国立研究開発法人|大学共同利用機関法人|"
    r"特定非営利活動法人|NPO法人|医療法人|社会福祉法人|"
    r"(?:,?\s+(?:inc|incorporated|co|company|corp|corporation|ltd|limited|llc|k\.?k|plc|gmbh)\b\.?)+",
    re.IGNORECASE,
)


def names_in(body: Mapping[str, Any], *organisation_names: str) -> list[str]:
    """What must not be read: organisations, with and without their legal form, and names and addresses of people."""
    found: set[str] = set()
    organisations = set(organisation_names)
    team = body.get("team")
    for member in team if isinstance(team, list) else ():
        if isinstance(member, Mapping):
            found.update(str(member.get(field) or "") for field in ("name", "email", "orcid"))
            organisations.add(str(member.get("organisation_name") or ""))
    stems = {_LEGAL_FORM.sub("", name).strip() for name in organisations}
    found |= organisations | {stem for stem in stems if len(stem) >= LEAST_STEM_CHARS}
    return sorted((name.strip() for name in found if len(name.strip()) >= LEAST_CHARS), key=lambda n: (-len(n), n))


def blinded(body: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The body without its team, and with `names` blacked out everywhere else."""
    pattern = _compiled(tuple(names))
    rest = {key: value for key, value in body.items() if key != "team"}
    result = _blacken(rest, pattern)
    assert isinstance(result, dict)
    return result


@functools.lru_cache(maxsize=1024)
def _compiled(names: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(_pattern, names)), re.IGNORECASE) if names else None


def _pattern(name: str) -> str:
    """A name however it is spaced and in whichever width it is typed."""
    letters = [c for c in name if not c.isspace()]
    pattern = r"\s*".join(_any_width(c) for c in letters)
    # A Latin name only as a word of its own: "AI" is no part of "training".
    start = r"(?<![A-Za-z0-9])" if letters[0].isascii() and letters[0].isalnum() else ""
    end = r"(?![A-Za-z0-9])" if letters[-1].isascii() and letters[-1].isalnum() else ""
    return f"{start}(?:{pattern}){end}"


@functools.lru_cache(maxsize=4096)
def _any_width(character: str) -> str:
    folded = unicodedata.normalize("NFKC", character)
    wide = chr(ord(folded) + 0xFEE0) if len(folded) == 1 and "!" <= folded <= "~" else folded
    return "(?:" + "|".join(re.escape(each) for each in dict.fromkeys((character, folded, wide))) + ")"


def _blacken(value: Any, pattern: re.Pattern[str] | None) -> Any:
    if isinstance(value, str):
        return pattern.sub(BLACK, value) if pattern else value
    if isinstance(value, Mapping):
        return {key: _blacken(each, pattern) for key, each in value.items()}
    if isinstance(value, list):
        return [_blacken(each, pattern) for each in value]
    return value
