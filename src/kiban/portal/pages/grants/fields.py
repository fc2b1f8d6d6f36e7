"""Fields in which people write what the office keeps otherwise: hours for seconds, several names in one line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from kiban.kit.errors import KibanError
from kiban.portal.format import parse_number
from kiban.portal.web.forms import PostedForm


def kept_as(form: PostedForm, *, hours: Collection[str] = (), lists: Collection[str] = ()) -> PostedForm:
    """The form as the office's schemas read it.

    Args:
        hours: fields of hours that the office keeps in seconds; what is no number stays, to be complained of.
        lists: fields `name[]` whose values are parted by spaces or commas.
    """
    return PostedForm(tuple(_kept(form, hours, lists)), form.files)


def _kept(form: PostedForm, hours: Collection[str], lists: Collection[str]) -> Iterator[tuple[str, str]]:
    for name, value in form.fields:
        if name in hours:
            yield name, _seconds(value)
        elif name in lists:
            yield from ((name, part) for part in re.split(r"[\s,、，]+", value) if part)
        else:
            yield name, value


def _seconds(hours: str) -> str:
    try:
        return str(round(parse_number(hours) * 3600))
    except KibanError:
        return hours
