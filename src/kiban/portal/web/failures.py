"""Why something was not done, told in the reader's language, beside the fields that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi.exceptions import RequestValidationError
from markupsafe import Markup, escape

from kiban.office.proposals.submission import Incomplete
from kiban.portal.api.problems import CODES, Trouble, trouble_of
from kiban.portal.i18n import Language, _, in_language
from kiban.portal.i18n.errors import explain_validation, say
from kiban.portal.web.forms import PostedForm, Wrong


@dataclass(frozen=True)
class Failure:
    """`message` and `hint` are in the page's language; text that exists in English only is marked as such."""

    status: int
    code: str
    message: Markup
    hint: Markup | None = None
    by_field: Mapping[str, Markup] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def failure_of(error: Exception, request_id: str, language: Language, posted: PostedForm | None) -> Failure:
    """What an exception means to the reader of a page; a bug's traceback goes to the log."""
    trouble = trouble_of(error, request_id)
    plain = failure_of_trouble(trouble, language)
    found: list[tuple[str, Markup]] = []
    match error:
        case Wrong():
            found = [(_name(each["loc"], posted), _invalid(each, language)) for each in error.errors]
        case RequestValidationError():
            found = [(_name(each["loc"][1:], posted), _invalid(each, language)) for each in error.errors()]
        case Incomplete():
            found = [(gap.path, escape(gap.ja if language == "ja" else gap.en)) for gap in error.gaps]
            plain = replace(plain, message=escape(in_language(_("Something is missing, or does not fit."), language)))
        case _:
            where = next((each["where"] for each in trouble.errors if each.get("where")), "")
            if where and (posted is None or posted.has(where)):
                found = [(where, plain.message)]
    by_field: dict[str, Markup] = {}
    for name, told in found:
        by_field.setdefault(name, told)
    return replace(plain, by_field=by_field)


def failure_of_trouble(trouble: Trouble, language: Language) -> Failure:
    """As `failure_of`, where no form is known."""
    return Failure(
        trouble.status,
        trouble.code or CODES.get(trouble.status, "error"),
        say(trouble.detail, language).marked(language),
        say(trouble.hint, language).marked(language) if trouble.hint else None,
        headers={name: value for name, value in trouble.headers.items() if name != "WWW-Authenticate"},
    )


def _invalid(error: Mapping[str, Any], language: Language) -> Markup:
    return explain_validation(error, language).marked(language)


def _name(loc: Sequence[Any], posted: PostedForm | None) -> str:
    """The field that an error's place means: steps into a union's members or a list of equal things have none."""
    steps = [str(step) for step in loc]
    name = ".".join(steps)
    if posted is None or posted.has(name):
        return name
    for length in range(len(steps), 0, -1):
        shorter = ".".join(steps[:length])
        for candidate in (shorter, f"{shorter}[]"):
            if posted.has(candidate):
                return candidate
    return name
