"""The body of a proposal as data: what may be stored, its canonical form and digest, and what of it can be read.

Drafts are stored as they are typed, mistakes included, so that nobody loses work to a half-filled field. What is stored
is still bounded, and free of what a database or a letter could not hold.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kiban.office.errors import Invalid
from kiban.office.guards.text import clean_text
from kiban.office.proposals.outputs import Gap
from kiban.office.proposals.schemas import ProposalBody

MOST_BYTES: Final = 512 * 1024
MOST_DEPTH: Final = 12
MOST_PARTS: Final = 20_000
MOST_CHARS: Final = 200_000
MOST_KEY_CHARS: Final = 200
MOST_NUMBER: Final = 2**63


def checked_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body as it will be stored: texts cleaned, and in the schema's own types where it holds no mistake.

    Raises:
        Invalid: too large or too deep, a number that no database holds, text with NUL or half a character.
    """
    cleaned: dict[str, Any] = _Cleaner().clean(body, "body", 0)
    try:
        cleaned = ProposalBody.model_validate(cleaned).model_dump(mode="json", exclude_unset=True)
    except ValidationError:
        pass  # a draft; `read_body` says what is wrong with it
    if len(canonical(cleaned)) > MOST_BYTES:
        raise Invalid(f"the proposal is larger than {MOST_BYTES // 1024} KiB", where="body",
                       hint="attach long texts as files")  # fmt: skip
    return cleaned


def canonical(value: Any) -> bytes:
    """One spelling of a JSON value: keys sorted, no spaces, UTF-8 (RFC 8785 but for numbers, which Python spells)."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical form, in hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def read_body(body: Mapping[str, Any]) -> tuple[ProposalBody, tuple[Gap, ...]]:
    """What of a body follows the schema, and what does not; never raises.

    The smallest part around each mistake is left out: a field that has a default, else the entry of the list.
    """
    rest: Any = copy.deepcopy(dict(body))
    gaps: dict[str, Gap] = {}
    while True:
        try:
            return ProposalBody.model_validate(rest), tuple(gaps.values())
        except ValidationError as error:
            mistakes = error.errors(include_url=False, include_context=False)
        for mistake in mistakes:
            gap = _gap(mistake, _deepest(rest, mistake["loc"])[-1])
            gaps.setdefault(gap.path, gap)
        # From the back, so that positions in lists stay true.
        for place in sorted({_place(rest, each) for each in mistakes}, key=_backwards):
            _remove(rest, place)


def _gap(mistake: ErrorDetails, place: tuple[int | str, ...]) -> Gap:
    # The schema's own alternatives are no part of a path that people read.
    path = ".".join(str(part) for part in (mistake["loc"] if mistake["type"] == "missing" else place)) or "body"
    if mistake["type"] == "missing":
        return Gap(path=path, ja="記入されていない", en="it is missing")
    if mistake["type"] == "extra_forbidden":
        return Gap(path=path, ja="この項目はない", en="there is no such field")
    said = mistake["msg"].removeprefix("Value error, ")  # of a validator of ours
    return Gap(path=path, ja=f"値が正しくない（{said}）", en=said)


def _deepest(body: Any, loc: tuple[int | str, ...]) -> list[tuple[int | str, ...]]:
    """The places on the way to a mistake that the body has, from its root on."""
    places: list[tuple[int | str, ...]] = [()]
    for part in loc:
        if isinstance(body, dict):
            known = part in body
        else:
            known = isinstance(body, list) and isinstance(part, int) and 0 <= part < len(body)
        if not known:
            break
        body = body[part]
        places.append((*places[-1], part))
    return places


def _place(body: Any, mistake: ErrorDetails) -> tuple[int | str, ...]:
    """Where to cut so that the mistake is gone: at its place, or, as a required field, at the list entry around it."""
    places = _deepest(body, mistake["loc"])
    if mistake["type"] == "extra_forbidden" or len(places[-1]) <= 1:
        return places[-1]
    # Inside an entry of a list, the whole entry: a tier without its GPUs is none.
    entries = [place for place in places if place and isinstance(place[-1], int)]
    return entries[0] if entries else places[-1]


def _backwards(place: tuple[int | str, ...]) -> tuple[int, tuple[tuple[int, str], ...]]:
    return (-len(place), tuple((-part, "") if isinstance(part, int) else (0, part) for part in place))


def _remove(body: Any, place: tuple[int | str, ...]) -> None:
    if not place:
        body.clear()
        return
    for part in place[:-1]:
        body = body[part]
    del body[place[-1]]


class _Cleaner:
    """Walks a JSON value once, within limits."""

    def __init__(self) -> None:
        self.parts = 0

    def clean(self, value: Any, where: str, depth: int) -> Any:
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise Invalid(f"it has more than {MOST_PARTS:,} parts", where="body")
        if depth > MOST_DEPTH:
            raise Invalid(f"it is nested more than {MOST_DEPTH} deep", where=where[:200])
        if isinstance(value, str):
            return clean_text(value, max_chars=MOST_CHARS, where=where, required=False)
        if isinstance(value, Mapping):
            return {self._key(key, where): self.clean(each, f"{where}.{key}", depth + 1) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(each, f"{where}.{at}", depth + 1) for at, each in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            raise Invalid("not a finite number", where=where)
        if isinstance(value, int) and abs(value) >= MOST_NUMBER:
            raise Invalid("the number has too many digits", where=where)
        if value is None or isinstance(value, bool | int | float):
            return value
        raise Invalid("not a JSON value", where=where)

    def _key(self, key: Any, where: str) -> str:
        if not isinstance(key, str) or len(key) > MOST_KEY_CHARS:
            raise Invalid("not a field's name", where=where[:200])
        return clean_text(key, max_chars=MOST_KEY_CHARS, where=where[:200], required=False)
